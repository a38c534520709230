//! Lazy random values for fresh parameters: loading replaces them before they are drawn.

use burn::module::{Initializer, Param};
use burn::prelude::*;

/// Uniform within ±1/sqrt(fan_in), as PyTorch draws convolutions and recurrent layers.
pub(crate) fn uniform<B: Backend, const D: usize>(
    shape: [usize; D],
    fan_in: usize,
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let bound = (fan_in.max(1) as f64).sqrt().recip();
    Initializer::Uniform {
        min: -bound,
        max: bound,
    }
    .init(shape, device)
}
