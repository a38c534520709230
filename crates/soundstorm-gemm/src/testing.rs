//! Matrices for tests, and what their products should be.

/// Numbers of a generator of their own, on `[-1, 1)`.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The sum of products, and that of their absolute values.
pub(crate) fn exact(x: &[f32], weights: &[f32], [m, k, n]: [usize; 3]) -> Vec<[f64; 2]> {
    let mut out = vec![[0.0; 2]; m * n];
    for (row, out) in out.chunks_exact_mut(n.max(1)).enumerate() {
        for (at, &x) in x[row * k..(row + 1) * k].iter().enumerate() {
            for ([sum, absolute], &weight) in out.iter_mut().zip(&weights[at * n..(at + 1) * n]) {
                let product = f64::from(x) * f64::from(weight);
                *sum += product;
                *absolute += product.abs();
            }
        }
    }
    out
}
