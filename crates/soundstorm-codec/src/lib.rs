//! Neural audio codecs: residual vector quantization, the SEANet encoder and
//! decoder, SpeechTokenizer, and Mimi.
//!
//! Everything is generic over burn's `Backend`, opens no files and keeps no
//! global state. Inside, codes are always integers
//! `[batch, quantizers, frames]`, the coarsest level first.
#![doc = include_str!("../README.md")]

mod activation;
mod any;
mod carry;
mod codec;
mod conv;
mod conv_transpose;
mod error;
pub mod import;
mod init;
mod lstm;
pub mod mimi;
mod rvq;
pub mod seanet;
pub mod speechtokenizer;
mod streaming;
mod weight_norm;

pub use activation::{Activation, ActivationKind};
pub use any::{AnyCodec, CodecConfig};
pub use carry::Carry;
pub use codec::{Codec, CodecSpec};
pub use conv::{PadMode, PaddedConv1d, PaddedConv1dConfig, Padding, pad};
pub use conv_transpose::{TrimmedConvTranspose1d, TrimmedConvTranspose1dConfig};
pub use error::{CodecError, ConfigError};
pub use lstm::{Lstm, LstmConfig, LstmLayer};
pub use mimi::{Mimi, MimiConfig};
pub use rvq::{HalfNorms, ResidualVectorQuantizer, ResidualVectorQuantizerConfig};
pub use speechtokenizer::{SpeechTokenizer, SpeechTokenizerConfig};
pub use streaming::StreamingCodec;
pub use weight_norm::fold_weight_norm;
