//! EnCodec on audio of any length: streamed where it is causal, chunk by chunk where it has chunks.

use burn::prelude::*;

use super::overlap_add::OverlapAdd;
use super::{Chunking, Encodec};
use crate::long::{
    DecodeForm, EncodeForm, Queue, StreamDecoder, StreamEncoder, join_codes, join_wave,
};
use crate::{
    Codec, CodecError, HalfNorms, LongAudio, LongDecoder, LongEncoder, LongOptions, ScaledCodes,
};

/// Audio that is encoded: a chunk once all of it is there.
struct ChunkEncoder<'a, B: Backend> {
    codec: &'a Encodec<B>,
    chunking: Chunking,
    half_norms: HalfNorms<B>,
    /// From the next chunk's start on.
    audio: Queue<B, 3>,
}

/// Codes that are decoded: a chunk once it is certain how long it is.
struct ChunkDecoder<'a, B: Backend> {
    codec: &'a Encodec<B>,
    chunking: Chunking,
    /// From the next chunk's start on.
    codes: Queue<B, 3, Int>,
    /// Of the next chunk and those after it.
    scales: Queue<B, 2>,
    /// Frames so far.
    frames: usize,
    chunks: usize,
    /// Scales so far; none is as good as all of them 1.
    given: usize,
    wave: OverlapAdd<B>,
}

impl<B: Backend> LongAudio<B> for Encodec<B> {
    fn long_encoder(
        &self,
        levels: Option<usize>,
        options: &LongOptions,
    ) -> Result<LongEncoder<'_, B>, CodecError> {
        let known = self.spec().check_levels("encode", levels)?;
        let form: Option<Box<dyn EncodeForm<B> + '_>> = match self.config.chunks {
            Some(chunking) => Some(Box::new(ChunkEncoder {
                codec: self,
                chunking,
                half_norms: self.quantizer.half_norms(known),
                audio: Queue::default(),
            })),
            None if self.looks_ahead().is_none() => {
                Some(Box::new(StreamEncoder::new(self, levels)?))
            }
            None => None,
        };
        LongEncoder::new(self, levels, options, form)
    }

    fn long_decoder(&self, options: &LongOptions) -> LongDecoder<'_, B> {
        let form: Option<Box<dyn DecodeForm<B> + '_>> = match self.config.chunks {
            Some(chunking) => Some(Box::new(ChunkDecoder {
                codec: self,
                chunking,
                codes: Queue::default(),
                scales: Queue::default(),
                frames: 0,
                chunks: 0,
                given: 0,
                wave: OverlapAdd::new(chunking.stride),
            })),
            None => match StreamDecoder::new(self) {
                Ok(stream) => Some(Box::new(stream)),
                Err(_) => None,
            },
        };
        LongDecoder::new(self, options, form)
    }
}

impl<B: Backend> ChunkEncoder<'_, B> {
    fn encode(&mut self, samples: usize) -> ScaledCodes<B> {
        let (vectors, scale) = self.codec.embed_chunk(self.audio.front(samples));
        let codes = self.codec.quantizer.encode_with(vectors, &self.half_norms);
        self.audio.skip(self.chunking.stride.min(samples));
        (codes, scale)
    }
}

impl<B: Backend> EncodeForm<B> for ChunkEncoder<'_, B> {
    fn push(&mut self, audio: Tensor<B, 3>) -> Result<Option<ScaledCodes<B>>, CodecError> {
        self.audio.push(audio);
        let mut done = Vec::new();
        while self.audio.len() >= self.chunking.length {
            done.push(self.encode(self.chunking.length));
        }
        Ok(join_codes(done))
    }

    fn finish(mut self: Box<Self>) -> Result<Option<ScaledCodes<B>>, CodecError> {
        let mut done = Vec::new();
        while self.audio.len() > 0 {
            done.push(self.encode(self.audio.len()));
        }
        Ok(join_codes(done))
    }
}

impl<B: Backend> ChunkDecoder<'_, B> {
    /// The samples that are certain with the next chunk.
    fn decode(&mut self, frames: usize) -> Result<Option<Tensor<B, 3>>, CodecError> {
        let codes = self.codes.take(frames);
        let rows = codes.dims()[0];
        let scale = match (self.given, self.scales.len()) {
            (0, _) => None,
            (given, 0) => {
                return Err(CodecError::Scales {
                    expected: [rows, self.chunks + 1],
                    got: [rows, given],
                });
            }
            _ => Some(self.scales.take(1)),
        };
        self.chunks += 1;
        let vectors = self.codec.embed_codes(codes)?;
        Ok(self.wave.push(self.codec.decode_chunk(vectors, scale)))
    }
}

impl<B: Backend> DecodeForm<B> for ChunkDecoder<'_, B> {
    fn push(
        &mut self,
        codes: Tensor<B, 3, Int>,
        scales: Option<Tensor<B, 2>>,
    ) -> Result<Option<Tensor<B, 3>>, CodecError> {
        if let Some(scales) = scales {
            let [rows, new] = scales.dims();
            // Chunks that were decoded without one have had loudness 1.
            let expected = if self.given == 0 && self.chunks > 0 {
                0
            } else {
                new
            };
            self.codec.check_scales(&scales, [rows, expected])?;
            self.given += new;
            self.scales.push(scales);
        }
        self.frames += codes.dims()[2];
        self.codes.push(codes);
        let hop = self.codec.config.hop();
        // More frames than any audio has that is shorter than a chunk.
        let shorter = self.chunking.total_frames(self.chunking.length - 1, hop);
        let mut done = Vec::new();
        while self.codes.len() > shorter {
            done.extend(self.decode(self.chunking.length.div_ceil(hop))?);
        }
        Ok(join_wave(done))
    }

    fn finish(mut self: Box<Self>) -> Result<Option<Tensor<B, 3>>, CodecError> {
        let mut done = Vec::new();
        let Chunking { length, stride } = self.chunking;
        if self.codes.len() > 0 || length > stride {
            let split = self
                .chunking
                .split_frames(self.codes.len(), self.codec.config.hop())
                .ok_or(CodecError::ChunkFrames {
                    frames: self.frames,
                    length,
                    stride,
                })?;
            for frames in split {
                done.extend(self.decode(frames)?);
            }
        }
        if let Some(left) = self.scales.rest() {
            let [rows, _] = left.dims();
            return Err(CodecError::Scales {
                expected: [rows, self.chunks],
                got: [rows, self.given],
            });
        }
        done.extend(self.wave.finish());
        Ok(join_wave(done))
    }
}
