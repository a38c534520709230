//! Mimi while the audio is still coming: each part keeps what of the past it looks back at.

use burn::prelude::*;

use super::{Mimi, SplitNorms, TransformerState};
use crate::seanet::SeanetState;
use crate::streaming::check_rows;
use crate::{Carry, Codec, CodecError, StreamingCodec};

/// What [`Mimi`] keeps of a stream that it encodes.
///
/// It belongs to the codec that made it, with the weights that this had then.
#[derive(Debug, Clone)]
pub struct MimiEncoderState<B: Backend> {
    norms: SplitNorms<B>,
    rows: Option<usize>,
    /// Samples that make no whole frame yet, `[batch, 1, fewer than the hop]`.
    waiting: Option<Tensor<B, 3>>,
    encoder: SeanetState<B>,
    transformer: TransformerState<B>,
    downsample: Carry<B>,
}

/// What [`Mimi`] keeps of a stream that it decodes.
#[derive(Debug, Clone)]
pub struct MimiDecoderState<B: Backend> {
    rows: Option<usize>,
    upsample: Carry<B>,
    transformer: TransformerState<B>,
    decoder: SeanetState<B>,
}

impl<B: Backend> MimiEncoderState<B> {
    /// How many numbers of the past it holds, samples that wait for their frame aside.
    pub fn numbers(&self) -> usize {
        self.encoder.numbers() + self.transformer.numbers() + self.downsample.numbers()
    }
}

impl<B: Backend> MimiDecoderState<B> {
    /// How many numbers of the past it holds.
    pub fn numbers(&self) -> usize {
        self.upsample.numbers() + self.transformer.numbers() + self.decoder.numbers()
    }
}

impl<B: Backend> Mimi<B> {
    /// Encodes samples that are whole frames, or the last ones.
    fn encode_next(
        &self,
        state: &mut MimiEncoderState<B>,
        audio: Tensor<B, 3>,
    ) -> Tensor<B, 3, Int> {
        let x = self.encoder.stream(audio, &mut state.encoder);
        let x = self.encoder_transformer.stream(x, &mut state.transformer);
        let x = self.downsample.stream(x, &mut state.downsample);
        self.quantizer.encode(x, &state.norms)
    }
}

impl<B: Backend> StreamingCodec<B> for Mimi<B> {
    type EncoderState = MimiEncoderState<B>;
    type DecoderState = MimiDecoderState<B>;

    fn start_encoding(&self, levels: Option<usize>) -> Result<Self::EncoderState, CodecError> {
        let levels = self.spec().check_levels("encode", levels)?;
        Ok(MimiEncoderState {
            norms: self.quantizer.norms(levels),
            rows: None,
            waiting: None,
            encoder: self.encoder.start(),
            transformer: self.encoder_transformer.start(),
            downsample: Carry::default(),
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
        let audio = self.own_type(audio);
        let audio = match state.waiting.take() {
            Some(waiting) => Tensor::cat(vec![waiting, audio], 2),
            None => audio,
        };
        let [_, _, samples] = audio.dims();
        let whole = samples / spec.hop * spec.hop;
        if whole < samples {
            state.waiting = Some(audio.clone().narrow(2, whole, samples - whole));
        }
        Ok((whole > 0).then(|| self.encode_next(state, audio.narrow(2, 0, whole))))
    }

    fn finish_encoding(&self, mut state: Self::EncoderState) -> Option<Tensor<B, 3, Int>> {
        let last = state.waiting.take()?;
        Some(self.encode_next(&mut state, last))
    }

    fn start_decoding(&self) -> Result<Self::DecoderState, CodecError> {
        Ok(MimiDecoderState {
            rows: None,
            upsample: Carry::default(),
            transformer: self.decoder_transformer.start(),
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
        let x = self.embed_codes(codes)?;
        state.rows = Some(rows);
        let x = self.upsample.stream(x, &mut state.upsample);
        let x = self.decoder_transformer.stream(x, &mut state.transformer);
        Ok(Some(self.decoder.stream(x, &mut state.decoder)))
    }

    fn finish_decoding(&self, _: Self::DecoderState) -> Option<Tensor<B, 3>> {
        None
    }
}
