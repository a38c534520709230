//! The parts of the SpeechTokenizer codec, and one second of audio through the whole.

use std::hint::black_box;

use burn::tensor::{Distribution, Int, Tensor, TensorData};
use criterion::{Criterion, criterion_group, criterion_main};
use soundstorm::codec::{
    Codec, LstmConfig, PaddedConv1dConfig, ResidualVectorQuantizerConfig, SpeechTokenizerConfig,
};

type B = burn_flex::Flex;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One second: 50 frames of 320 samples.
const FRAMES: usize = 50;
const SAMPLES: usize = 16_000;
const DIMENSION: usize = 1024;
const LEVELS: usize = 8;
const CODES: usize = 1024;

fn random(channels: usize, frames: usize) -> Tensor<B, 3> {
    let normal = Distribution::Normal(0.0, 0.3);
    Tensor::random([1, channels, frames], normal, &Default::default())
}

fn some_codes() -> Tensor<B, 3, Int> {
    let codes: Vec<i64> = (0..LEVELS * FRAMES)
        .map(|index| (index * 7 % CODES) as i64)
        .collect();
    let codes = TensorData::new(codes, [1, LEVELS, FRAMES]);
    Tensor::from_data(codes, &Default::default())
}

fn codec(criterion: &mut Criterion) {
    let device = Default::default();
    let mut group = criterion.benchmark_group("codec");
    group.sample_size(10);

    let tokenizer = SpeechTokenizerConfig::default()
        .init::<B>(&device)
        .expect("the default configuration is valid");
    let audio = random(1, SAMPLES);
    group.bench_function("encode", |bench| {
        bench.iter(|| black_box(tokenizer.encode(audio.clone(), None)));
    });
    let codes = some_codes();
    group.bench_function("decode", |bench| {
        bench.iter(|| black_box(tokenizer.decode(codes.clone())));
    });

    let quantizer = ResidualVectorQuantizerConfig {
        dimension: DIMENSION,
        codebook_size: CODES,
        levels: LEVELS,
    }
    .init::<B>(&device);
    let vectors = random(DIMENSION, FRAMES);
    group.bench_function("rvq_nearest", |bench| {
        bench.iter(|| black_box(quantizer.encode(vectors.clone(), LEVELS)));
    });
    group.bench_function("rvq_lookup", |bench| {
        bench.iter(|| black_box(quantizer.decode(codes.clone())));
    });

    let lstm = LstmConfig::new(DIMENSION, 2).init::<B>(&device);
    group.bench_function("lstm", |bench| {
        bench.iter(|| black_box(lstm.forward(vectors.clone())));
    });

    // Of the decoder's last but one stage: few channels, many frames.
    let convolution = PaddedConv1dConfig::new(128, 64, 3).init::<B>(&device);
    let stage = random(128, SAMPLES / 2);
    group.bench_function("convolution", |bench| {
        bench.iter(|| black_box(convolution.forward(stage.clone())));
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
