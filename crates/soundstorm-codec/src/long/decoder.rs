//! Codes to audio, piece by piece.

use burn::prelude::*;

use super::{LongOptions, Queue};
use crate::streaming::check_rows;
use crate::{Codec, CodecError};

/// How a codec decodes what is too long for it.
pub(crate) trait DecodeForm<B: Backend> {
    /// The samples that can be given with these codes, some frames of them.
    fn push(
        &mut self,
        codes: Tensor<B, 3, Int>,
        scales: Option<Tensor<B, 2>>,
    ) -> Result<Option<Tensor<B, 3>>, CodecError>;

    /// The samples that are left.
    fn finish(self: Box<Self>) -> Result<Option<Tensor<B, 3>>, CodecError>;
}

/// A decoder that codes of any length are pushed into: see
/// [`LongAudio::long_decoder`](super::LongAudio::long_decoder).
///
/// A push that fails for its own codes leaves the decoder as it was.
pub struct LongDecoder<'a, B: Backend> {
    codec: &'a dyn Codec<B>,
    /// Rows and levels.
    sizes: Option<[usize; 2]>,
    /// Frames of a piece.
    piece: usize,
    /// Frames that are done whole.
    whole: usize,
    waiting: Queue<B, 3, Int>,
    scales: Queue<B, 2>,
    begun: bool,
    form: Option<Box<dyn DecodeForm<B> + 'a>>,
}

impl<'a, B: Backend> LongDecoder<'a, B> {
    /// - `form`: what works on pieces, or `None` to decode whatever comes as a whole
    pub(crate) fn new(
        codec: &'a dyn Codec<B>,
        options: &LongOptions,
        form: Option<Box<dyn DecodeForm<B> + 'a>>,
    ) -> Self {
        Self {
            codec,
            sizes: None,
            piece: options.piece.max(1),
            whole: options.whole,
            waiting: Queue::default(),
            scales: Queue::default(),
            begun: false,
            form,
        }
    }

    /// Takes codes; gives the samples that are certain by now.
    ///
    /// # Shapes
    /// - codes: `[batch, levels, frames]`, 1 to all of the codec's levels
    /// - scales: `[batch, chunks]`, of any chunks that follow those whose scales came before, and
    ///   none of them missing when their codes come; `None` throughout for loudness 1
    /// - output: `[batch, channels, samples]`, or nothing
    ///
    /// # Errors
    /// As [`Codec::decode_scaled`]'s, or another number of rows or levels than before.
    pub fn push(
        &mut self,
        codes: Tensor<B, 3, Int>,
        scales: Option<Tensor<B, 2>>,
    ) -> Result<Option<Tensor<B, 3>>, CodecError> {
        let [rows, levels, _] = codes.dims();
        if let Some([expected_rows, expected]) = self.sizes {
            check_rows("decode", Some(expected_rows), rows)?;
            if levels != expected {
                return Err(CodecError::StreamLevels {
                    expected,
                    got: levels,
                });
            }
        }
        self.codec.spec().check_codes(&codes)?;
        if let Some(scales) = &scales {
            check_rows("decode", Some(rows), scales.dims()[0])?;
        }
        self.sizes = Some([rows, levels]);
        self.waiting.push(codes);
        if let Some(scales) = scales {
            self.scales.push(scales);
        }
        let Some(form) = &mut self.form else {
            return Ok(None);
        };
        self.begun |= self.waiting.len() > self.whole;
        let mut wave = Vec::new();
        while self.begun && self.waiting.len() >= self.piece {
            wave.extend(form.push(self.waiting.take(self.piece), self.scales.rest())?);
        }
        Ok(join(wave))
    }

    /// The samples that are left.
    ///
    /// # Shapes
    /// As [`LongDecoder::push`]'s.
    ///
    /// # Errors
    /// [`CodecError::EmptyCodes`] if there were no frames at all, a number of frames or scales that
    /// the codec's chunks never have.
    pub fn finish(mut self) -> Result<Option<Tensor<B, 3>>, CodecError> {
        let (rest, scales) = (self.waiting.rest(), self.scales.rest());
        match (self.form, rest) {
            (Some(mut form), rest) if self.begun => {
                let mut wave = Vec::new();
                if let Some(rest) = rest {
                    wave.extend(form.push(rest, scales)?);
                }
                wave.extend(form.finish()?);
                Ok(join(wave))
            }
            (_, Some(whole)) => self.codec.decode_scaled(whole, scales).map(Some),
            (_, None) => {
                let [rows, levels] = self.sizes.unwrap_or_default();
                let shape = [rows, levels, 0];
                Err(CodecError::EmptyCodes { shape })
            }
        }
    }
}

/// One after another.
pub(crate) fn join<B: Backend>(parts: Vec<Tensor<B, 3>>) -> Option<Tensor<B, 3>> {
    (!parts.is_empty()).then(|| Tensor::cat(parts, 2))
}
