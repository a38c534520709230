//! The residual block of SEANet: two convolutions around a narrower middle, and a shortcut.

use burn::prelude::*;

use super::SeanetConfig;
use crate::{Activation, PaddedConv1d};

/// `shortcut(x) + conv_out(act(conv_in(act(x))))`.
#[derive(Module, Debug)]
pub struct SeanetResidualBlock<B: Backend> {
    /// Before the dilated convolution.
    pub activation_in: Activation<B>,
    /// The dilated convolution, to fewer channels.
    pub conv_in: PaddedConv1d<B>,
    /// Before the pointwise convolution.
    pub activation_out: Activation<B>,
    /// The pointwise convolution, back to all channels.
    pub conv_out: PaddedConv1d<B>,
    /// The pointwise convolution beside the others; without one the input itself.
    pub shortcut: Option<PaddedConv1d<B>>,
}

impl<B: Backend> SeanetResidualBlock<B> {
    /// Block `index` of a stage with `channels` channels.
    pub(super) fn new(
        config: &SeanetConfig,
        channels: usize,
        index: usize,
        device: &B::Device,
    ) -> Self {
        let inside = channels / config.compress;
        let dilation = config.dilation_base.pow(index as u32);
        Self {
            activation_in: config.activation.init(channels, device),
            conv_in: config
                .conv(channels, inside, config.residual_kernel)
                .with_dilation(dilation)
                .init(device),
            activation_out: config.activation.init(inside, device),
            conv_out: config.conv(inside, channels, 1).init(device),
            shortcut: config
                .conv_shortcut
                .then(|| config.conv(channels, channels, 1).init(device)),
        }
    }

    /// # Shapes
    /// - x, output: `[batch, channels, frames]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let y = self.conv_in.forward(self.activation_in.forward(x.clone()));
        self.join(x, y)
    }

    /// All that follows the dilated convolution, whose output is `y`.
    pub(super) fn join(&self, x: Tensor<B, 3>, y: Tensor<B, 3>) -> Tensor<B, 3> {
        let y = self.conv_out.forward(self.activation_out.forward(y));
        match &self.shortcut {
            Some(shortcut) => shortcut.forward(x) + y,
            None => x + y,
        }
    }
}
