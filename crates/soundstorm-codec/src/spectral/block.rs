//! The ConvNeXt block at frame rate (Liu et al. 2022, arXiv 2201.03545; Siuzdak 2023, section 3.2).

use burn::module::{Initializer, Param};
use burn::prelude::*;
use soundstorm_nn::{
    LayerNorm, LayerNormConfig, Linear, LinearConfig, depthwise, linear, linear_swish,
};

use super::SpectralConfig;
use crate::init::uniform;

/// A depthwise convolution over frames, then a layer of more channels and back, added to what
/// came in.
///
/// Swish stands where ConvNeXt has GELU: it is one pass together with the layer before it, and as
/// smooth.
#[derive(Module, Debug)]
pub struct ConvNeXtBlock<B: Backend> {
    /// The convolution's taps, `[dimension, 1, kernel]`
    pub weight: Param<Tensor<B, 3>>,
    /// The convolution's bias, `[dimension]`
    pub bias: Param<Tensor<B, 1>>,
    /// After the convolution.
    pub norm: LayerNorm<B>,
    /// To more channels.
    pub up: Linear<B>,
    /// And back.
    pub down: Linear<B>,
    /// How much of each channel is added, `[dimension]`
    pub scale: Param<Tensor<B, 1>>,
}

impl SpectralConfig {
    /// # Arguments
    /// - `blocks`: how many of them add to one sum; each starts with its share of it
    pub(super) fn init_blocks<B: Backend>(
        &self,
        blocks: usize,
        device: &B::Device,
    ) -> Vec<ConvNeXtBlock<B>> {
        let (dimension, inside) = (self.dimension, self.dimension * self.expansion);
        let scale = Initializer::Constant {
            value: (blocks.max(1) as f64).recip(),
        };
        let block = |_| ConvNeXtBlock {
            weight: uniform([dimension, 1, self.kernel], self.kernel, device),
            bias: uniform([dimension], self.kernel, device),
            norm: LayerNormConfig::new(dimension).init(device),
            up: LinearConfig::new(dimension, inside).init(device),
            down: LinearConfig::new(inside, dimension).init(device),
            scale: scale.init([dimension], device),
        };
        (0..blocks).map(block).collect()
    }
}

impl<B: Backend> ConvNeXtBlock<B> {
    /// # Shapes
    /// - x, output: `[batch, frames, dimension]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [_, _, kernel] = self.weight.dims();
        let padding = [kernel / 2, (kernel - 1) / 2];
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let branch = depthwise(x.clone(), weight, bias, padding, None);
        let branch = linear_swish(self.norm.forward(branch), &self.up);
        x + linear(branch, &self.down) * self.scale.val().unsqueeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance, activation};

    type B = burn_flex::Flex;

    fn config() -> SpectralConfig {
        SpectralConfig {
            dimension: 5,
            expansion: 2,
            kernel: 3,
            ..SpectralConfig::default()
        }
    }

    fn signal() -> Tensor<B, 3> {
        let normal = Distribution::Normal(0.0, 1.0);
        Tensor::random([2, 11, 5], normal, &Default::default())
    }

    /// Tap by tap and in plain operations.
    #[test]
    fn a_block_follows_its_definition() {
        let block = &config().init_blocks::<B>(3, &Default::default())[0];
        let x = signal();
        let zeros = Tensor::zeros([2, 1, 5], &Default::default());
        let padded = Tensor::cat(vec![zeros.clone(), x.clone(), zeros], 1);
        let tap = |tap: usize| {
            let weight = block.weight.val().narrow(2, tap, 1).reshape([1, 1, 5]);
            padded.clone().narrow(1, tap, 11) * weight
        };
        let y = tap(0) + tap(1) + tap(2) + block.bias.val().unsqueeze();
        let (variance, mean) = y.clone().var_mean_bias(2);
        let y = (y - mean) / (variance + 1e-5).sqrt();
        let layer = |x: Tensor<B, 3>, layer: &Linear<B>| {
            let bias = layer.bias.as_ref().expect("by default").val();
            x.matmul(layer.weight.val().unsqueeze()) + bias.unsqueeze()
        };
        let y = layer(activation::silu(layer(y, &block.up)), &block.down);
        let expected = x.clone() + y / 3;
        block
            .forward(x)
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }
}
