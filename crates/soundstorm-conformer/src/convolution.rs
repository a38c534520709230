//! The conformer's convolution module (arXiv 2005.08100, section 2.2), with
//! padding kept out of the depthwise convolution so that a row's output does not
//! depend on its batch-mates.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    nn::{Dropout, DropoutConfig},
    tensor::{Bool, Tensor, backend::Backend},
};
use soundstorm_nn::{
    ChannelNorm, ChannelNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, depthwise,
    linear_glu, swish,
};

use crate::{BranchEnd, Modulation, adaptive_norm::modulate};

/// Configuration of [`ConvolutionModule`].
#[derive(Config, Debug)]
pub struct ConvolutionModuleConfig {
    /// Channels of input and output.
    pub dim: usize,
    /// Channels of the depthwise convolution, as a multiple of `dim`.
    #[config(default = 2)]
    pub expansion_factor: usize,
    /// Frames that the depthwise convolution sees.
    #[config(default = 31)]
    pub kernel_size: usize,
    /// Whether it sees no frame after its own.
    #[config(default = false)]
    pub causal: bool,
    /// Dropout of the output, in training.
    #[config(default = 0.0)]
    pub dropout: f64,
}

/// Norm, pointwise convolution, GLU, depthwise convolution, Swish, channel
/// norm, pointwise convolution.
///
/// Pointwise convolutions are linear layers here, so that frames stay the outer
/// and channels the inner dimension.
#[derive(Module, Debug)]
pub struct ConvolutionModule<B: Backend> {
    /// Norm of the input.
    pub norm: LayerNorm<B>,
    /// `dim` to `2 * expansion_factor * dim`, which the GLU halves.
    pub expand: Linear<B>,
    /// Depthwise kernels, `[channels, 1, kernel_size]`.
    pub depthwise_weight: Param<Tensor<B, 3>>,
    /// Bias of the depthwise convolution, `[channels]`.
    pub depthwise_bias: Param<Tensor<B, 1>>,
    /// Norm over the channels.
    pub channel_norm: ChannelNorm<B>,
    /// `expansion_factor * dim` to `dim`.
    pub contract: Linear<B>,
    dropout: Dropout,
    pad_left: usize,
    pad_right: usize,
}

impl ConvolutionModuleConfig {
    /// A module with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> ConvolutionModule<B> {
        let channels = self.dim * self.expansion_factor;
        let kernel = self.kernel_size;
        let initializer = Initializer::KaimingUniform {
            gain: 1.0 / 3f64.sqrt(),
            fan_out_only: false,
        };
        // An even kernel sees one frame more before its own than after it.
        let (pad_left, pad_right) = if self.causal {
            (kernel.saturating_sub(1), 0)
        } else {
            (kernel / 2, (kernel / 2).saturating_sub((kernel + 1) % 2))
        };
        ConvolutionModule {
            norm: LayerNormConfig::new(self.dim).init(device),
            expand: LinearConfig::new(self.dim, 2 * channels).init(device),
            depthwise_weight: initializer.init_with(
                [channels, 1, kernel],
                Some(kernel),
                None,
                device,
            ),
            depthwise_bias: initializer.init_with([channels], Some(kernel), None, device),
            channel_norm: ChannelNormConfig::new(channels).init(device),
            contract: LinearConfig::new(channels, self.dim).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            pad_left,
            pad_right,
        }
    }
}

impl<B: Backend> ConvolutionModule<B> {
    /// What the block adds to its residual.
    ///
    /// # Shapes
    /// - `x`, output: `[batch, frames, dim]`
    /// - `mask`: `[batch, frames]`, true for real frames
    pub fn forward(&self, x: Tensor<B, 3>, mask: Option<Tensor<B, 2, Bool>>) -> Tensor<B, 3> {
        self.end().forward(self.hidden(x, mask, None))
    }

    /// Everything but the last layer, `[batch, frames, expansion_factor * dim]`.
    pub(crate) fn hidden(
        &self,
        x: Tensor<B, 3>,
        mask: Option<Tensor<B, 2, Bool>>,
        modulation: Option<&Modulation<B>>,
    ) -> Tensor<B, 3> {
        let x = modulate(self.norm.forward(x), modulation);
        let x = linear_glu(x, &self.expand);
        let x = depthwise(
            x,
            self.depthwise_weight.val(),
            self.depthwise_bias.val(),
            [self.pad_left, self.pad_right],
            mask.as_ref(),
        );
        self.channel_norm.forward(swish(x))
    }

    /// What follows it.
    pub(crate) fn end(&self) -> BranchEnd<'_, B> {
        BranchEnd {
            linear: &self.contract,
            dropout: Some(&self.dropout),
            scale: 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData, Tolerance};

    type B = burn_flex::Flex;

    fn module(kernel_size: usize, causal: bool) -> ConvolutionModule<B> {
        let mut module = ConvolutionModuleConfig::new(5)
            .with_expansion_factor(3)
            .with_kernel_size(kernel_size)
            .with_causal(causal)
            .init(&Default::default());
        // A padding frame that is only zero before the first layer is told from
        // one that is zero in the convolution by the biases alone.
        module.expand.bias = module.expand.bias.map(|bias| bias.map(|b| b.ones_like()));
        module
    }

    fn random(frames: usize) -> Tensor<B, 3> {
        Tensor::random(
            [1, frames, 5],
            Distribution::Normal(0.0, 1.0),
            &Default::default(),
        )
    }

    /// The output frames that change when one input frame does.
    fn reach(module: &ConvolutionModule<B>, frames: usize, changed: usize) -> Vec<usize> {
        let x = random(frames);
        let bump = Tensor::<B, 3>::ones([1, 1, 5], &Default::default()) * 3.0 * random(1);
        let moved = x
            .clone()
            .slice_assign([0..1, changed..changed + 1, 0..5], bump);
        let change: Vec<f32> = (module.forward(x, None) - module.forward(moved, None))
            .abs()
            .max_dim(2)
            .into_data()
            .iter::<f32>()
            .collect();
        (0..frames).filter(|&frame| change[frame] > 1e-6).collect()
    }

    #[test]
    fn each_kernel_sees_its_own_frames() {
        assert_eq!(reach(&module(3, false), 11, 5), [4, 5, 6]);
        assert_eq!(reach(&module(4, false), 11, 5), [4, 5, 6, 7]);
        assert_eq!(reach(&module(4, true), 11, 5), [5, 6, 7, 8]);
        assert_eq!(reach(&module(1, false), 11, 5), [5]);
        assert_eq!(reach(&module(31, false), 7, 5), [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn padding_does_not_leak() {
        let module = module(7, false);
        let (short, long) = (random(6), random(11));
        let padded = Tensor::cat(vec![short.clone(), long.narrow(1, 6, 5)], 1);
        let mask = TensorData::new((0..11).map(|f| f < 6).collect::<Vec<_>>(), [1, 11]);
        let mask = Tensor::from_data(mask, &Default::default());
        let got = module.forward(padded, Some(mask)).narrow(1, 0, 6);
        let alone = module.forward(short, None);
        got.into_data()
            .assert_approx_eq::<f32>(&alone.into_data(), Tolerance::absolute(1e-6));
    }
}
