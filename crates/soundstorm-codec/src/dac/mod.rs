//! The Descript Audio Codec (Kumar et al. 2023, "High-Fidelity Audio Compression with Improved
//! RVQGAN"): convolutions with Snake activations around a residual quantizer with projected codebooks.

mod config;
mod decoder;
mod encoder;
mod hub;
pub mod import;
mod quantizer;
mod residual;

pub use config::DacConfig;
pub use decoder::{DacDecoder, DacDecoderStage};
pub use encoder::{DacEncoder, DacEncoderStage};
pub use hub::HubConfig;
pub use quantizer::{DacCodebook, DacQuantizer, DacQuantizerConfig};
pub use residual::DacResidualUnit;

use burn::prelude::*;

use crate::conv::pad_zeros;
use crate::{
    Codec, CodecError, CodecSpec, ConfigError, Context, Convolutional, PadMode, PaddedConv1dConfig,
};

/// The codec's name in a [`CodecSpec`], a configuration's `model_type` and errors.
pub const NAME: &str = "dac";

/// Taps of all convolutions that have no name of their own for it.
const KERNEL: usize = 7;

/// A convolution as all of DAC's are: centered, with zeros around.
fn convolution(channels_in: usize, channels_out: usize, kernel: usize) -> PaddedConv1dConfig {
    PaddedConv1dConfig::new(channels_in, channels_out, kernel).with_pad_mode(PadMode::Zero)
}

/// The Descript Audio Codec, with its weight norms folded in.
///
/// Audio is filled up with zeros to whole frames before it is encoded. Decoding
/// gives [`DacConfig::decoded_samples`]: where a stride is odd, as at 16 and
/// 24 kHz, a few less than the frames' (8 of them, at the end).
#[derive(Module, Debug)]
pub struct Dac<B: Backend> {
    /// Audio to vectors.
    pub encoder: DacEncoder<B>,
    /// Vectors to codes and back.
    pub quantizer: DacQuantizer<B>,
    /// Vectors to audio.
    pub decoder: DacDecoder<B>,
    config: DacConfig,
}

impl DacConfig {
    /// A codec with random weights.
    ///
    /// # Errors
    /// What [`DacConfig::validate`] finds.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<Dac<B>, ConfigError> {
        self.validate()?;
        Ok(Dac {
            encoder: self.init_encoder(device),
            quantizer: self.init_quantizer(device),
            decoder: self.init_decoder(device),
            config: self.clone(),
        })
    }
}

impl<B: Backend> Dac<B> {
    /// The configuration that this codec was built from.
    pub fn config(&self) -> &DacConfig {
        &self.config
    }

    /// What the quantizer is given: the encoder's output.
    ///
    /// # Shapes
    /// - audio: `[batch, 1, samples]`
    /// - output: `[batch, dimension, ceil(samples / hop)]`
    ///
    /// # Errors
    /// Empty audio, another number of channels, a sample that is not finite.
    pub fn embed_audio(&self, audio: Tensor<B, 3>) -> Result<Tensor<B, 3>, CodecError> {
        let spec = self.spec();
        spec.check_audio(&audio)?;
        let [_, _, samples] = audio.dims();
        let missing = spec.frames(samples) * spec.hop - samples;
        // Weights may have been cast to fewer bits than the audio.
        let dtype = self.encoder.input.weight.val().dtype();
        let audio = pad_zeros(audio.cast(dtype), 0, missing);
        Ok(self.encoder.forward(audio))
    }

    /// What the decoder is given: the sum of what the codes stand for.
    ///
    /// # Shapes
    /// - codes: `[batch, levels, frames]`, 1 to all levels, the coarsest first
    /// - output: `[batch, dimension, frames]`
    ///
    /// # Errors
    /// No frames, zero levels or more than the codec has, a code outside its codebook.
    pub fn embed_codes(&self, codes: Tensor<B, 3, Int>) -> Result<Tensor<B, 3>, CodecError> {
        self.spec().check_codes(&codes)?;
        Ok(self.quantizer.decode(codes))
    }
}

impl<B: Backend> Codec<B> for Dac<B> {
    fn spec(&self) -> CodecSpec {
        self.config.spec()
    }

    fn encode(
        &self,
        audio: Tensor<B, 3>,
        levels: Option<usize>,
    ) -> Result<Tensor<B, 3, Int>, CodecError> {
        let levels = self.spec().check_levels("encode", levels)?;
        Ok(self.quantizer.encode(self.embed_audio(audio)?, levels))
    }

    /// Within ±1, and [`DacConfig::decoded_samples`] samples.
    fn decode(&self, codes: Tensor<B, 3, Int>) -> Result<Tensor<B, 3>, CodecError> {
        Ok(self.decoder.forward(self.embed_codes(codes)?))
    }
}

impl<B: Backend> Convolutional<B> for Dac<B> {
    fn encoder_context(&self) -> Context {
        Context::of_encoder(&self.config.encoder_windows(), self.config.hop())
    }

    fn decoder_context(&self) -> Context {
        Context::of_decoder(&self.config.decoder_windows(), self.config.hop())
    }
}
