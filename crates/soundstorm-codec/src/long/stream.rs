//! Long audio through a codec that streams: nothing is done twice.

use burn::prelude::*;

use super::{DecodeForm, EncodeForm};
use crate::{CodecError, ScaledCodes, StreamingCodec};

/// A stream that is encoded.
pub(crate) struct StreamEncoder<'a, B: Backend, C: StreamingCodec<B>> {
    codec: &'a C,
    state: C::EncoderState,
}

/// A stream that is decoded.
pub(crate) struct StreamDecoder<'a, B: Backend, C: StreamingCodec<B>> {
    codec: &'a C,
    state: C::DecoderState,
}

impl<'a, B: Backend, C: StreamingCodec<B>> StreamEncoder<'a, B, C> {
    pub(crate) fn new(codec: &'a C, levels: Option<usize>) -> Result<Self, CodecError> {
        let state = codec.start_encoding(levels)?;
        Ok(Self { codec, state })
    }
}

impl<'a, B: Backend, C: StreamingCodec<B>> StreamDecoder<'a, B, C> {
    pub(crate) fn new(codec: &'a C) -> Result<Self, CodecError> {
        let state = codec.start_decoding()?;
        Ok(Self { codec, state })
    }
}

impl<B: Backend, C: StreamingCodec<B>> EncodeForm<B> for StreamEncoder<'_, B, C> {
    fn push(&mut self, audio: Tensor<B, 3>) -> Result<Option<ScaledCodes<B>>, CodecError> {
        let codes = self.codec.encode_piece(&mut self.state, audio)?;
        Ok(codes.map(|codes| (codes, None)))
    }

    fn finish(self: Box<Self>) -> Result<Option<ScaledCodes<B>>, CodecError> {
        let codes = self.codec.finish_encoding(self.state);
        Ok(codes.map(|codes| (codes, None)))
    }
}

impl<B: Backend, C: StreamingCodec<B>> DecodeForm<B> for StreamDecoder<'_, B, C> {
    fn push(
        &mut self,
        codes: Tensor<B, 3, Int>,
        scales: Option<Tensor<B, 2>>,
    ) -> Result<Option<Tensor<B, 3>>, CodecError> {
        self.codec.spec().refuse_scales(scales.as_ref())?;
        self.codec.decode_piece(&mut self.state, codes)
    }

    fn finish(self: Box<Self>) -> Result<Option<Tensor<B, 3>>, CodecError> {
        Ok(self.codec.finish_decoding(self.state))
    }
}
