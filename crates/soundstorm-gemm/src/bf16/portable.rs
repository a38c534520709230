//! The same products where there is no arithmetic in bf16.

use rayon::prelude::*;

use super::PackedWeights;
use super::layout::{round, widen};
use crate::{Matrix, add_product as add_product_f32, product as product_f32};

pub(super) fn product(x: &[f32], weights: &PackedWeights, m: usize) -> Vec<f32> {
    let [k, n] = weights.shape();
    product_f32(
        Matrix::new(&rounded(x), [m, k]),
        Matrix::new(&weights.unpack(), [k, n]),
    )
}

pub(super) fn add_product(
    out: &mut [f32],
    scale: f32,
    x: &[f32],
    weights: &PackedWeights,
    m: usize,
) {
    let [k, n] = weights.shape();
    add_product_f32(
        out,
        scale,
        Matrix::new(&rounded(x), [m, k]),
        Matrix::new(&weights.unpack(), [k, n]),
    );
}

fn rounded(x: &[f32]) -> Vec<f32> {
    x.par_iter().map(|&x| widen(round(x))).collect()
}
