//! EnCodec while the audio is still coming: a causal codec without norms over time keeps the end of
//! each convolution's input and the recurrent layers' states.

use burn::prelude::*;

use super::{Encodec, EncodecNorm, NAME};
use crate::seanet::SeanetState;
use crate::streaming::check_rows;
use crate::{Codec, CodecError, HalfNorms, StreamingCodec};

/// What [`Encodec`] keeps of a stream that it encodes.
///
/// It belongs to the codec that made it, with the weights that this had then.
#[derive(Debug, Clone)]
pub struct EncodecEncoderState<B: Backend> {
    half_norms: HalfNorms<B>,
    rows: Option<usize>,
    /// Samples that make no whole frame yet, or not as many as the stream begins with,
    /// `[batch, channels, samples]`.
    waiting: Option<Tensor<B, 3>>,
    /// Frames that the stream begins with; none once it has begun.
    first_piece: usize,
    encoder: SeanetState<B>,
}

/// What [`Encodec`] keeps of a stream that it decodes.
#[derive(Debug, Clone)]
pub struct EncodecDecoderState<B: Backend> {
    rows: Option<usize>,
    /// Fewer vectors than the stream begins with, `[batch, dimension, frames]`.
    waiting: Option<Tensor<B, 3>>,
    /// Frames that the stream begins with; none once it has begun.
    first_piece: usize,
    decoder: SeanetState<B>,
}

impl<B: Backend> EncodecEncoderState<B> {
    /// How many numbers of the past it holds, samples that wait for their frame aside.
    pub fn numbers(&self) -> usize {
        self.encoder.numbers()
    }
}

impl<B: Backend> EncodecDecoderState<B> {
    /// How many numbers of the past it holds.
    pub fn numbers(&self) -> usize {
        self.decoder.numbers()
    }
}

impl<B: Backend> Encodec<B> {
    /// What keeps this codec from being streamed, if anything does.
    pub(crate) fn looks_ahead(&self) -> Option<&'static str> {
        let config = &self.config;
        if config.chunks.is_some() {
            Some("it encodes in chunks")
        } else if config.normalize {
            Some("it divides the audio by the loudness of all of it")
        } else if !config.causal {
            Some("its convolutions are not causal")
        } else if config.norm == EncodecNorm::TimeGroupNorm {
            Some("its norms are taken over all frames")
        } else if config.trim_right_percent < 100 {
            Some("its transposed convolutions are trimmed on the left")
        } else {
            None
        }
    }

    fn check_streamed(&self, operation: &'static str) -> Result<(), CodecError> {
        match self.looks_ahead() {
            None => Ok(()),
            Some(reason) => Err(CodecError::NotStreamed {
                operation,
                codec: NAME.to_owned(),
                reason,
            }),
        }
    }
}

/// What waited, and what has come now.
fn join<B: Backend>(waiting: Option<Tensor<B, 3>>, new: Tensor<B, 3>) -> Tensor<B, 3> {
    match waiting {
        Some(waiting) => Tensor::cat(vec![waiting, new], 2),
        None => new,
    }
}

impl<B: Backend> StreamingCodec<B> for Encodec<B> {
    type EncoderState = EncodecEncoderState<B>;
    type DecoderState = EncodecDecoderState<B>;

    fn start_encoding(&self, levels: Option<usize>) -> Result<Self::EncoderState, CodecError> {
        self.check_streamed("encode")?;
        let levels = self.spec().check_levels("encode", levels)?;
        Ok(EncodecEncoderState {
            half_norms: self.quantizer.half_norms(levels),
            rows: None,
            waiting: None,
            first_piece: self.encoder.first_piece(),
            encoder: self.encoder.start(),
        })
    }

    fn encode_piece(
        &self,
        state: &mut Self::EncoderState,
        audio: Tensor<B, 3>,
    ) -> Result<Option<Tensor<B, 3, Int>>, CodecError> {
        let (spec, [rows, _, samples]) = (self.spec(), audio.dims());
        check_rows("encode", state.rows, rows)?;
        if samples == 0 {
            return Ok(None);
        }
        spec.check_audio(&audio)?;
        state.rows = Some(rows);
        let audio = join(state.waiting.take(), self.own_type(audio));
        let [_, _, samples] = audio.dims();
        let frames = samples / spec.hop;
        if frames == 0 || frames < state.first_piece {
            state.waiting = Some(audio);
            return Ok(None);
        }
        state.first_piece = 0;
        let whole = frames * spec.hop;
        if whole < samples {
            state.waiting = Some(audio.clone().narrow(2, whole, samples - whole));
        }
        let audio = audio.narrow(2, 0, whole);
        let x = self.encoder.stream(audio, &mut state.encoder);
        Ok(Some(self.quantizer.encode_with(x, &state.half_norms)))
    }

    fn finish_encoding(&self, mut state: Self::EncoderState) -> Option<Tensor<B, 3, Int>> {
        let last = state.waiting.take()?;
        let x = match state.first_piece {
            0 => self.encoder.stream(last, &mut state.encoder),
            // All there is.
            _ => self.encoder.forward(last),
        };
        Some(self.quantizer.encode_with(x, &state.half_norms))
    }

    fn start_decoding(&self) -> Result<Self::DecoderState, CodecError> {
        self.check_streamed("decode")?;
        Ok(EncodecDecoderState {
            rows: None,
            waiting: None,
            first_piece: self.decoder.first_piece(),
            decoder: self.decoder.start(),
        })
    }

    fn decode_piece(
        &self,
        state: &mut Self::DecoderState,
        codes: Tensor<B, 3, Int>,
    ) -> Result<Option<Tensor<B, 3>>, CodecError> {
        let [rows, _, _] = codes.dims();
        check_rows("decode", state.rows, rows)?;
        let vectors = self.embed_codes(codes)?;
        state.rows = Some(rows);
        let vectors = join(state.waiting.take(), vectors);
        if vectors.dims()[2] < state.first_piece {
            state.waiting = Some(vectors);
            return Ok(None);
        }
        state.first_piece = 0;
        Ok(Some(self.decoder.stream(vectors, &mut state.decoder)))
    }

    fn finish_decoding(&self, state: Self::DecoderState) -> Option<Tensor<B, 3>> {
        // All there is: a stream that has begun keeps none waiting.
        state.waiting.map(|vectors| self.decoder.forward(vectors))
    }
}
