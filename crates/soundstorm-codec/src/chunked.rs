//! Long audio piece by piece: convolutions and windows reach only so far, so overlapping pieces
//! give what the whole gives, in memory that does not grow with the length.

use std::ops::Range;

use burn::prelude::*;

use crate::receptive::Context;
use crate::{Codec, CodecError};

/// A codec without recurrent layers, and without attention but to a window: a frame depends on its
/// neighbours alone.
///
/// Pieces overlap by what the codec reaches and only their inner part is kept, so
/// codes and samples are those of the whole: the same sums but for how a matrix
/// product or a window is split. Time is lost on the overlap, memory on a
/// larger chunk.
pub trait Convolutional<B: Backend>: Codec<B> {
    /// The frames around a frame that hold all the audio that its codes are made from.
    fn encoder_context(&self) -> Context;

    /// The frames around a frame that its samples are made from.
    fn decoder_context(&self) -> Context;

    /// [`Codec::encode`], `chunk_frames` frames at a time.
    ///
    /// # Shapes
    /// - audio: `[batch, channels, samples]`
    /// - output: `[batch, levels, ceil(samples / hop)]`
    ///
    /// # Errors
    /// [`CodecError::EmptyChunk`] for no frames at a time, and what encoding the whole fails with.
    fn encode_chunked(
        &self,
        audio: Tensor<B, 3>,
        levels: Option<usize>,
        chunk_frames: usize,
    ) -> Result<Tensor<B, 3, Int>, CodecError> {
        let spec = self.spec();
        spec.check_levels("encode", levels)?;
        spec.check_audio(&audio)?;
        let [_, _, samples] = audio.dims();
        let mut codes = Vec::new();
        for piece in pieces(spec.frames(samples), chunk_frames, self.encoder_context()).ok_or(
            CodecError::EmptyChunk {
                operation: "encode",
            },
        )? {
            let start = piece.read.start * spec.hop;
            let end = (piece.read.end * spec.hop).min(samples);
            let part = self.encode(audio.clone().narrow(2, start, end - start), levels)?;
            codes.push(part.narrow(2, piece.skip(), piece.keep.len()));
        }
        Ok(Tensor::cat(codes, 2))
    }

    /// [`Codec::decode`], `chunk_frames` frames at a time.
    ///
    /// # Shapes
    /// - codes: `[batch, levels, frames]`
    /// - output: `[batch, channels, samples]`, as many as of the whole
    ///
    /// # Errors
    /// [`CodecError::EmptyChunk`] for no frames at a time, and what decoding the whole fails with.
    fn decode_chunked(
        &self,
        codes: Tensor<B, 3, Int>,
        chunk_frames: usize,
    ) -> Result<Tensor<B, 3>, CodecError> {
        let spec = self.spec();
        spec.check_codes(&codes)?;
        let [_, _, frames] = codes.dims();
        let mut wave = Vec::new();
        for piece in
            pieces(frames, chunk_frames, self.decoder_context()).ok_or(CodecError::EmptyChunk {
                operation: "decode",
            })?
        {
            let read = codes.clone().narrow(2, piece.read.start, piece.read.len());
            let part = self.decode(read)?;
            let start = piece.skip() * spec.hop;
            let end = if piece.keep.end == frames {
                // The last frame may have fewer samples than the others.
                part.dims()[2]
            } else {
                start + piece.keep.len() * spec.hop
            };
            wave.push(part.narrow(2, start, end - start));
        }
        Ok(Tensor::cat(wave, 2))
    }
}

/// Frames to be worked on together.
#[derive(Debug, PartialEq)]
struct Piece {
    /// What goes in.
    read: Range<usize>,
    /// Whose results are kept.
    keep: Range<usize>,
}

impl Piece {
    /// Frames of the result before those that are kept.
    fn skip(&self) -> usize {
        self.keep.start - self.read.start
    }
}

/// The pieces of a signal in order, or `None` for chunks of no frames.
fn pieces(frames: usize, chunk: usize, context: Context) -> Option<impl Iterator<Item = Piece>> {
    let pieces = move |start: usize| {
        let end = start.saturating_add(chunk).min(frames);
        Piece {
            read: start.saturating_sub(context.left)..(end + context.right).min(frames),
            keep: start..end,
        }
    };
    (chunk > 0).then(|| (0..frames).step_by(chunk).map(pieces))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_everything_once_with_their_context() {
        let context = Context { left: 3, right: 2 };
        for chunk in 0..=23 {
            let Some(pieces) = pieces(19, chunk, context) else {
                assert_eq!(chunk, 0);
                continue;
            };
            let mut next = 0;
            for piece in pieces {
                assert_eq!(piece.keep.start, next);
                assert!(piece.keep.len() <= chunk);
                next = piece.keep.end;
                assert_eq!(piece.read.start, piece.keep.start.max(3) - 3);
                assert_eq!(piece.read.end, (piece.keep.end + 2).min(19));
            }
            assert_eq!(next, 19);
        }
        let mut whole = pieces(19, usize::MAX, context).into_iter().flatten();
        let expected = Piece {
            read: 0..19,
            keep: 0..19,
        };
        assert_eq!(whole.next(), Some(expected));
        assert_eq!(whole.next(), None);
    }
}
