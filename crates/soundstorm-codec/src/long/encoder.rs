//! Audio to codes, piece by piece.

use burn::prelude::*;

use super::{LongOptions, Queue};
use crate::streaming::check_rows;
use crate::{Codec, CodecError, ScaledCodes};

/// How a codec encodes what is too long for it.
pub(crate) trait EncodeForm<B: Backend> {
    /// The codes that can be given with this audio, some samples of it.
    fn push(&mut self, audio: Tensor<B, 3>) -> Result<Option<ScaledCodes<B>>, CodecError>;

    /// The codes that are left.
    fn finish(self: Box<Self>) -> Result<Option<ScaledCodes<B>>, CodecError>;
}

/// An encoder that audio of any length is pushed into: see
/// [`LongAudio::long_encoder`](super::LongAudio::long_encoder).
///
/// A push that fails for its own audio leaves the encoder as it was.
pub struct LongEncoder<'a, B: Backend> {
    codec: &'a dyn Codec<B>,
    levels: usize,
    rows: Option<usize>,
    /// Samples of a piece.
    piece: usize,
    /// Samples that are done whole.
    whole: usize,
    waiting: Queue<B, 3>,
    begun: bool,
    form: Option<Box<dyn EncodeForm<B> + 'a>>,
}

impl<'a, B: Backend> LongEncoder<'a, B> {
    /// - `form`: what works on pieces, or `None` to encode whatever comes as a whole
    pub(crate) fn new(
        codec: &'a dyn Codec<B>,
        levels: Option<usize>,
        options: &LongOptions,
        form: Option<Box<dyn EncodeForm<B> + 'a>>,
    ) -> Result<Self, CodecError> {
        let spec = codec.spec();
        Ok(Self {
            codec,
            levels: spec.check_levels("encode", levels)?,
            rows: None,
            piece: options.piece.max(1).saturating_mul(spec.hop),
            whole: options.whole.saturating_mul(spec.hop),
            waiting: Queue::default(),
            begun: false,
            form,
        })
    }

    /// Takes audio; gives the codes that are certain by now.
    ///
    /// # Shapes
    /// - audio: `[batch, channels, samples]`, any number of samples, also none
    /// - output: codes `[batch, levels, frames]`, and scales `[batch, chunks]` of a codec that has
    ///   them; or nothing
    ///
    /// # Errors
    /// No rows or another number of them than before, another number of channels, a sample that is
    /// not finite.
    pub fn push(&mut self, audio: Tensor<B, 3>) -> Result<Option<ScaledCodes<B>>, CodecError> {
        let [rows, _, samples] = audio.dims();
        check_rows("encode", self.rows, rows)?;
        if samples == 0 {
            return Ok(None);
        }
        self.codec.spec().check_audio(&audio)?;
        self.rows = Some(rows);
        self.waiting.push(audio);
        let Some(form) = &mut self.form else {
            return Ok(None);
        };
        self.begun |= self.waiting.len() > self.whole;
        let mut codes = Vec::new();
        while self.begun && self.waiting.len() >= self.piece {
            codes.extend(form.push(self.waiting.take(self.piece))?);
        }
        Ok(join(codes))
    }

    /// The codes that are left.
    ///
    /// # Shapes
    /// As [`LongEncoder::push`]'s.
    ///
    /// # Errors
    /// [`CodecError::EmptyAudio`] if there were no samples at all.
    pub fn finish(mut self) -> Result<Option<ScaledCodes<B>>, CodecError> {
        let rest = self.waiting.rest();
        match (self.form, rest) {
            (Some(mut form), rest) if self.begun => {
                let mut codes = Vec::new();
                if let Some(rest) = rest {
                    codes.extend(form.push(rest)?);
                }
                codes.extend(form.finish()?);
                Ok(join(codes))
            }
            (_, Some(whole)) => self.codec.encode_scaled(whole, Some(self.levels)).map(Some),
            (_, None) => Err(CodecError::EmptyAudio {
                shape: [self.rows.unwrap_or(0), self.codec.spec().channels, 0],
            }),
        }
    }
}

/// One after another.
pub(crate) fn join<B: Backend>(parts: Vec<ScaledCodes<B>>) -> Option<ScaledCodes<B>> {
    let (codes, scales): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let scales: Vec<_> = scales.into_iter().flatten().collect();
    let scales = (!scales.is_empty()).then(|| Tensor::cat(scales, 1));
    (!codes.is_empty()).then(|| (Tensor::cat(codes, 2), scales))
}
