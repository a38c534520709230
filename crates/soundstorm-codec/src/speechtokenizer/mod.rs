//! SpeechTokenizer (Zhang et al. 2023, "SpeechTokenizer: Unified Speech Tokenizer for Speech
//! Language Models"): SEANet with recurrent layers around a residual quantizer whose first level is semantic.

mod config;
pub mod import;
mod long;

pub use config::{PackageConfig, SpeechTokenizerConfig};

use burn::prelude::*;

use crate::seanet::{SeanetDecoder, SeanetEncoder};
use crate::{
    Codec, CodecError, CodecSpec, ConfigError, ResidualVectorQuantizer,
    ResidualVectorQuantizerConfig,
};

/// The codec's name in a [`CodecSpec`], a configuration's `model_type` and errors.
pub const NAME: &str = "speechtokenizer";

/// SpeechTokenizer, with its weight norms folded in.
#[derive(Module, Debug)]
pub struct SpeechTokenizer<B: Backend> {
    /// Audio to vectors.
    pub encoder: SeanetEncoder<B>,
    /// Vectors to codes and back.
    pub quantizer: ResidualVectorQuantizer<B>,
    /// Vectors to audio.
    pub decoder: SeanetDecoder<B>,
    config: SpeechTokenizerConfig,
}

impl SpeechTokenizerConfig {
    /// A codec with random weights.
    ///
    /// # Errors
    /// What [`SpeechTokenizerConfig::validate`] finds.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<SpeechTokenizer<B>, ConfigError> {
        self.validate()?;
        let seanet = self.seanet();
        let quantizer = ResidualVectorQuantizerConfig {
            dimension: self.dimension,
            codebook_size: self.codebook_size,
            levels: self.num_quantizers,
        };
        Ok(SpeechTokenizer {
            encoder: seanet.init_encoder(device),
            quantizer: quantizer.init(device),
            decoder: seanet.init_decoder(device),
            config: self.clone(),
        })
    }
}

impl<B: Backend> SpeechTokenizer<B> {
    /// The configuration that this codec was built from.
    pub fn config(&self) -> &SpeechTokenizerConfig {
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
        self.spec().check_audio(&audio)?;
        // Weights may have been cast to fewer bits than the audio.
        let dtype = self.encoder.input.weight.val().dtype();
        Ok(self.encoder.forward(audio.cast(dtype)))
    }

    /// What the decoder is given: the sum of the codes' vectors.
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

impl<B: Backend> Codec<B> for SpeechTokenizer<B> {
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
