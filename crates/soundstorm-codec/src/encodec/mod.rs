//! EnCodec (Défossez et al. 2022, "High Fidelity Neural Audio Compression"): SEANet with recurrent
//! layers around a residual quantizer, of whose levels as many are used as the bandwidth allows.

mod chunks;
mod config;
mod hub_config;
pub mod import;
mod long;
mod overlap_add;
mod stream;

pub use chunks::Chunking;
pub use config::{EncodecConfig, EncodecNorm};
pub use hub_config::HubConfig;
pub use stream::{EncodecDecoderState, EncodecEncoderState};

use burn::prelude::*;
use burn::tensor::DType;

use self::overlap_add::overlap_add;
use crate::seanet::{SeanetDecoder, SeanetEncoder};
use crate::{
    Codec, CodecError, CodecSpec, ConfigError, ResidualVectorQuantizer,
    ResidualVectorQuantizerConfig, ScaledCodes,
};

/// The codec's name in a [`CodecSpec`], a configuration's `model_type` and errors.
pub const NAME: &str = "encodec";

/// Chunks that are worked on together. Memory grows with them.
const TOGETHER: usize = 8;

/// Keeps silence from being divided by zero.
const SILENCE: f64 = 1e-8;

/// EnCodec, with its weight norms folded in.
///
/// Audio is encoded whole, or in [chunks](Chunking) where the configuration has them: codes of the
/// chunks stand one after another on the axis of frames. How many frames are whose follows from
/// their number, see [`Chunking::split_frames`].
#[derive(Module, Debug)]
pub struct Encodec<B: Backend> {
    /// Audio to vectors.
    pub encoder: SeanetEncoder<B>,
    /// Vectors to codes and back.
    pub quantizer: ResidualVectorQuantizer<B>,
    /// Vectors to audio.
    pub decoder: SeanetDecoder<B>,
    config: EncodecConfig,
}

impl EncodecConfig {
    /// A codec with random weights.
    ///
    /// # Errors
    /// What [`EncodecConfig::validate`] finds.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<Encodec<B>, ConfigError> {
        self.validate()?;
        let seanet = self.seanet();
        let quantizer = ResidualVectorQuantizerConfig {
            dimension: self.dimension,
            codebook_size: self.codebook_size,
            levels: self.num_quantizers,
        };
        Ok(Encodec {
            encoder: seanet.init_encoder(device),
            quantizer: quantizer.init(device),
            decoder: seanet.init_decoder(device),
            config: self.clone(),
        })
    }
}

impl<B: Backend> Encodec<B> {
    /// The configuration that this codec was built from.
    pub fn config(&self) -> &EncodecConfig {
        &self.config
    }

    /// What the quantizer is given, chunk after chunk, and the scales that the audio was divided by.
    ///
    /// # Shapes
    /// - audio: `[batch, channels, samples]`
    /// - output: `[batch, dimension, frames]`, and `[batch, chunks]` if the codec normalizes
    ///
    /// # Errors
    /// Empty audio, another number of channels, a sample that is not finite.
    pub fn embed_audio(
        &self,
        audio: Tensor<B, 3>,
    ) -> Result<(Tensor<B, 3>, Option<Tensor<B, 2>>), CodecError> {
        self.spec().check_audio(&audio)?;
        let chunks = match self.config.chunks {
            Some(chunking) => chunking
                .ranges(audio.dims()[2])
                .map(|chunk| audio.clone().narrow(2, chunk.start, chunk.len()))
                .collect(),
            None => vec![audio],
        };
        let (mut vectors, mut scales) = (Vec::new(), Vec::new());
        for chunks in side_by_side(chunks) {
            let count = chunks.len();
            let (embedded, scale) = self.embed_chunk(Tensor::cat(chunks, 0));
            vectors.extend(embedded.chunk(count, 0));
            scales.extend(scale.into_iter().flat_map(|scale| scale.chunk(count, 0)));
        }
        let scales = (!scales.is_empty()).then(|| Tensor::cat(scales, 1));
        Ok((Tensor::cat(vectors, 2), scales))
    }

    /// What the decoder is given: the sum of the codes' vectors.
    ///
    /// # Shapes
    /// - codes: `[batch, levels, frames]`, 1 to all levels, the coarsest first
    /// - output: `[batch, dimension, frames]`
    ///
    /// # Errors
    /// No frames, zero levels or more than the codec has, a code outside its codebook.
    pub fn embed_codes(&self, codes: Tensor<B, 3, Int>) -> Result<Tensor<B, 3>, CodecError> {
        self.spec().check_codes(&codes)?;
        Ok(self.quantizer.decode(codes))
    }

    /// Audio that is encoded on its own: its vectors, and `[batch, 1]` that it was divided by if the
    /// codec normalizes.
    fn embed_chunk(&self, mut audio: Tensor<B, 3>) -> (Tensor<B, 3>, Option<Tensor<B, 2>>) {
        let scale = self.config.normalize.then(|| {
            let scale = loudness(audio.clone());
            audio = audio.clone().cast(DType::F32) / scale.clone();
            scale.squeeze_dim::<2>(2)
        });
        (self.encoder.forward(self.own_type(audio)), scale)
    }

