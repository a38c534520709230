//! The norm over channels that the conformer's convolution module uses, as in
//! soundstorm-pytorch: variance clamped from below, a gain and no shift.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    tensor::{DType, Tensor, backend::Backend},
};

use crate::norm::{Epsilon, norm};

/// Configuration of [`ChannelNorm`].
#[derive(Config, Debug)]
pub struct ChannelNormConfig {
    /// Number of channels.
    pub channels: usize,
}

/// Normalises each frame over its channels: `(x - mean) / sqrt(max(var, eps)) * gamma`.
///
/// `eps` is 1e-6, or 1e-4 in half precision. Unlike a layer norm it is a floor
/// of the variance and not added to it, and there is no shift.
#[derive(Module, Debug)]
pub struct ChannelNorm<B: Backend> {
    /// Gain, `[channels]`.
    pub gamma: Param<Tensor<B, 1>>,
}

impl ChannelNormConfig {
    /// A norm whose gain is one.
    pub fn init<B: Backend>(&self, device: &B::Device) -> ChannelNorm<B> {
        ChannelNorm {
            gamma: Initializer::Ones.init([self.channels], device),
        }
    }
}

impl<B: Backend> ChannelNorm<B> {
    /// # Shapes
    /// - input, output: `[batch, frames, channels]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let floor = match x.dtype() {
            DType::F32 | DType::F64 => 1e-6,
            _ => 1e-4,
        };
        norm(x, self.gamma.val(), None, Epsilon::Floor(floor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{TensorData, Tolerance};

    type B = burn_flex::Flex;

    #[test]
    fn the_floor_is_a_floor_and_gamma_scales() {
        let device = Default::default();
        let mut norm = ChannelNormConfig::new(2).init::<B>(&device);
        norm.gamma = norm.gamma.map(|g| g * 3.0);
        // The first frame has variance 4, the second 1e-8: far below the floor of 1e-6.
        let x = TensorData::new(vec![1.0f32, 5.0, 2.0, 2.0002], [1, 2, 2]);
        let got = norm.forward(Tensor::from_data(x, &device));
        let want = TensorData::new(vec![-3.0f32, 3.0, -0.3, 0.3], [1, 2, 2]);
        got.into_data()
            .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-3));
    }
}
