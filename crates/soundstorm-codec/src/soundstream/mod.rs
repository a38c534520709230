//! SoundStream (Zeghidour et al. 2021, "SoundStream: An End-to-End Neural Audio Codec") as
//! audiolm-pytorch 2.4.0 has it: causal convolutions and local attention around a residual
//! quantizer.

mod attention;
mod config;
mod decoder;
mod encoder;
pub mod import;
mod position_bias;
mod quantizer;
mod residual;
mod shapes;
mod squeeze_excite;
mod transformer;
mod xpos;

pub use attention::LocalAttention;
pub use config::SoundStreamConfig;
pub use decoder::{SoundStreamDecoder, SoundStreamDecoderStage};
pub use encoder::{SoundStreamEncoder, SoundStreamEncoderStage};
pub use position_bias::DynamicPositionBias;
pub use quantizer::GroupedQuantizer;
pub use residual::SoundStreamResidualUnit;
pub use shapes::ShapesError;
pub use squeeze_excite::SqueezeExcite;
pub use transformer::{LocalLayer, LocalTransformer};

use burn::prelude::*;

use crate::conv::pad_zeros;
use crate::receptive::Window;
use crate::{
    Codec, CodecError, CodecSpec, ConfigError, Context, Convolutional, PaddedConv1dConfig, Padding,
};

/// The codec's name in a [`CodecSpec`], a configuration's `model_type` and errors.
pub const NAME: &str = "soundstream";

/// Audio channels: the package flattens all others to rows of a batch.
const CHANNELS: usize = 1;
/// Taps of the convolutions beside the audio and of the dilated ones.
const KERNEL: usize = 7;
/// Taps of the encoder's last convolution.
const ENCODER_KERNEL: usize = 3;
/// Taps of the decoder's first convolution.
const DECODER_KERNEL: usize = 7;
/// Residual units in a stage.
const UNITS: usize = 3;

/// SoundStream.
///
/// Audio is filled up with zeros to whole frames before it is encoded, where the package cuts off
/// what is more. Signals too short to be mirrored are filled up, too, and cut afterwards; the
/// package fails there. No layer looks ahead, so other frames stay as they are.
///
/// Levels are counted over all groups, the levels of one group after another. With several groups
/// their number is a multiple of the groups': as many of each group's coarsest.
#[derive(Module, Debug)]
pub struct SoundStream<B: Backend> {
    /// Audio to vectors.
    pub encoder: SoundStreamEncoder<B>,
    /// Over the vectors of a window.
    pub encoder_transformer: Option<LocalTransformer<B>>,
    /// Vectors to codes and back.
    pub quantizer: GroupedQuantizer<B>,
    /// Over the vectors of a window.
    pub decoder_transformer: Option<LocalTransformer<B>>,
    /// Vectors to audio.
    pub decoder: SoundStreamDecoder<B>,
    config: SoundStreamConfig,
}

impl SoundStreamConfig {
    /// A codec with random weights.
    ///
    /// # Errors
    /// What [`SoundStreamConfig::validate`] finds.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<SoundStream<B>, ConfigError> {
        self.validate()?;
        Ok(SoundStream {
            encoder: self.init_encoder(device),
            encoder_transformer: self.init_transformer(device),
            quantizer: self.init_quantizer(device),
            decoder_transformer: self.init_transformer(device),
            decoder: self.init_decoder(device),
            config: self.clone(),
        })
    }

    /// A convolution padded as most of them are.
    fn conv(&self, channels_in: usize, channels_out: usize, kernel: usize) -> PaddedConv1dConfig {
        PaddedConv1dConfig::new(channels_in, channels_out, kernel)
            .with_padding(Padding::Causal)
            .with_pad_mode(self.pad_mode)
    }
}

impl<B: Backend> SoundStream<B> {
    /// The configuration that this codec was built from.
    pub fn config(&self) -> &SoundStreamConfig {
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
        let frames = spec.frames(samples);
        let filled = frames.max(self.config.shortest_encoded()) * spec.hop;
        // Weights may have been cast to fewer bits than the audio.
        let audio = audio.cast(self.encoder.input.weight.val().dtype());
        let x = self.encoder.forward(pad_zeros(audio, 0, filled - samples));
        let x = x.narrow(2, 0, frames);
        Ok(match &self.encoder_transformer {
            Some(transformer) => transformer.forward(x),
            None => x,
        })
    }

    /// What is made of codes before the decoder's own layers.
    ///
    /// # Shapes
    /// - codes: `[batch, levels, frames]`, group by group
    /// - output: `[batch, dimension, frames]`
    ///
    /// # Errors
    /// No frames, zero levels or more than the codec has or not as many in every group, a code
    /// outside its codebook.
    pub fn embed_codes(&self, codes: Tensor<B, 3, Int>) -> Result<Tensor<B, 3>, CodecError> {
        let [_, levels, _] = codes.dims();
        self.spec().check_codes(&codes)?;
        self.check_groups("decode", levels)?;
        Ok(self.quantizer.decode(codes))
    }

    /// Fails unless every group has as many levels.
    fn check_groups(&self, operation: &'static str, levels: usize) -> Result<(), CodecError> {
        let SoundStreamConfig { groups, .. } = self.config;
        if levels.is_multiple_of(groups) {
            return Ok(());
        }
        Err(CodecError::GroupLevels {
            operation,
            codec: NAME.to_owned(),
            groups,
            got: levels,
        })
    }
}

impl<B: Backend> Codec<B> for SoundStream<B> {
    fn spec(&self) -> CodecSpec {
        self.config.spec()
    }

    /// The levels of one group after another: with several groups fewer levels are no prefix of all.
    fn encode(
        &self,
        audio: Tensor<B, 3>,
        levels: Option<usize>,
    ) -> Result<Tensor<B, 3, Int>, CodecError> {
        let levels = self.spec().check_levels("encode", levels)?;
        self.check_groups("encode", levels)?;
        Ok(self.quantizer.encode(self.embed_audio(audio)?, levels))
    }

    fn decode(&self, codes: Tensor<B, 3, Int>) -> Result<Tensor<B, 3>, CodecError> {
        let x = self.embed_codes(codes)?;
        let [_, _, frames] = x.dims();
        let missing = self.config.shortest_decoded().saturating_sub(frames);
        let x = pad_zeros(x, 0, missing);
        let x = match &self.decoder_transformer {
            Some(transformer) => transformer.forward(x),
            None => x,
        };
        let wave = self.decoder.forward(x);
        Ok(wave.narrow(2, 0, frames * self.config.hop()))
    }
}

impl<B: Backend> Convolutional<B> for SoundStream<B> {
    fn encoder_context(&self) -> Context {
        let mut windows = self.config.encoder_windows();
        windows.extend(self.config.attention_windows());
        let context = Context::of_encoder(&windows, self.config.hop());
        with_mirrored(context, self.config.shortest_encoded())
    }

    fn decoder_context(&self) -> Context {
        let mut windows: Vec<Window> = self.config.attention_windows().collect();
        windows.extend(self.config.decoder_windows());
        let context = Context::of_decoder(&windows, self.config.hop());
        with_mirrored(context, self.config.shortest_decoded())
    }
}

/// No layer sees anything later, but what is mirrored before the first frames stands after them.
fn with_mirrored(context: Context, shortest: usize) -> Context {
    Context {
        right: context.right.max(shortest - 1),
        ..context
    }
}
