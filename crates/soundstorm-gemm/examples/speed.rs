//! Prints how many billion operations a second the products make, f32 and bf16 in turn.
//! `speed [threads] [rounds] [m k n]...`
use std::hint::black_box;
use std::time::Instant;

use soundstorm_gemm::{Matrix, PackedWeights, isa, product, product_bf16};

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn seconds(run: impl FnOnce() -> Vec<f32>) -> f64 {
    let start = Instant::now();
    black_box(run());
    start.elapsed().as_secs_f64()
}

fn main() {
    let arguments: Vec<usize> = std::env::args()
        .skip(1)
        .map(|argument| argument.parse().expect("a number"))
        .collect();
    let threads = arguments.first().copied().unwrap_or(1);
    let rounds = arguments.get(1).copied().unwrap_or(30);
    let mut shapes: Vec<[usize; 3]> = arguments
        .get(2..)
        .unwrap_or_default()
        .chunks_exact(3)
        .map(|shape| [shape[0], shape[1], shape[2]])
        .collect();
    if shapes.is_empty() {
        shapes = vec![
            [500, 1024, 4096],
            [500, 4096, 1024],
            [500, 1024, 1024],
            [1500, 1024, 4096],
        ];
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("threads");
    println!("{} with {threads} threads, best of {rounds}", isa());
    for [m, k, n] in shapes {
        let (x, weights) = (numbers(m * k, 1), numbers(k * n, 2));
        let packed = PackedWeights::new(&weights, [k, n]);
        let mut best = [f64::INFINITY; 2];
        for _ in 0..rounds {
            let f32s = pool.install(|| {
                seconds(|| product(Matrix::new(&x, [m, k]), Matrix::new(&weights, [k, n])))
            });
            let bf16s = pool.install(|| seconds(|| product_bf16(&x, &packed, m)));
            best = [best[0].min(f32s), best[1].min(bf16s)];
        }
        let speed = best.map(|best| 2e-9 * (m * k * n) as f64 / best);
        println!(
            "{m:5} x {k:5} x {n:5}: f32 {:7.1}  bf16 {:7.1} GFLOP/s, {:.2} times",
            speed[0],
            speed[1],
            speed[1] / speed[0]
        );
    }
}
