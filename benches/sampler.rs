//! A decode of one level with logits that cost nothing: what the sampler itself
//! takes for each step.

use std::{convert::Infallible, hint::black_box};

use burn::tensor::{Distribution, Int, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use soundstorm::maskgit::{DecodeOptions, DecodeRow, decode};

type B = burn_flex::Flex;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn sampler(criterion: &mut Criterion) {
    let device = Default::default();
    let mut group = criterion.benchmark_group("sampler");
    group.sample_size(10);
    let (frames, codes) = (500, 1024);
    let normal = Distribution::Normal(0.0, 3.0);
    let logits = Tensor::<B, 3>::random([1, frames, codes], normal, &device);
    let rows = [DecodeRow { frames, seed: 7 }];
    for (name, steps, top_k) in [
        ("one_greedy_step", 1, None),
        ("sixteen_steps", 16, None),
        ("sixteen_steps_top_k", 16, Some(308)),
    ] {
        let options = DecodeOptions {
            steps: vec![steps],
            top_k,
            ..DecodeOptions::default()
        };
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let tokens = Tensor::<B, 3, Int>::full([1, 1, frames], codes as i64, &device);
                let net = |_, _| Ok::<_, Infallible>(logits.clone());
                black_box(decode(tokens, &rows, codes, &options, net, |_| ()))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, sampler);
criterion_main!(benches);
