//! Whichever codec a model folder holds.

use burn::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Codec, CodecError, CodecSpec, ConfigError, Mimi, MimiConfig, SpeechTokenizer,
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
    /// `mimi`
    #[serde(rename = "mimi")]
    Mimi(MimiConfig),
}

impl CodecConfig {
    /// The codec in numbers.
    pub fn spec(&self) -> CodecSpec {
        match self {
            Self::SpeechTokenizer(config) => config.spec(),
            Self::Mimi(config) => config.spec(),
        }
    }

    /// A codec with random weights.
    ///
    /// # Errors
    /// A configuration that makes no network.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<AnyCodec<B>, ConfigError> {
        Ok(match self {
            Self::SpeechTokenizer(config) => AnyCodec::SpeechTokenizer(config.init(device)?),
            Self::Mimi(config) => AnyCodec::Mimi(config.init(device)?),
        })
    }
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
    /// Mimi.
    Mimi(Mimi<B>),
}

impl<B: Backend> AnyCodec<B> {
    /// The configuration that this codec was built from.
    pub fn config(&self) -> CodecConfig {
        match self {
            Self::SpeechTokenizer(codec) => CodecConfig::SpeechTokenizer(codec.config().clone()),
            Self::Mimi(codec) => CodecConfig::Mimi(codec.config().clone()),
        }
    }
}

impl<B: Backend> Codec<B> for AnyCodec<B> {
    fn spec(&self) -> CodecSpec {
        match self {
            Self::SpeechTokenizer(codec) => codec.spec(),
            Self::Mimi(codec) => codec.spec(),
        }
    }

    fn encode(
        &self,
        audio: Tensor<B, 3>,
        levels: Option<usize>,
    ) -> Result<Tensor<B, 3, Int>, CodecError> {
        match self {
            Self::SpeechTokenizer(codec) => codec.encode(audio, levels),
            Self::Mimi(codec) => codec.encode(audio, levels),
        }
    }

    fn decode(&self, codes: Tensor<B, 3, Int>) -> Result<Tensor<B, 3>, CodecError> {
        match self {
            Self::SpeechTokenizer(codec) => codec.decode(codes),
            Self::Mimi(codec) => codec.decode(codes),
        }
    }
}
