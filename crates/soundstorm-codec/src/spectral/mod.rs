//! A codec of spectra in the manner of Vocos (Siuzdak 2023, arXiv 2306.00814): all layers work at
//! the frame rate, and a transform with fixed weights does what strided convolutions do elsewhere,
//! so it costs a small part of their time to run and to train.

mod block;
mod config;
mod decoder;
mod encoder;
mod features;
mod head;
mod train;

pub use block::ConvNeXtBlock;
pub use config::SpectralConfig;
pub use decoder::SpectralDecoder;
pub use encoder::SpectralEncoder;
pub use head::SpectralHead;
pub use train::Reconstruction;

use burn::prelude::*;

use crate::conv::pad_zeros;
use crate::dac::{DacQuantizer, DacQuantizerConfig};
use crate::{Codec, CodecError, CodecSpec, ConfigError, Context, Convolutional};

/// The codec's name in a [`CodecSpec`], a configuration's `model_type` and errors.
pub const NAME: &str = "spectral";

/// Audio channels.
const CHANNELS: usize = 1;

/// The spectral codec.
///
/// Audio is filled up with zeros to whole frames before it is encoded.
#[derive(Module, Debug)]
pub struct SpectralCodec<B: Backend> {
    /// Audio to vectors.
    pub encoder: SpectralEncoder<B>,
    /// Vectors to codes and back, each level by directions in a few dimensions, as DAC's.
    pub quantizer: DacQuantizer<B>,
    /// Vectors to audio.
    pub decoder: SpectralDecoder<B>,
    config: SpectralConfig,
}

impl SpectralConfig {
    /// A codec with random weights.
    ///
    /// # Errors
    /// What [`SpectralConfig::validate`] finds.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<SpectralCodec<B>, ConfigError> {
        self.validate()?;
        let quantizer = DacQuantizerConfig {
            dimension: self.dimension,
            codebook_size: self.codebook_size,
            codebook_dimension: self.codebook_dimension,
            levels: self.num_quantizers,
        };
        Ok(SpectralCodec {
            encoder: self.init_encoder(device),
            quantizer: quantizer.init(device),
            decoder: self.init_decoder(device),
            config: self.clone(),
        })
    }
}

impl<B: Backend> SpectralCodec<B> {
    /// The configuration that this codec was built from.
    pub fn config(&self) -> &SpectralConfig {
        &self.config
    }

    /// What the quantizer is given.
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
        Ok(self.encoder.forward(pad_zeros(audio, 0, missing)))
    }

    /// What the decoder is given: the sum of what the codes stand for. Of the first level alone
    /// it is what that level says.
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

impl<B: Backend> Codec<B> for SpectralCodec<B> {
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

    fn decode(&self, codes: Tensor<B, 3, Int>) -> Result<Tensor<B, 3>, CodecError> {
        Ok(self.decoder.forward(self.embed_codes(codes)?))
    }
}

impl<B: Backend> Convolutional<B> for SpectralCodec<B> {
    fn encoder_context(&self) -> Context {
        Context::of_encoder(&self.config.encoder_windows(), self.config.hop)
    }

    fn decoder_context(&self) -> Context {
        Context::of_decoder(&self.config.decoder_windows(), self.config.hop)
    }
}
