//! The SEANet decoder: frames to audio.

use burn::prelude::*;

use super::{SeanetConfig, SeanetResidualBlock};
use crate::{Activation, Lstm, LstmConfig, PaddedConv1d, TrimmedConvTranspose1d};

/// One vector a frame to audio.
#[derive(Module, Debug)]
pub struct SeanetDecoder<B: Backend> {
    /// From the dimension of the vectors to the widest stage's channels.
    pub input: PaddedConv1d<B>,
    /// Recurrent layers over all frames.
    pub lstm: Option<Lstm<B>>,
    /// The stages, the one nearest to the audio last.
    pub stages: Vec<SeanetDecoderStage<B>>,
    /// Before the last convolution.
    pub activation: Activation<B>,
    /// To the audio's channels.
    pub output: PaddedConv1d<B>,
}

/// More frames of half as many channels, then residual blocks.
#[derive(Module, Debug)]
pub struct SeanetDecoderStage<B: Backend> {
    /// Before the transposed convolution.
    pub activation: Activation<B>,
    /// The transposed convolution.
    pub upsample: TrimmedConvTranspose1d<B>,
    /// Residual blocks, with growing dilation.
    pub residuals: Vec<SeanetResidualBlock<B>>,
}

impl SeanetConfig {
    /// A decoder with random weights; its recurrent layers run forward only.
    pub fn init_decoder<B: Backend>(&self, device: &B::Device) -> SeanetDecoder<B> {
        let widest = self.widest();
        let stage = |(index, &stride): (usize, &usize)| {
            let channels = widest >> index;
            let residual = |block| SeanetResidualBlock::new(self, channels / 2, block, device);
            SeanetDecoderStage {
                activation: self.activation.init(channels, device),
                upsample: self
                    .conv_transpose(channels, channels / 2, stride)
                    .init(device),
                residuals: (0..self.residual_layers).map(residual).collect(),
            }
        };
        let lstm = LstmConfig::new(widest, self.lstm_layers);
        SeanetDecoder {
            input: self.conv(self.dimension, widest, self.kernel).init(device),
            lstm: (self.lstm_layers > 0).then(|| lstm.init(device)),
            stages: self.strides.iter().enumerate().map(stage).collect(),
            activation: self.activation.init(self.filters, device),
            output: self
                .conv(self.filters, self.channels, self.last_kernel)
                .init(device),
        }
    }
}

impl<B: Backend> SeanetDecoder<B> {
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, channels, frames * hop]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let mut x = self.input.forward(x);
        if let Some(lstm) = &self.lstm {
            x = lstm.forward(x);
        }
        for stage in &self.stages {
            x = stage.forward(x);
        }
        self.output.forward(self.activation.forward(x))
    }
}

impl<B: Backend> SeanetDecoderStage<B> {
    /// # Shapes
    /// - x: `[batch, channels, frames]`
    /// - output: `[batch, channels / 2, frames * stride]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let mut x = self.upsample.forward(self.activation.forward(x));
        for residual in &self.residuals {
            x = residual.forward(x);
        }
        x
    }
}
