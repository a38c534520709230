//! Whichever codec a model folder holds.

use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Codec, CodecError, CodecSpec, ConfigError, Convolutional, Dac, DacConfig, Encodec,
    EncodecConfig, LongAudio, LongDecoder, LongEncoder, LongOptions, Mimi, MimiConfig, ScaledCodes,
    SoundStream, SoundStreamConfig, SpectralCodec, SpectralConfig, SpeechTokenizer,
    SpeechTokenizerConfig,
};

/// A codec's `config.json`, told apart by its `model_type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "model_type")]
#[non_exhaustive]
pub enum CodecConfig {
    /// `speechtokenizer`
    #[serde(rename = "speechtokenizer")]
    SpeechTokenizer(SpeechTokenizerConfig),
    /// `dac`
    #[serde(rename = "dac")]
    Dac(DacConfig),
    /// `encodec`
    #[serde(rename = "encodec")]
    Encodec(EncodecConfig),
    /// `mimi`
    #[serde(rename = "mimi")]
    Mimi(MimiConfig),
    /// `soundstream`
    #[serde(rename = "soundstream")]
    SoundStream(SoundStreamConfig),
    /// `spectral`
    #[serde(rename = "spectral")]
    Spectral(SpectralConfig),
}

impl CodecConfig {
    /// The codec in numbers.
    pub fn spec(&self) -> CodecSpec {
        match self {
            Self::SpeechTokenizer(config) => config.spec(),
            Self::Dac(config) => config.spec(),
            Self::Encodec(config) => config.spec(),
            Self::Mimi(config) => config.spec(),
            Self::SoundStream(config) => config.spec(),
            Self::Spectral(config) => config.spec(),
        }
    }

    /// A codec with random weights.
    ///
    /// # Errors
    /// A configuration that makes no network.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<AnyCodec<B>, ConfigError> {
        Ok(match self {
            Self::SpeechTokenizer(config) => AnyCodec::SpeechTokenizer(config.init(device)?),
            Self::Dac(config) => AnyCodec::Dac(config.init(device)?),
            Self::Encodec(config) => AnyCodec::Encodec(config.init(device)?),
            Self::Mimi(config) => AnyCodec::Mimi(config.init(device)?),
            Self::SoundStream(config) => AnyCodec::SoundStream(config.init(device)?),
            Self::Spectral(config) => AnyCodec::Spectral(config.init(device)?),
        })
    }
}

/// What each of the codecs does, whichever it is.
macro_rules! each {
    ($any:expr, $codec:ident => $done:expr) => {
        match $any {
            AnyCodec::SpeechTokenizer($codec) => $done,
            AnyCodec::Dac($codec) => $done,
            AnyCodec::Encodec($codec) => $done,
            AnyCodec::Mimi($codec) => $done,
            AnyCodec::SoundStream($codec) => $done,
            AnyCodec::Spectral($codec) => $done,
        }
    };
}

/// Any of this crate's codecs.
///
/// A visitor sees the variant's name before the codec's own parameters:
/// `SpeechTokenizer.encoder.input.weight`.
#[derive(Module, Debug)]
#[non_exhaustive]
// A program has one or two of them; what they weigh are their tensors, which lie elsewhere.
#[allow(clippy::large_enum_variant)]
pub enum AnyCodec<B: Backend> {
    /// SpeechTokenizer.
    SpeechTokenizer(SpeechTokenizer<B>),
    /// The Descript Audio Codec.
    Dac(Dac<B>),
    /// EnCodec.
    Encodec(Encodec<B>),
    /// Mimi.
    Mimi(Mimi<B>),
    /// SoundStream.
    SoundStream(SoundStream<B>),
    /// The spectral codec.
    Spectral(SpectralCodec<B>),
}

impl<B: Backend> AnyCodec<B> {
    /// The configuration that this codec was built from.
    pub fn config(&self) -> CodecConfig {
        match self {
            Self::SpeechTokenizer(codec) => CodecConfig::SpeechTokenizer(codec.config().clone()),
            Self::Dac(codec) => CodecConfig::Dac(codec.config().clone()),
            Self::Encodec(codec) => CodecConfig::Encodec(codec.config().clone()),
            Self::Mimi(codec) => CodecConfig::Mimi(codec.config().clone()),
            Self::SoundStream(codec) => CodecConfig::SoundStream(codec.config().clone()),
            Self::Spectral(codec) => CodecConfig::Spectral(codec.config().clone()),
        }
    }

    /// The codec as one that can work piece by piece, if it is.
    pub fn as_convolutional(&self) -> Option<&dyn Convolutional<B>> {
        match self {
            Self::Dac(codec) => Some(codec),
            Self::SoundStream(codec) => Some(codec),
            Self::Spectral(codec) => Some(codec),
            _ => None,
        }
    }
}

impl<B: Backend> LongAudio<B> for AnyCodec<B> {
    fn long_options(&self) -> LongOptions {
        each!(self, codec => codec.long_options())
    }

    fn long_encoder(
        &self,
        levels: Option<usize>,
        options: &LongOptions,
    ) -> Result<LongEncoder<'_, B>, CodecError> {
        each!(self, codec => codec.long_encoder(levels, options))
    }

    fn long_decoder(&self, options: &LongOptions) -> LongDecoder<'_, B> {
        each!(self, codec => codec.long_decoder(options))
    }
}

impl<B: Backend> Codec<B> for AnyCodec<B> {
    fn spec(&self) -> CodecSpec {
        each!(self, codec => codec.spec())
    }

    fn frames(&self, samples: usize) -> usize {
        each!(self, codec => codec.frames(samples))
    }

    fn encode(
        &self,
        audio: Tensor<B, 3>,
        levels: Option<usize>,
    ) -> Result<Tensor<B, 3, Int>, CodecError> {
        each!(self, codec => codec.encode(audio, levels))
    }

    fn decode(&self, codes: Tensor<B, 3, Int>) -> Result<Tensor<B, 3>, CodecError> {
        each!(self, codec => codec.decode(codes))
    }

    fn encode_scaled(
        &self,
        audio: Tensor<B, 3>,
        levels: Option<usize>,
    ) -> Result<ScaledCodes<B>, CodecError> {
        each!(self, codec => codec.encode_scaled(audio, levels))
    }

    fn decode_scaled(
        &self,
        codes: Tensor<B, 3, Int>,
        scales: Option<Tensor<B, 2>>,
    ) -> Result<Tensor<B, 3>, CodecError> {
        each!(self, codec => codec.decode_scaled(codes, scales))
    }
}
