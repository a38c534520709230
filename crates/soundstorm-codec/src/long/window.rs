//! Long audio in pieces that overlap: around a piece stands what it depends on, or most of it.

use burn::prelude::*;

use super::{DecodeForm, EncodeForm, LongOptions, Queue, join_codes, join_wave};
use crate::{Codec, CodecError, Context, ScaledCodes};

/// Where the next piece lies among frames that wait.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// Frames of a piece.
    piece: usize,
    context: Context,
    /// Frames at the front that have been a piece's and now stand before the next.
    before: usize,
}

impl Window {
    fn new(context: Context, options: &LongOptions) -> Self {
        Self {
            piece: options.piece.max(1),
            context: Context {
                left: context.left,
                // The last frame of all may be partial, so it is the last piece's.
                right: context.right.max(1),
            },
            before: 0,
        }
    }

    /// Frames that the next piece is made from.
    fn needed(&self) -> usize {
        self.before + self.piece + self.context.right
    }

    /// Frames that no later piece is made from, once this piece is done.
    fn advance(&mut self) -> usize {
        let seen = self.before + self.piece;
        self.before = seen.min(self.context.left);
        seen - self.before
    }
}

/// Audio that is encoded.
pub(crate) struct WindowEncoder<'a, B: Backend> {
    codec: &'a dyn Codec<B>,
    levels: Option<usize>,
    hop: usize,
    window: Window,
    audio: Queue<B, 3>,
}

/// Codes that are decoded.
pub(crate) struct WindowDecoder<'a, B: Backend> {
    codec: &'a dyn Codec<B>,
    hop: usize,
    window: Window,
    codes: Queue<B, 3, Int>,
}

impl<'a, B: Backend> WindowEncoder<'a, B> {
    /// - `context`: the frames around a frame that its codes are made from
    pub(crate) fn new(
        codec: &'a dyn Codec<B>,
        levels: Option<usize>,
        context: Context,
        options: &LongOptions,
    ) -> Self {
        Self {
            codec,
            levels,
            hop: codec.spec().hop,
            window: Window::new(context, options),
            audio: Queue::default(),
        }
    }
}

impl<'a, B: Backend> WindowDecoder<'a, B> {
    /// - `context`: the frames around a frame that its samples are made from
    pub(crate) fn new(codec: &'a dyn Codec<B>, context: Context, options: &LongOptions) -> Self {
        Self {
            codec,
            hop: codec.spec().hop,
            window: Window::new(context, options),
            codes: Queue::default(),
        }
    }
}

impl<B: Backend> EncodeForm<B> for WindowEncoder<'_, B> {
    fn push(&mut self, audio: Tensor<B, 3>) -> Result<Option<ScaledCodes<B>>, CodecError> {
        self.audio.push(audio);
        let mut done = Vec::new();
        while self.audio.len() >= self.window.needed() * self.hop {
            let read = self.audio.front(self.window.needed() * self.hop);
            let codes = self.codec.encode(read, self.levels)?;
            let codes = codes.narrow(2, self.window.before, self.window.piece);
            done.push((codes, None));
            self.audio.skip(self.window.advance() * self.hop);
        }
        Ok(join_codes(done))
    }

    fn finish(mut self: Box<Self>) -> Result<Option<ScaledCodes<B>>, CodecError> {
        let before = self.window.before;
        if self.audio.len() <= before * self.hop {
            return Ok(None);
        }
        let read = self.audio.take(self.audio.len());
        let codes = self.codec.encode(read, self.levels)?;
        let [_, _, frames] = codes.dims();
        Ok(Some((codes.narrow(2, before, frames - before), None)))
    }
}

impl<B: Backend> DecodeForm<B> for WindowDecoder<'_, B> {
    fn push(
        &mut self,
        codes: Tensor<B, 3, Int>,
        scales: Option<Tensor<B, 2>>,
    ) -> Result<Option<Tensor<B, 3>>, CodecError> {
        self.codec.spec().refuse_scales(scales.as_ref())?;
        self.codes.push(codes);
        let mut done = Vec::new();
        while self.codes.len() >= self.window.needed() {
            let read = self.codes.front(self.window.needed());
            let wave = self.codec.decode(read)?;
            let start = self.window.before * self.hop;
            done.push(wave.narrow(2, start, self.window.piece * self.hop));
            self.codes.skip(self.window.advance());
        }
        Ok(join_wave(done))
    }

    fn finish(mut self: Box<Self>) -> Result<Option<Tensor<B, 3>>, CodecError> {
        let before = self.window.before;
        if self.codes.len() <= before {
            return Ok(None);
        }
        let read = self.codes.take(self.codes.len());
        let wave = self.codec.decode(read)?;
        let [_, _, samples] = wave.dims();
        let start = before * self.hop;
        Ok(Some(wave.narrow(2, start, samples - start)))
    }
}
