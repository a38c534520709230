//! One number for each frame: a linear layer of one output.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    tensor::{DType, Tensor, backend::Backend},
};

/// Configuration of [`ScoreHead`].
#[derive(Config, Debug)]
pub struct ScoreHeadConfig {
    /// Channels.
    pub dim: usize,
    /// Scores that are told apart.
    #[config(default = 1)]
    pub outputs: usize,
}

/// A score for each frame.
#[derive(Module, Debug)]
pub struct ScoreHead<B: Backend> {
    /// `[outputs, dim]`.
    pub weight: Param<Tensor<B, 2>>,
    /// `[outputs]`.
    pub bias: Param<Tensor<B, 1>>,
}

impl ScoreHeadConfig {
    /// A head with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> ScoreHead<B> {
        let uniform = Initializer::KaimingUniform {
            gain: 1.0 / 3f64.sqrt(),
            fan_out_only: false,
        };
        let fan_in = Some(self.dim);
        ScoreHead {
            weight: uniform.init_with([self.outputs, self.dim], fan_in, None, device),
            bias: uniform.init_with([self.outputs], fan_in, None, device),
        }
    }
}

impl<B: Backend> ScoreHead<B> {
    /// One of the scores, in single precision.
    ///
    /// # Shapes
    /// - `x`: `[batch, frames, dim]`
    /// - output: `[batch, frames]`
    pub fn forward(&self, x: Tensor<B, 3>, output: usize) -> Tensor<B, 2> {
        let [batch, frames, dim] = x.dims();
        let weight = self.weight.val().narrow(0, output, 1).cast(DType::F32);
        let bias = self.bias.val().narrow(0, output, 1).cast(DType::F32);
        // Not a product with one column: fused with what follows it, that is wrong on CUDA in burn
        // 0.21.
        let weighed = x.cast(DType::F32) * weight.reshape([1, 1, dim]);
        weighed.sum_dim(2).reshape([batch, frames]) + bias.unsqueeze()
    }
}
