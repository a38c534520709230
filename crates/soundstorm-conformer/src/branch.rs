//! The end of a residual branch: its last linear layer, dropout, and how much of
//! it counts (half, for a feed-forward; arXiv 2005.08100, section 2.3).

use burn::{
    nn::{Dropout, Linear},
    tensor::{Tensor, backend::Backend},
};
use soundstorm_nn::{add_linear, linear};

/// What ends a branch.
#[derive(Debug)]
pub struct BranchEnd<'a, B: Backend> {
    /// The last layer.
    pub linear: &'a Linear<B>,
    /// Dropout of its output, in training.
    pub dropout: Option<&'a Dropout>,
    /// What its output is multiplied by.
    pub scale: f64,
}

impl<B: Backend> BranchEnd<'_, B> {
    /// The branch's output.
    ///
    /// # Shapes
    /// - `hidden`: `[batch, frames, input of the layer]`
    /// - output: `[batch, frames, dim]`
    pub fn forward(&self, hidden: Tensor<B, 3>) -> Tensor<B, 3> {
        let x = linear(hidden, self.linear);
        let x = match self.dropout {
            Some(dropout) => dropout.forward(x),
            None => x,
        };
        if self.scale == 1.0 { x } else { x * self.scale }
    }

    /// The branch's output added to a residual, `[batch, frames, dim]`.
    pub(crate) fn add_to(&self, residual: Tensor<B, 3>, hidden: Tensor<B, 3>) -> Tensor<B, 3> {
        match self.dropout {
            Some(dropout) if dropout.prob > 0.0 => residual + self.forward(hidden),
            _ => add_linear(residual, self.scale, hidden, self.linear),
        }
    }
}
