//! The decoder of DAC (Kumar et al. 2023): frames to audio.

use burn::prelude::*;

use super::config::CHANNELS;
use super::residual::{DILATIONS, DacResidualUnit, dilated};
use super::{DacConfig, KERNEL, convolution};
use crate::receptive::Window;
use crate::{
    Activation, ActivationKind, PaddedConv1d, PaddedConv1dConfig, TrimmedConvTranspose1d,
    TrimmedConvTranspose1dConfig,
};

/// One vector a frame to audio.
#[derive(Module, Debug)]
pub struct DacDecoder<B: Backend> {
    /// From the dimension of the vectors to the widest stage's channels.
    pub input: PaddedConv1d<B>,
    /// The stages, the one nearest to the audio last.
    pub stages: Vec<DacDecoderStage<B>>,
    /// Before the last convolution.
    pub activation: Activation<B>,
    /// To the audio's channels.
    pub output: PaddedConv1d<B>,
}

/// More frames of half as many channels, then residual units.
#[derive(Module, Debug)]
pub struct DacDecoderStage<B: Backend> {
    /// Before the transposed convolution.
    pub activation: Activation<B>,
    /// The transposed convolution.
    pub upsample: TrimmedConvTranspose1d<B>,
    /// Residual units, with growing dilation.
    pub residuals: Vec<DacResidualUnit<B>>,
    stride: usize,
}

/// The convolutions of a decoder, as far as they differ from stage to stage.
struct Convolutions {
    input: PaddedConv1dConfig,
    /// One for each stage, the one nearest to the audio last.
    upsample: Vec<TrimmedConvTranspose1dConfig>,
    output: PaddedConv1dConfig,
}

impl Convolutions {
    fn new(config: &DacConfig) -> Self {
        let channels = |stage: usize| config.decoder_channels >> stage;
        let upsample = |(index, &stride): (usize, &usize)| {
            let (wide, narrow) = (channels(index), channels(index + 1));
            TrimmedConvTranspose1dConfig::new(wide, narrow, 2 * stride, stride)
        };
        let stages = config.strides.iter().enumerate();
        Self {
            input: convolution(config.dimension, channels(0), KERNEL),
            upsample: stages.map(upsample).collect(),
            output: convolution(channels(config.strides.len()), CHANNELS, KERNEL),
        }
    }
}

impl DacConfig {
    /// A decoder with random weights.
    pub(super) fn init_decoder<B: Backend>(&self, device: &B::Device) -> DacDecoder<B> {
        let convolutions = Convolutions::new(self);
        let stage = |upsample: &TrimmedConvTranspose1dConfig| DacDecoderStage {
            activation: ActivationKind::Snake.init(upsample.channels_in, device),
            upsample: upsample.init(device),
            residuals: DacResidualUnit::stage(upsample.channels_out, device),
            stride: upsample.stride,
        };
        DacDecoder {
            input: convolutions.input.init(device),
            stages: convolutions.upsample.iter().map(stage).collect(),
            activation: ActivationKind::Snake.init(convolutions.output.channels_in, device),
            output: convolutions.output.init(device),
        }
    }

    /// What each layer of the decoder sees, up to the audio.
    pub(super) fn decoder_windows(&self) -> Vec<Window> {
        let convolutions = Convolutions::new(self);
        let mut windows = vec![Window::from(&convolutions.input)];
        for upsample in &convolutions.upsample {
            let units = DILATIONS.map(|dilation| dilated(upsample.channels_out, dilation));
            windows.push(Window::from(upsample));
            windows.extend(units.iter().map(Window::from));
        }
        windows.push(Window::from(&convolutions.output));
        windows
    }
}

impl<B: Backend> DacDecoder<B> {
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, channels, samples]`, within ±1; see [`DacConfig::decoded_samples`]
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let mut x = self.input.forward(x);
        for stage in &self.stages {
            x = stage.forward(x);
        }
        self.output.forward(self.activation.forward(x)).tanh()
    }
}

impl<B: Backend> DacDecoderStage<B> {
    /// # Shapes
    /// - x: `[batch, channels, frames]`
    /// - output: `[batch, channels / 2, frames * stride]`, a sample less for an odd stride
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let x = self.upsample.forward(self.activation.forward(x));
        // An odd overlap is trimmed on both sides alike, which leaves a sample less.
        let [_, _, samples] = x.dims();
        let mut x = x.narrow(2, 0, samples - self.stride % 2);
        for residual in &self.residuals {
            x = residual.forward(x);
        }
        x
    }
}
