//! Quantizers as they are trained: vectors through a straight-through estimator, with the losses that
//! hold encoder and codebooks together, and codebooks that follow the vectors that fall to them.

mod averages;
mod dropout;
mod euclidean;
mod factorized;
mod k_means;

pub use averages::{AveragesConfig, CodebookAverages, LevelAverages};
pub use dropout::draw_levels;
pub use k_means::k_means;

use burn::prelude::*;

/// What a quantizer makes of vectors while it is trained.
#[derive(Debug, Clone)]
pub struct Quantized<B: Backend> {
    /// The sum of the levels that each row has, `[batch, dimension, frames]`. Its gradient goes
    /// straight through to what was quantized.
    pub vectors: Tensor<B, 3>,
    /// What the first level alone stands for, `[batch, dimension, frames]`, with a gradient
    /// likewise: what is taught to be semantic, where anything is (SpeechTokenizer, arXiv 2308.16692,
    /// section 3.2).
    pub first: Tensor<B, 3>,
    /// The codes of all levels, `[batch, levels, frames]`, also of those that a row leaves out.
    pub codes: Tensor<B, 3, Int>,
    /// How far vectors are from their entries, `[1]`: moves the encoder alone.
    pub commitment_loss: Tensor<B, 1>,
    /// The same number, `[1]`, but moves the codebooks alone; `None` where averages move them.
    pub codebook_loss: Option<Tensor<B, 1>>,
}

/// `to`, with a gradient as if it were `from`.
fn straight_through<B: Backend>(from: Tensor<B, 3>, to: Tensor<B, 3>) -> Tensor<B, 3> {
    // What is added is zero, so nothing is rounded.
    to.detach() + (from.clone() - from.detach())
}

/// The mean over the batch of each row's mean squared distance, where a row has the level.
///
/// # Shapes
/// - a, b: `[batch, dimension, frames]`
/// - kept: `[batch, 1, 1]`
fn distance<B: Backend>(a: Tensor<B, 3>, b: Tensor<B, 3>, kept: &Tensor<B, 3>) -> Tensor<B, 1> {
    let difference = a - b;
    let of_rows = difference.clone().mul(difference).mean_dim(2).mean_dim(1);
    of_rows.mul(kept.clone()).mean()
}
