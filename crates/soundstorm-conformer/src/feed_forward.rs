//! The conformer's feed-forward module (arXiv 2005.08100, section 2.3).

use burn::{
    config::Config,
    module::Module,
    nn::{Dropout, DropoutConfig},
    tensor::{Tensor, backend::Backend},
};
use soundstorm_nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig, linear_swish};

use crate::{BranchEnd, Modulation, adaptive_norm::modulate};

/// Configuration of [`FeedForward`].
#[derive(Config, Debug)]
pub struct FeedForwardConfig {
    /// Channels of input and output.
    pub dim: usize,
    /// Width of the hidden layer, as a multiple of `dim`.
    #[config(default = 4)]
    pub mult: usize,
    /// Dropout after each of the two layers, in training.
    #[config(default = 0.0)]
    pub dropout: f64,
}

/// Norm, expansion, Swish, contraction, halved: the conformer adds half a step.
#[derive(Module, Debug)]
pub struct FeedForward<B: Backend> {
    /// Norm of the input.
    pub norm: LayerNorm<B>,
    /// `dim` to `mult * dim`.
    pub expand: Linear<B>,
    /// `mult * dim` to `dim`.
    pub contract: Linear<B>,
    dropout: Dropout,
}

impl FeedForwardConfig {
    /// A module with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> FeedForward<B> {
        let hidden = self.dim * self.mult;
        FeedForward {
            norm: LayerNormConfig::new(self.dim).init(device),
            expand: LinearConfig::new(self.dim, hidden).init(device),
            contract: LinearConfig::new(hidden, self.dim).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

impl<B: Backend> FeedForward<B> {
    /// What the block adds to its residual.
    ///
    /// # Shapes
    /// - input, output: `[batch, frames, dim]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        self.end().forward(self.hidden(x, None))
    }

    /// The hidden layer, `[batch, frames, mult * dim]`.
    pub(crate) fn hidden(
        &self,
        x: Tensor<B, 3>,
        modulation: Option<&Modulation<B>>,
    ) -> Tensor<B, 3> {
        let x = modulate(self.norm.forward(x), modulation);
        let hidden = linear_swish(x, &self.expand);
        self.dropout.forward(hidden)
    }

    /// What follows it.
    pub(crate) fn end(&self) -> BranchEnd<'_, B> {
        BranchEnd {
            linear: &self.contract,
            dropout: Some(&self.dropout),
            scale: 0.5,
        }
    }
}