    /// The audio of vectors that are decoded on their own, times `[batch, 1]` if there is a scale.
    fn decode_chunk(&self, vectors: Tensor<B, 3>, scale: Option<Tensor<B, 2>>) -> Tensor<B, 3> {
        let audio = self.decoder.forward(vectors);
        match scale {
            Some(scale) => audio.cast(DType::F32) * scale.unsqueeze_dim::<3>(2).cast(DType::F32),
            None => audio,
        }
    }

    /// Weights may have been cast to fewer bits than the audio.
    fn own_type(&self, audio: Tensor<B, 3>) -> Tensor<B, 3> {
        audio.cast(self.encoder.input.weight.val().dtype())
    }

    /// How many of `frames` frames are each chunk's.
    fn split(&self, frames: usize) -> Result<Vec<usize>, CodecError> {
        let Some(chunking) = self.config.chunks else {
            return Ok(vec![frames]);
        };
        chunking
            .split_frames(frames, self.config.hop())
            .ok_or(CodecError::ChunkFrames {
                frames,
                length: chunking.length,
                stride: chunking.stride,
            })
    }

    fn check_scales(&self, scales: &Tensor<B, 2>, expected: [usize; 2]) -> Result<(), CodecError> {
        let got = scales.dims();
        if !self.config.normalize {
            let codec = NAME.to_owned();
            return Err(CodecError::NoScales { codec, got });
        }
        if got != expected {
            return Err(CodecError::Scales { expected, got });
        }
        if !scales.clone().is_finite().all().into_scalar().to_bool() {
            return Err(CodecError::ScaleNotFinite);
        }
        Ok(())
    }
}

/// Chunks of one length that follow each other, to be rows of one batch: recurrent layers read their
/// weights once for all of them.
fn side_by_side<B: Backend>(chunks: Vec<Tensor<B, 3>>) -> Vec<Vec<Tensor<B, 3>>> {
    let mut groups: Vec<Vec<Tensor<B, 3>>> = Vec::new();
    for chunk in chunks {
        match groups.last_mut() {
            Some(group) if group.len() < TOGETHER && group[0].dims() == chunk.dims() => {
                group.push(chunk);
            }
            _ => groups.push(vec![chunk]),
        }
    }
    groups
}

/// The root of the mean square of the channels' mean.
///
/// # Shapes
/// - audio: `[batch, channels, samples]`
/// - output: `[batch, 1, 1]`, in 32 bits
fn loudness<B: Backend>(audio: Tensor<B, 3>) -> Tensor<B, 3> {
    let mono = audio.cast(DType::F32).mean_dim(1);
    let power = (mono.clone() * mono).mean_dim(2);
    power.sqrt().add_scalar(SILENCE)
}

impl<B: Backend> Codec<B> for Encodec<B> {
    fn spec(&self) -> CodecSpec {
        self.config.spec()
    }

    fn frames(&self, samples: usize) -> usize {
        match self.config.chunks {
            Some(chunking) => chunking.total_frames(samples, self.config.hop()),
            None => self.spec().frames(samples),
        }
    }

    fn encode(
        &self,
        audio: Tensor<B, 3>,
        levels: Option<usize>,
    ) -> Result<Tensor<B, 3, Int>, CodecError> {
        Ok(self.encode_scaled(audio, levels)?.0)
    }

    fn decode(&self, codes: Tensor<B, 3, Int>) -> Result<Tensor<B, 3>, CodecError> {
        self.decode_scaled(codes, None)
    }

    fn encode_scaled(
        &self,
        audio: Tensor<B, 3>,
        levels: Option<usize>,
    ) -> Result<ScaledCodes<B>, CodecError> {
        let levels = self.spec().check_levels("encode", levels)?;
        let (vectors, scales) = self.embed_audio(audio)?;
        Ok((self.quantizer.encode(vectors, levels), scales))
    }

    fn decode_scaled(
        &self,
        codes: Tensor<B, 3, Int>,
        scales: Option<Tensor<B, 2>>,
    ) -> Result<Tensor<B, 3>, CodecError> {
        let vectors = self.embed_codes(codes)?;
        let [batch, _, frames] = vectors.dims();
        let split = self.split(frames)?;
        if let Some(scales) = &scales {
            self.check_scales(scales, [batch, split.len()])?;
        }
        let mut start = 0;
        let chunks = split.into_iter().map(|frames| {
            start += frames;
            vectors.clone().narrow(2, start - frames, frames)
        });
        let mut scales = scales.map(|scales| scales.split(1, 1).into_iter());
        let mut decoded = Vec::new();
        for chunks in side_by_side(chunks.collect()) {
            let count = chunks.len();
            let scale = scales
                .as_mut()
                .map(|scales| Tensor::cat(scales.take(count).collect(), 0));
            let chunks = self.decode_chunk(Tensor::cat(chunks, 0), scale);
            decoded.extend(chunks.chunk(count, 0));
        }
        let chunks = decoded;
        Ok(match (self.config.chunks, chunks.len()) {
            (Some(chunking), 2..) => overlap_add(chunks, chunking.stride),
            _ => Tensor::cat(chunks, 2),
        })
    }
}
