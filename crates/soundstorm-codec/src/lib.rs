//! Neural audio codecs: residual vector quantization, the SEANet encoder and
//! decoder, SpeechTokenizer, EnCodec, DAC, Mimi, SoundStream and one of spectra, with what
//! training them takes: trainable quantizers and losses.
//!
//! Everything is generic over burn's `Backend`, opens no files and keeps no
//! global state. Inside, codes are always integers
//! `[batch, quantizers, frames]`, the coarsest level first.
#![doc = include_str!("../README.md")]

mod activation;
mod any;
mod band;
mod carry;
mod chunked;
mod codec;
mod conv;
mod conv_transpose;
pub mod dac;
pub mod encodec;
mod error;
mod group_norm;
pub mod import;
mod init;
mod limits;
mod long;
pub mod losses;
mod lstm;
pub mod mimi;
mod preset;
mod quantize;
mod receptive;
mod rvq;
pub mod seanet;
pub mod soundstream;
pub mod spectral;
pub mod speechtokenizer;
pub mod stft;
mod streaming;
mod weight_norm;

pub use activation::{Activation, ActivationKind};
pub use any::{AnyCodec, CodecConfig};
pub use carry::Carry;
pub use chunked::Convolutional;
pub use codec::{Codec, CodecSpec, ScaledCodes};
pub use conv::{PadMode, PaddedConv1d, PaddedConv1dConfig, Padding, pad};
pub use conv_transpose::{TrimmedConvTranspose1d, TrimmedConvTranspose1dConfig};
pub use dac::{Dac, DacConfig};
pub use encodec::{Encodec, EncodecConfig};
pub use error::{CodecError, ConfigError};
pub use group_norm::{ConvNorm, TimeGroupNorm};
pub use long::{LongAudio, LongDecoder, LongEncoder, LongOptions};
pub use lstm::{Lstm, LstmConfig, LstmLayer, LstmState};
pub use mimi::{Mimi, MimiConfig};
pub use preset::CodecPreset;
pub use quantize::{
    AveragesConfig, CodebookAverages, LevelAverages, Quantized, draw_levels, k_means,
};
pub use receptive::{Context, Window};
pub use rvq::{HalfNorms, ResidualVectorQuantizer, ResidualVectorQuantizerConfig};
pub use soundstream::{SoundStream, SoundStreamConfig};
pub use spectral::{SpectralCodec, SpectralConfig};
pub use speechtokenizer::{SpeechTokenizer, SpeechTokenizerConfig};
pub use streaming::StreamingCodec;
pub use weight_norm::fold_weight_norm;
