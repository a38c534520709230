//! Layer norm (arXiv 1607.06450) over the channels of a frame.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    tensor::{Tensor, backend::Backend},
};

use crate::norm::{Epsilon, norm};

/// Configuration of [`LayerNorm`].
#[derive(Config, Debug)]
pub struct LayerNormConfig {
    /// Number of channels.
    pub channels: usize,
    /// What is added to the variance.
    #[config(default = 1e-5)]
    pub epsilon: f64,
}

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta` of each frame.
///
/// As burn's, but worked out in single precision where `x` is in half, and on flex with a gradient
/// of one step.
#[derive(Module, Debug)]
pub struct LayerNorm<B: Backend> {
    /// Gain, `[channels]`.
    pub gamma: Param<Tensor<B, 1>>,
    /// Shift, `[channels]`.
    pub beta: Param<Tensor<B, 1>>,
    epsilon: f64,
}

impl LayerNormConfig {
    /// A norm whose gain is one and whose shift is zero.
    pub fn init<B: Backend>(&self, device: &B::Device) -> LayerNorm<B> {
        LayerNorm {
            gamma: Initializer::Ones.init([self.channels], device),
            beta: Initializer::Zeros.init([self.channels], device),
            epsilon: self.epsilon,
        }
    }
}

impl<B: Backend> LayerNorm<B> {
    /// # Shapes
    /// - input, output: `[..., channels]`
    pub fn forward<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        norm(x, gamma, Some(beta), Epsilon::Added(self.epsilon))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{TensorData, Tolerance};

    type B = burn_flex::Flex;

    #[test]
    fn a_frame_is_normed_scaled_and_shifted() {
        let device = Default::default();
        let mut norm = LayerNormConfig::new(2).with_epsilon(5.0).init::<B>(&device);
        norm.gamma = norm.gamma.map(|gamma| gamma * 3.0);
        norm.beta = norm.beta.map(|beta| beta + 7.0);
        // Variances 4 and 0.
        let x = TensorData::new(vec![1.0f32, 5.0, 2.0, 2.0], [2, 2]);
        let got = norm.forward(Tensor::<B, 2>::from_data(x, &device));
        let want = TensorData::new(vec![5.0f32, 9.0, 7.0, 7.0], [2, 2]);
        got.into_data()
            .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-5));
    }
}
