//! Codecs that work while the audio is still coming.

use burn::prelude::*;

use crate::{Codec, CodecError};

/// A codec that takes and gives audio piece by piece, with the results of the whole.
///
/// What is known of the past lies in a state that the caller keeps, so one codec serves any number
/// of streams. A state's size and the time for a frame do not grow with the stream.
///
/// A failed call leaves its state as it was.
pub trait StreamingCodec<B: Backend>: Codec<B> {
    /// Of a stream that is encoded.
    type EncoderState;
    /// Of a stream that is decoded.
    type DecoderState;

    /// The state before the first sample.
    ///
    /// # Arguments
    /// - `levels`: how many levels to encode, all if `None`
    ///
    /// # Errors
    /// Zero levels or more than the codec has; [`CodecError::NotStreamed`] where the codec's
    /// configuration looks ahead.
    fn start_encoding(&self, levels: Option<usize>) -> Result<Self::EncoderState, CodecError>;

    /// Encodes as many whole frames as there are with this piece; the rest waits for the next. A
    /// codec whose padding mirrors the start of the signal waits for its first frames together.
    ///
    /// # Shapes
    /// - audio: `[batch, channels, samples]`, any number of samples, also none
    /// - output: `[batch, levels, frames]`, or nothing as long as no frame is whole
    ///
    /// # Errors
    /// No rows or another number of them than before, another number of channels, a sample that is
    /// not finite.
    fn encode_piece(
        &self,
        state: &mut Self::EncoderState,
        audio: Tensor<B, 3>,
    ) -> Result<Option<Tensor<B, 3, Int>>, CodecError>;

    /// Encodes the samples that wait, padded as at the end of the whole.
    ///
    /// # Shapes
    /// - output: `[batch, levels, frames]`, or nothing if none waited
    fn finish_encoding(&self, state: Self::EncoderState) -> Option<Tensor<B, 3, Int>>;

    /// The state before the first frame.
    ///
    /// # Errors
    /// [`CodecError::NotStreamed`] where the codec's configuration looks ahead.
    fn start_decoding(&self) -> Result<Self::DecoderState, CodecError>;

    /// Decodes frames, each at once and for good, but for the first few where padding mirrors the
    /// start of the signal: they wait for each other.
    ///
    /// # Shapes
    /// - codes: `[batch, levels, frames]`, 1 to all of the codec's levels
    /// - output: `[batch, channels, frames * hop]`, of these frames and all that waited, or nothing
    ///   as long as they wait
    ///
    /// # Errors
    /// As [`Codec::decode`]'s, or another number of rows than before.
    fn decode_piece(
        &self,
        state: &mut Self::DecoderState,
        codes: Tensor<B, 3, Int>,
    ) -> Result<Option<Tensor<B, 3>>, CodecError>;

    /// Decodes the frames that wait: of a stream too short to be mirrored.
    ///
    /// # Shapes
    /// - output: `[batch, channels, frames * hop]`, or nothing if none waited
    fn finish_decoding(&self, state: Self::DecoderState) -> Option<Tensor<B, 3>>;
}

/// Fails unless a piece has as many rows as those before it.
pub(crate) fn check_rows(
    operation: &'static str,
    rows: Option<usize>,
    got: usize,
) -> Result<(), CodecError> {
    match rows {
        Some(expected) if expected != got => Err(CodecError::StreamRows {
            operation,
            expected,
            got,
        }),
        _ => Ok(()),
    }
}
