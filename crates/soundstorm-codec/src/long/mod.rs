//! Audio of any length in bounded memory: pushed piece by piece, whatever the codec.

mod convolutional;
mod decoder;
mod encoder;
mod queue;
mod stream;
mod window;

pub use decoder::LongDecoder;
pub use encoder::LongEncoder;

pub(crate) use decoder::{DecodeForm, join as join_wave};
pub(crate) use encoder::{EncodeForm, join as join_codes};
pub(crate) use queue::Queue;
pub(crate) use stream::{StreamDecoder, StreamEncoder};
pub(crate) use window::{WindowDecoder, WindowEncoder};

use burn::prelude::*;

use crate::{Codec, CodecError, CodecSpec};

/// Samples of a piece: activations of so many take some hundred MiB beside the audio.
const PIECE_SAMPLES: usize = 1 << 18;

/// How long audio is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongOptions {
    /// Frames that are worked on together, at least 1. Memory grows with them; what pieces share
    /// costs time once a piece.
    pub piece: usize,
    /// A signal of so many frames or fewer is done whole, by [`Codec::encode_scaled`] and
    /// [`Codec::decode_scaled`].
    pub whole: usize,
    /// Frames on either side of a piece that recurrent layers see besides, where they run in a
    /// direction from which nothing can be kept; of no account for codecs that are exact.
    pub overlap: usize,
}

impl LongOptions {
    /// About 2^18 samples a piece, and whole what fits into one.
    pub fn new(spec: &CodecSpec) -> Self {
        let piece = (PIECE_SAMPLES / spec.hop).max(1);
        Self {
            piece,
            whole: piece,
            overlap: 0,
        }
    }
}

/// A codec for audio of any length.
///
/// What is implemented here holds everything back and works on the whole, which bounds nothing: for
/// codecs that have no way to do it piece by piece.
pub trait LongAudio<B: Backend>: Codec<B> + Sized {
    /// Options that suit this codec.
    fn long_options(&self) -> LongOptions {
        LongOptions::new(&self.spec())
    }

    /// Takes audio and gives codes.
    ///
    /// # Arguments
    /// - `levels`: how many levels to encode, all if `None`
    ///
    /// # Errors
    /// Zero levels or more than the codec has.
    fn long_encoder(
        &self,
        levels: Option<usize>,
        options: &LongOptions,
    ) -> Result<LongEncoder<'_, B>, CodecError> {
        LongEncoder::new(self, levels, options, None)
    }

    /// Takes codes and gives audio.
    fn long_decoder(&self, options: &LongOptions) -> LongDecoder<'_, B> {
        LongDecoder::new(self, options, None)
    }
}
