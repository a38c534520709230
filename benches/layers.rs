//! The parts of one conformer block at the paper's size, and a head.

use std::hint::black_box;

use burn::tensor::{Distribution, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use soundstorm::{
    HeadConfig,
    conformer::{ConformerConfig, ConvolutionModuleConfig, FeedForwardConfig},
    nn::{AttentionConfig, AttentionInput, RotaryConfig, glu, swish},
};

type B = burn_flex::Flex;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FRAMES: usize = 500;
const DIM: usize = 1024;

fn random(frames: usize, channels: usize) -> Tensor<B, 3> {
    let normal = Distribution::Normal(0.0, 1.0);
    Tensor::random([1, frames, channels], normal, &Default::default())
}

fn layers(criterion: &mut Criterion) {
    let device = Default::default();
    let mut group = criterion.benchmark_group("layers");
    group.sample_size(10);
    let x = random(FRAMES, DIM);

    let feed_forward = FeedForwardConfig::new(DIM).init::<B>(&device);
    group.bench_function("feed_forward", |bench| {
        bench.iter(|| black_box(feed_forward.forward(x.clone())));
    });

    let attention = AttentionConfig::new(DIM).with_heads(16).init::<B>(&device);
    let rotary = RotaryConfig::new(64).init::<B>(FRAMES, &device);
    group.bench_function("attention", |bench| {
        bench.iter(|| {
            black_box(attention.forward(AttentionInput {
                x: x.clone(),
                mask: None,
                rotary: Some(&rotary),
                bias: None,
                first_values: None,
            }))
        });
    });

    let convolution = ConvolutionModuleConfig::new(DIM)
        .with_kernel_size(5)
        .init::<B>(&device);
    group.bench_function("convolution", |bench| {
        bench.iter(|| black_box(convolution.forward(x.clone(), None)));
    });

    let config = ConformerConfig {
        heads: 16,
        conv_kernel_size: 5,
        ..ConformerConfig::new(DIM, 1)
    };
    let block = config.init::<B>(&device);
    group.bench_function("block", |bench| {
        bench.iter(|| black_box(block.forward(x.clone(), None)));
    });

    let head = HeadConfig::new(DIM, 12, 1024)
        .with_projected(true)
        .init::<B>(&device);
    group.bench_function("head", |bench| {
        bench.iter(|| black_box(head.forward(x.clone(), 3)));
    });

    let wide = random(FRAMES, 4 * DIM);
    group.bench_function("swish", |bench| {
        bench.iter(|| black_box(swish(wide.clone())))
    });
    group.bench_function("glu", |bench| bench.iter(|| black_box(glu(wide.clone()))));
    group.finish();
}

criterion_group!(benches, layers);
criterion_main!(benches);
