//! The same products where there is no arithmetic in bf16.

use rayon::prelude::*;

use super::PackedWeights;
use super::layout::{round, widen};

pub(super) fn product(x: &[f32], weights: &PackedWeights, m: usize) -> Vec<f32> {
    let [k, n] = weights.shape();
    crate::product(&rounded(x), &weights.unpack(), [m, k, n])
}

pub(super) fn add_product(
    out: &mut [f32],
    scale: f32,
    x: &[f32],
    weights: &PackedWeights,
    m: usize,
) {
    let [k, n] = weights.shape();
    crate::add_product(out, scale, &rounded(x), &weights.unpack(), [m, k, n]);
}

fn rounded(x: &[f32]) -> Vec<f32> {
    x.par_iter().map(|&x| widen(round(x))).collect()
}
