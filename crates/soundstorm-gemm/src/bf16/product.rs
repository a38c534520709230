//! The products.

use super::{Isa, PackedWeights, isa, portable};
use crate::matrix::size;

/// The product of a row-major matrix and weights, both rounded to bf16, summed in f32.
///
/// `x` is rounded as [`PackedWeights::new`] rounds. With `s` the sum of `|x * w|` over the `k`
/// products of an output, that output is off by at most `(2^-7 + (k + 2) * 2^-23) * s`:
///
/// - bf16 has eight significant bits, so rounding moves a number by at most `1 / 257` of itself,
///   and a product of two by at most `(258 / 257)^2 - 1`, less than `2^-7`;
/// - the products are exact in f32, and each goes through at most `k` additions and one more for
///   each part into which a long sum is cut. Each of these rounds by at most `2^-24` of its
///   result: together less than `(k + 2) * 2^-23`, also of the rounded numbers' somewhat larger
///   sum.
///
/// This holds within the normal range of f32. Where [`isa`] is not [`Isa::Portable`], numbers,
/// products and sums below `2^-126` count as zero. The processor has its own order for the
/// products of pairs, so the last bits differ from one [`Isa`] to the next.
///
/// # Shapes
/// - `x`: `[m, k]`
/// - `weights`: `[k, n]`
/// - output: `[m, n]`
///
/// # Panics
/// If `x` has another number of elements than its shape says.
pub fn product_bf16(x: &[f32], weights: &PackedWeights, m: usize) -> Vec<f32> {
    product_on(isa(), x, weights, m)
}

/// Adds `scale` times the product of a row-major matrix and weights to what `out` holds.
///
/// The product is rounded and summed as in [`product_bf16`]. Adding it rounds by at most
/// `(k + 2) * 2^-23` of what `out` held, besides `scale` times the bound there.
///
/// # Shapes
/// - `out`: `[m, n]`
/// - `x`: `[m, k]`
/// - `weights`: `[k, n]`
///
/// # Panics
/// If `out` and `x` are not as many rows.
pub fn add_product_bf16(out: &mut [f32], scale: f32, x: &[f32], weights: &PackedWeights) {
    add_product_on(isa(), out, scale, x, weights);
}

/// `isa` must be one that this processor has.
pub(super) fn product_on(isa: Isa, x: &[f32], weights: &PackedWeights, m: usize) -> Vec<f32> {
    let [k, n] = weights.shape();
    assert_eq!(Some(x.len()), size(m, k), "x is not [{m}, {k}]");
    assert!(size(m, n).is_some(), "[{m}, {n}] is too large");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Bf16 | Isa::Amx => super::x86::product(isa, x, weights, m),
        _ => portable::product(x, weights, m),
    }
}

/// `isa` must be one that this processor has.
pub(super) fn add_product_on(
    isa: Isa,
    out: &mut [f32],
    scale: f32,
    x: &[f32],
    weights: &PackedWeights,
) {
    let [k, n] = weights.shape();
    // Without columns any number of rows is empty, and without products nothing is added.
    let m = x.len().checked_div(k).or(out.len().checked_div(n));
    let m = m.unwrap_or(0);
    assert_eq!(Some(x.len()), size(m, k), "x is not [{m}, {k}]");
    assert_eq!(Some(out.len()), size(m, n), "the output is not [{m}, {n}]");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Bf16 | Isa::Amx => super::x86::add_product(isa, out, scale, x, weights, m),
        _ => portable::add_product(out, scale, x, weights, m),
    }
}
