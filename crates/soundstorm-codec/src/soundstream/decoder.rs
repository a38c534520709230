//! The decoder of SoundStream (Zeghidour et al. 2021, section III-B): frames to audio, by causal
//! convolutions.

use burn::prelude::*;

use super::residual::SoundStreamResidualUnit;
use super::{CHANNELS, DECODER_KERNEL, KERNEL, SoundStreamConfig};
use crate::receptive::Window;
use crate::{
    PaddedConv1d, PaddedConv1dConfig, Padding, TrimmedConvTranspose1d, TrimmedConvTranspose1dConfig,
};

/// One vector a frame to audio.
#[derive(Module, Debug)]
pub struct SoundStreamDecoder<B: Backend> {
    /// From the dimension of the vectors to the first stage's channels.
    pub input: PaddedConv1d<B>,
    /// The stages, the one nearest to the audio last.
    pub stages: Vec<SoundStreamDecoderStage<B>>,
    /// To the audio's channels.
    pub output: PaddedConv1d<B>,
}

/// More frames of other channels, then residual units.
#[derive(Module, Debug)]
pub struct SoundStreamDecoderStage<B: Backend> {
    /// The transposed convolution.
    pub upsample: TrimmedConvTranspose1d<B>,
    /// Residual units.
    pub residuals: Vec<SoundStreamResidualUnit<B>>,
}

/// The convolutions of a decoder, as far as they differ from stage to stage.
struct Convolutions {
    input: PaddedConv1dConfig,
    /// One for each stage, the one nearest to the audio last.
    upsample: Vec<TrimmedConvTranspose1dConfig>,
    output: PaddedConv1dConfig,
}

impl Convolutions {
    fn new(config: &SoundStreamConfig) -> Self {
        let channels = config.stage_channels();
        let upsample = |(&stride, pair): (&usize, &[usize])| {
            TrimmedConvTranspose1dConfig::new(pair[1], pair[0], 2 * stride, stride)
                .with_padding(Padding::Causal)
        };
        let stages = config.strides.iter().zip(channels.windows(2)).rev();
        let last = channels[channels.len() - 1];
        Self {
            input: config.conv(config.dimension, last, DECODER_KERNEL),
            upsample: stages.map(upsample).collect(),
            output: config.conv(channels[0], CHANNELS, KERNEL),
        }
    }
}

impl SoundStreamConfig {
    /// A decoder with random weights.
    pub(super) fn init_decoder<B: Backend>(&self, device: &B::Device) -> SoundStreamDecoder<B> {
        let convolutions = Convolutions::new(self);
        let stage = |upsample: &TrimmedConvTranspose1dConfig| SoundStreamDecoderStage {
            upsample: upsample.init(device),
            residuals: self.init_units(upsample.channels_out, &self.decoder_dilations, device),
        };
        SoundStreamDecoder {
            input: convolutions.input.init(device),
            stages: convolutions.upsample.iter().map(stage).collect(),
            output: convolutions.output.init(device),
        }
    }

    /// What each convolution of the decoder sees, up to the audio.
    pub(super) fn decoder_windows(&self) -> Vec<Window> {
        let convolutions = Convolutions::new(self);
        let mut windows = vec![Window::from(&convolutions.input)];
        for upsample in &convolutions.upsample {
            let units = self.dilated(upsample.channels_out, &self.decoder_dilations);
            windows.push(Window::from(upsample));
            windows.extend(units.iter().map(Window::from));
        }
        windows.push(Window::from(&convolutions.output));
        windows
    }
}

impl<B: Backend> SoundStreamDecoder<B> {
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, 1, frames * hop]`, not limited to ±1
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let mut x = self.input.forward(x);
        for stage in &self.stages {
            x = stage.forward(x);
        }
        self.output.forward(x)
    }
}

impl<B: Backend> SoundStreamDecoderStage<B> {
    /// # Shapes
    /// - x: `[batch, channels, frames]`
    /// - output: `[batch, next channels, frames * stride]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let mut x = self.upsample.forward(x);
        for residual in &self.residuals {
            x = residual.forward(x);
        }
        x
    }
}
