//! The encoder of SoundStream (Zeghidour et al. 2021, section III-A): audio to frames, by causal
//! convolutions.

use burn::prelude::*;

use super::residual::SoundStreamResidualUnit;
use super::{CHANNELS, ENCODER_KERNEL, KERNEL, SoundStreamConfig};
use crate::receptive::Window;
use crate::{PadMode, PaddedConv1d, PaddedConv1dConfig};

/// Audio to one vector a frame.
#[derive(Module, Debug)]
pub struct SoundStreamEncoder<B: Backend> {
    /// From the audio's channels to the first stage's.
    pub input: PaddedConv1d<B>,
    /// The stages, the one nearest to the audio first.
    pub stages: Vec<SoundStreamEncoderStage<B>>,
    /// To the dimension of the vectors.
    pub output: PaddedConv1d<B>,
}

/// Residual units, then fewer frames of other channels.
#[derive(Module, Debug)]
pub struct SoundStreamEncoderStage<B: Backend> {
    /// Residual units.
    pub residuals: Vec<SoundStreamResidualUnit<B>>,
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
    fn new(config: &SoundStreamConfig) -> Self {
        let channels = config.stage_channels();
        let downsample = |(&stride, pair): (&usize, &[usize])| {
            // The package passes its padding on to all convolutions but these.
            config
                .conv(pair[0], pair[1], 2 * stride)
                .with_stride(stride)
                .with_pad_mode(PadMode::Reflect)
        };
        let stages = config.strides.iter().zip(channels.windows(2));
        let last = channels[channels.len() - 1];
        Self {
            input: config.conv(CHANNELS, channels[0], KERNEL),
            downsample: stages.map(downsample).collect(),
            output: config.conv(last, config.dimension, ENCODER_KERNEL),
        }
    }
}

impl SoundStreamConfig {
    /// An encoder with random weights.
    pub(super) fn init_encoder<B: Backend>(&self, device: &B::Device) -> SoundStreamEncoder<B> {
        let convolutions = Convolutions::new(self);
        let stage = |downsample: &PaddedConv1dConfig| SoundStreamEncoderStage {
            residuals: self.init_units(downsample.channels_in, &self.encoder_dilations, device),
            downsample: downsample.init(device),
        };
        SoundStreamEncoder {
            input: convolutions.input.init(device),
            stages: convolutions.downsample.iter().map(stage).collect(),
            output: convolutions.output.init(device),
        }
    }

    /// What each convolution of the encoder sees, from the audio on.
    pub(super) fn encoder_windows(&self) -> Vec<Window> {
        let convolutions = Convolutions::new(self);
        let mut windows = vec![Window::from(&convolutions.input)];
        for downsample in &convolutions.downsample {
            let units = self.dilated(downsample.channels_in, &self.encoder_dilations);
            windows.extend(units.iter().map(Window::from));
            windows.push(Window::from(downsample));
        }
        windows.push(Window::from(&convolutions.output));
        windows
    }
}

impl<B: Backend> SoundStreamEncoder<B> {
    /// # Shapes
    /// - audio: `[batch, 1, frames * hop]`
    /// - output: `[batch, dimension, frames]`
    pub fn forward(&self, audio: Tensor<B, 3>) -> Tensor<B, 3> {
        let mut x = self.input.forward(audio);
        for stage in &self.stages {
            x = stage.forward(x);
        }
        self.output.forward(x)
    }
}

impl<B: Backend> SoundStreamEncoderStage<B> {
    /// # Shapes
    /// - x: `[batch, channels, frames * stride]`
    /// - output: `[batch, next channels, frames]`
    pub fn forward(&self, mut x: Tensor<B, 3>) -> Tensor<B, 3> {
        for residual in &self.residuals {
            x = residual.forward(x);
        }
        self.downsample.forward(x)
    }
}
