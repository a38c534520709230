//! The encoder of DAC (Kumar et al. 2023): audio to frames.

use burn::prelude::*;

use super::config::CHANNELS;
use super::residual::{DILATIONS, DacResidualUnit, dilated};
use super::{DacConfig, KERNEL, convolution};
use crate::receptive::Window;
use crate::{Activation, ActivationKind, PaddedConv1d, PaddedConv1dConfig};

/// Taps of the last convolution.
pub(super) const OUTPUT_KERNEL: usize = 3;

/// Audio to one vector a frame.
#[derive(Module, Debug)]
pub struct DacEncoder<B: Backend> {
    /// From the audio's channels to the first stage's.
    pub input: PaddedConv1d<B>,
    /// The stages, the one nearest to the audio first.
    pub stages: Vec<DacEncoderStage<B>>,
    /// Before the last convolution.
    pub activation: Activation<B>,
    /// To the dimension of the vectors.
    pub output: PaddedConv1d<B>,
}

/// Residual units, then fewer frames of twice as many channels.
#[derive(Module, Debug)]
pub struct DacEncoderStage<B: Backend> {
    /// Residual units, with growing dilation.
    pub residuals: Vec<DacResidualUnit<B>>,
    /// Before the strided convolution.
    pub activation: Activation<B>,
    /// The strided convolution.
    pub downsample: PaddedConv1d<B>,
}

/// The convolutions of an encoder, as far as they differ from stage to stage.
struct Convolutions {
    input: PaddedConv1dConfig,
    /// One for each stage, the one nearest to the audio first.
    downsample: Vec<PaddedConv1dConfig>,
    output: PaddedConv1dConfig,
}

impl Convolutions {
    fn new(config: &DacConfig) -> Self {
        let channels = config.encoder_channels;
        let downsample = |(index, &stride): (usize, &usize)| {
            let channels = channels << index;
            convolution(channels, 2 * channels, 2 * stride).with_stride(stride)
        };
        let strides = config.strides.iter().rev();
        let widest = channels << config.strides.len();
        Self {
            input: convolution(CHANNELS, channels, KERNEL),
            downsample: strides.enumerate().map(downsample).collect(),
            output: convolution(widest, config.dimension, OUTPUT_KERNEL),
        }
    }
}

impl DacConfig {
    /// An encoder with random weights.
    pub(super) fn init_encoder<B: Backend>(&self, device: &B::Device) -> DacEncoder<B> {
        let convolutions = Convolutions::new(self);
        let stage = |downsample: &PaddedConv1dConfig| DacEncoderStage {
            residuals: DacResidualUnit::stage(downsample.channels_in, device),
            activation: ActivationKind::Snake.init(downsample.channels_in, device),
            downsample: downsample.init(device),
        };
        DacEncoder {
            input: convolutions.input.init(device),
            stages: convolutions.downsample.iter().map(stage).collect(),
            activation: ActivationKind::Snake.init(convolutions.output.channels_in, device),
            output: convolutions.output.init(device),
        }
    }

    /// What each layer of the encoder sees, from the audio on.
    pub(super) fn encoder_windows(&self) -> Vec<Window> {
        let convolutions = Convolutions::new(self);
        let mut windows = vec![Window::from(&convolutions.input)];
        for downsample in &convolutions.downsample {
            let units = DILATIONS.map(|dilation| dilated(downsample.channels_in, dilation));
            windows.extend(units.iter().map(Window::from));
            windows.push(Window::from(downsample));
        }
        windows.push(Window::from(&convolutions.output));
        windows
    }
}

impl<B: Backend> DacEncoder<B> {
    /// # Shapes
    /// - audio: `[batch, channels, samples]`
    /// - output: `[batch, dimension, ceil(samples / hop)]`
    pub fn forward(&self, audio: Tensor<B, 3>) -> Tensor<B, 3> {
        let mut x = self.input.forward(audio);
        for stage in &self.stages {
            x = stage.forward(x);
        }
        self.output.forward(self.activation.forward(x))
    }
}

impl<B: Backend> DacEncoderStage<B> {
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
