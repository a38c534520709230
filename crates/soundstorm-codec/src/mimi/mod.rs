//! Mimi (Défossez et al. 2024, "Moshi: a speech-text foundation model for real-time dialogue",
//! section 3.3): causal SEANet and transformers around a quantizer whose first level is semantic.

mod attention;
mod config;
mod hub_config;
pub mod import;
mod long;
mod quantizer;
mod resample;
mod stream;
mod transformer;

pub use attention::{KeyValues, WindowAttention};
pub use config::MimiConfig;
pub use hub_config::{HubConfig, RopeParameters};
pub use quantizer::{ProjectedQuantizer, SplitNorms, SplitQuantizer};
pub use resample::{Downsample, Upsample};
pub use stream::{MimiDecoderState, MimiEncoderState};
pub use transformer::{Transformer, TransformerLayer, TransformerState};

use burn::prelude::*;

use crate::seanet::{SeanetDecoder, SeanetEncoder};
use crate::{Carry, Codec, CodecError, CodecSpec, ConfigError};

/// The codec's name in a [`CodecSpec`], a configuration's `model_type` and errors.
pub const NAME: &str = "mimi";

/// Mimi, with its weight norms folded in.
#[derive(Module, Debug)]
pub struct Mimi<B: Backend> {
    /// Audio to two vectors for a frame of codes.
    pub encoder: SeanetEncoder<B>,
    /// Over all of these.
    pub encoder_transformer: Transformer<B>,
    /// To one vector a frame.
    pub downsample: Downsample<B>,
    /// Vectors to codes and back.
    pub quantizer: SplitQuantizer<B>,
    /// Back to two vectors a frame.
    pub upsample: Upsample<B>,
    /// Over all of these.
    pub decoder_transformer: Transformer<B>,
    /// Vectors to audio.
    pub decoder: SeanetDecoder<B>,
    config: MimiConfig,
}

impl MimiConfig {
    /// A codec with random weights.
    ///
    /// # Errors
    /// What [`MimiConfig::validate`] finds.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<Mimi<B>, ConfigError> {
        self.validate()?;
        let seanet = self.seanet();
        Ok(Mimi {
            encoder: seanet.init_encoder(device),
            encoder_transformer: self.init_transformer(device),
            downsample: Downsample::new(self.dimension, device),
            quantizer: self.init_quantizer(device),
            upsample: Upsample::new(self.dimension, device),
            decoder_transformer: self.init_transformer(device),
            decoder: seanet.init_decoder(device),
            config: self.clone(),
        })
    }
}

impl<B: Backend> Mimi<B> {
    /// The configuration that this codec was built from.
    pub fn config(&self) -> &MimiConfig {
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
        self.spec().check_audio(&audio)?;
        let x = self.encoder.forward(self.own_type(audio));
        let x = self.encoder_transformer.forward(x);
        Ok(self.downsample.stream(x, &mut Carry::default()))
    }

    /// What is made of codes before the decoder's own layers.
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

    /// Weights may have been cast to fewer bits than the audio.
    fn own_type(&self, audio: Tensor<B, 3>) -> Tensor<B, 3> {
        audio.cast(self.encoder.input.weight.val().dtype())
    }
}

impl<B: Backend> Codec<B> for Mimi<B> {
    fn spec(&self) -> CodecSpec {
        self.config.spec()
    }

    fn encode(
        &self,
        audio: Tensor<B, 3>,
        levels: Option<usize>,
    ) -> Result<Tensor<B, 3, Int>, CodecError> {
        let levels = self.spec().check_levels("encode", levels)?;
        let x = self.embed_audio(audio)?;
        Ok(self.quantizer.encode(x, &self.quantizer.norms(levels)))
    }

    fn decode(&self, codes: Tensor<B, 3, Int>) -> Result<Tensor<B, 3>, CodecError> {
        let x = self.embed_codes(codes)?;
        let x = self.upsample.stream(x, &mut Carry::default());
        Ok(self.decoder.forward(self.decoder_transformer.forward(x)))
    }
}
