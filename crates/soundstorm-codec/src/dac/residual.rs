//! The residual unit of DAC (Kumar et al. 2023): a dilated and a pointwise convolution beside the identity.

use burn::prelude::*;

use super::{KERNEL, convolution};
use crate::{Activation, ActivationKind, PaddedConv1d, PaddedConv1dConfig};

/// Samples from tap to tap in each unit of a stage.
pub(super) const DILATIONS: [usize; 3] = [1, 3, 9];

/// `x + conv_out(snake(conv_in(snake(x))))`.
#[derive(Module, Debug)]
pub struct DacResidualUnit<B: Backend> {
    /// Before the dilated convolution.
    pub activation_in: Activation<B>,
    /// The dilated convolution.
    pub conv_in: PaddedConv1d<B>,
    /// Before the pointwise convolution.
    pub activation_out: Activation<B>,
    /// The pointwise convolution.
    pub conv_out: PaddedConv1d<B>,
}

/// The only convolution of a unit that sees more than one sample.
pub(super) fn dilated(channels: usize, dilation: usize) -> PaddedConv1dConfig {
    convolution(channels, channels, KERNEL).with_dilation(dilation)
}

impl<B: Backend> DacResidualUnit<B> {
    /// The units of a stage, with growing dilation.
    pub(super) fn stage(channels: usize, device: &B::Device) -> Vec<Self> {
        let unit = |dilation| Self {
            activation_in: ActivationKind::Snake.init(channels, device),
            conv_in: dilated(channels, dilation).init(device),
            activation_out: ActivationKind::Snake.init(channels, device),
            conv_out: convolution(channels, channels, 1).init(device),
        };
        DILATIONS.into_iter().map(unit).collect()
    }

    /// # Shapes
    /// - x, output: `[batch, channels, frames]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let y = self.conv_in.forward(self.activation_in.forward(x.clone()));
        x + self.conv_out.forward(self.activation_out.forward(y))
    }
}
