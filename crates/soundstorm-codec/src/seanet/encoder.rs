//! The SEANet encoder: audio to frames.

use burn::prelude::*;

use super::{SeanetConfig, SeanetResidualBlock};
use crate::{Activation, Lstm, LstmConfig, PaddedConv1d};

/// Audio to one vector a frame.
#[derive(Module, Debug)]
pub struct SeanetEncoder<B: Backend> {
    /// From the audio's channels to the first stage's.
    pub input: PaddedConv1d<B>,
    /// The stages, the one nearest to the audio first.
    pub stages: Vec<SeanetEncoderStage<B>>,
    /// Recurrent layers over all frames.
    pub lstm: Option<Lstm<B>>,
    /// Before the last convolution.
    pub activation: Activation<B>,
    /// To the dimension of the vectors.
    pub output: PaddedConv1d<B>,
}

/// Residual blocks, then fewer frames of twice as many channels.
#[derive(Module, Debug)]
pub struct SeanetEncoderStage<B: Backend> {
    /// Residual blocks, with growing dilation.
    pub residuals: Vec<SeanetResidualBlock<B>>,
    /// Before the strided convolution.
    pub activation: Activation<B>,
    /// The strided convolution.
    pub downsample: PaddedConv1d<B>,
}

impl SeanetConfig {
    /// An encoder with random weights.
    pub fn init_encoder<B: Backend>(&self, device: &B::Device) -> SeanetEncoder<B> {
        let stage = |(index, &stride): (usize, &usize)| {
            let channels = self.filters << index;
            let residual = |block| SeanetResidualBlock::new(self, channels, block, device);
            SeanetEncoderStage {
                residuals: (0..self.residual_layers).map(residual).collect(),
                activation: self.activation.init(channels, device),
                downsample: self
                    .conv(channels, 2 * channels, 2 * stride)
                    .with_stride(stride)
                    .init(device),
            }
        };
        let widest = self.widest();
        let output = widest * self.directions();
        let lstm = LstmConfig::new(widest, self.lstm_layers).with_bidirectional(self.bidirectional);
        SeanetEncoder {
            input: self
                .conv(self.channels, self.filters, self.kernel)
                .init(device),
            stages: self.strides.iter().rev().enumerate().map(stage).collect(),
            lstm: (self.lstm_layers > 0).then(|| lstm.init(device)),
            activation: self.activation.init(output, device),
            output: self
                .conv(output, self.dimension, self.last_kernel)
                .init(device),
        }
    }
}

impl<B: Backend> SeanetEncoder<B> {
    /// # Shapes
    /// - audio: `[batch, channels, samples]`
    /// - output: `[batch, dimension, ceil(samples / hop)]`
    pub fn forward(&self, audio: Tensor<B, 3>) -> Tensor<B, 3> {
        let mut x = self.input.forward(audio);
        for stage in &self.stages {
            x = stage.forward(x);
        }
        if let Some(lstm) = &self.lstm {
            x = lstm.forward(x);
        }
        self.output.forward(self.activation.forward(x))
    }
}

impl<B: Backend> SeanetEncoderStage<B> {
    /// # Shapes
    /// - x: `[batch, channels, frames]`
    /// - output: `[batch, 2 * channels, ceil(frames / stride)]`
    pub fn forward(&self, mut x: Tensor<B, 3>) -> Tensor<B, 3> {
        for residual in &self.residuals {
            x = residual.forward(x);
        }
        self.downsample.forward(self.activation.forward(x))
    }
}
