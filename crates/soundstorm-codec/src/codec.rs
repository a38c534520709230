//! What all codecs share: a description and the way from audio to codes and back.

use burn::prelude::*;

use crate::CodecError;

/// A codec in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecSpec {
    /// The codec's name, as it stands in a codes file.
    pub name: String,
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Audio channels.
    pub channels: usize,
    /// Samples per frame.
    pub hop: usize,
    /// Levels of the residual quantizer.
    pub levels: usize,
    /// Entries in each level's codebook; also the mask id of models on it.
    pub codebook_size: usize,
}

impl CodecSpec {
    /// Frames per second.
    pub fn frame_rate(&self) -> f64 {
        f64::from(self.sample_rate) / self.hop as f64
    }

    /// Frames that `samples` samples have: the last one may be partial. A codec that cuts audio
    /// into overlapping chunks makes more of them: see [`Codec::frames`].
    pub fn frames(&self, samples: usize) -> usize {
        samples.div_ceil(self.hop)
    }

    /// Fails unless `audio` can be encoded: some samples, the right channels, all finite.
    ///
    /// # Shapes
    /// - audio: `[batch, channels, samples]`
    ///
    /// # Errors
    /// [`CodecError::EmptyAudio`], [`CodecError::Channels`], [`CodecError::NotFinite`].
    pub fn check_audio<B: Backend>(&self, audio: &Tensor<B, 3>) -> Result<(), CodecError> {
        let shape @ [batch, channels, samples] = audio.dims();
        if batch == 0 || samples == 0 {
            return Err(CodecError::EmptyAudio { shape });
        }
        if channels != self.channels {
            return Err(CodecError::Channels {
                codec: self.name.clone(),
                expected: self.channels,
                got: channels,
            });
        }
        // A single number comes back from the device, whatever the audio's length.
        if !audio.clone().is_finite().all().into_scalar().to_bool() {
            return Err(CodecError::NotFinite);
        }
        Ok(())
    }

    /// Fails if there are scales, for a codec that has none.
    ///
    /// # Shapes
    /// - scales: `[batch, chunks]`
    ///
    /// # Errors
    /// [`CodecError::NoScales`].
    pub fn refuse_scales<B: Backend>(
        &self,
        scales: Option<&Tensor<B, 2>>,
    ) -> Result<(), CodecError> {
        match scales {
            None => Ok(()),
            Some(scales) => Err(CodecError::NoScales {
                codec: self.name.clone(),
                got: scales.dims(),
            }),
        }
    }

    /// The number of levels to encode: all of them, or as many as asked for.
    ///
    /// # Errors
    /// [`CodecError::Levels`] for zero levels or more than the codec has.
    pub fn check_levels(
        &self,
        operation: &'static str,
        levels: Option<usize>,
    ) -> Result<usize, CodecError> {
        let levels = levels.unwrap_or(self.levels);
        if levels == 0 || levels > self.levels {
            return Err(CodecError::Levels {
                operation,
                codec: self.name.clone(),
                available: self.levels,
                got: levels,
            });
        }
        Ok(levels)
    }

    /// Fails unless `codes` can be decoded: some frames, 1 to all levels, every
    /// code a row of its codebook.
    ///
    /// # Shapes
    /// - codes: `[batch, quantizers, frames]`
    ///
    /// # Errors
    /// [`CodecError::EmptyCodes`], [`CodecError::Levels`], [`CodecError::CodeOutOfRange`].
    pub fn check_codes<B: Backend>(&self, codes: &Tensor<B, 3, Int>) -> Result<(), CodecError> {
        // Looked at on the host: a wrong index would be a panic on one backend
        // and a read of foreign memory on another.
        let data = codes.to_data();
        self.check_host_codes(codes.dims(), data.iter::<i64>())
    }

    /// [`CodecSpec::check_codes`] on codes that are not on a device yet. Codes
    /// from a file go through here first: a code that does not fit the backend's
    /// integers panics on its way there.
    ///
    /// # Arguments
    /// - `shape`: `[batch, quantizers, frames]`
    /// - `codes`: row-major
    ///
    /// # Errors
    /// [`CodecError::EmptyCodes`], [`CodecError::Levels`], [`CodecError::CodeOutOfRange`].
    pub fn check_host_codes(
        &self,
        shape: [usize; 3],
        codes: impl IntoIterator<Item = i64>,
    ) -> Result<(), CodecError> {
        let [batch, levels, frames] = shape;
        if batch == 0 || frames == 0 {
            return Err(CodecError::EmptyCodes { shape });
        }
        self.check_levels("decode", Some(levels))?;
        let wrong = codes
            .into_iter()
            .enumerate()
            .find(|&(_, code)| code < 0 || code >= self.codebook_size as i64);
        match wrong {
            None => Ok(()),
            Some((index, got)) => Err(CodecError::CodeOutOfRange {
                codebook_size: self.codebook_size,
                got,
                row: index / (levels * frames),
                level: index / frames % levels,
                frame: index % frames,
            }),
        }
    }
}

/// Codes `[batch, levels, frames]`, and scales `[batch, chunks]` from a codec that has them.
pub type ScaledCodes<B> = (Tensor<B, 3, Int>, Option<Tensor<B, 2>>);

/// A neural codec: audio to codes and back.
pub trait Codec<B: Backend> {
    /// The codec in numbers.
    fn spec(&self) -> CodecSpec;

    /// Frames that `samples` samples are encoded to.
    fn frames(&self, samples: usize) -> usize {
        self.spec().frames(samples)
    }

    /// Encodes audio into [`Codec::frames`] frames of codes.
    ///
    /// # Shapes
    /// - audio: `[batch, channels, samples]`, within ±1, at the codec's sample rate
    /// - output: `[batch, levels, frames]`, the coarsest level first; in groups where a codec says so
    ///
    /// # Arguments
    /// - `levels`: how many levels to encode, all if `None`
    ///
    /// # Errors
    /// Empty audio, another number of channels, a sample that is not finite,
    /// zero levels or more than the codec has, or not as many of each group.
    fn encode(
        &self,
        audio: Tensor<B, 3>,
        levels: Option<usize>,
    ) -> Result<Tensor<B, 3, Int>, CodecError>;

    /// Decodes codes of the coarsest levels into audio.
    ///
    /// # Shapes
    /// - codes: `[batch, levels, frames]`, 1 to all of the codec's levels
    /// - output: `[batch, channels, samples]`, not clipped to ±1; `frames * hop` samples, a few less
    ///   where a codec says so
    ///
    /// # Errors
    /// No frames, zero levels or more than the codec has, a code outside its codebook.
    fn decode(&self, codes: Tensor<B, 3, Int>) -> Result<Tensor<B, 3>, CodecError>;

    /// [`Codec::encode`], with the loudness of each chunk where the codec takes it out of the codes.
    ///
    /// # Shapes
    /// - output: codes `[batch, levels, frames]`, the chunks one after another, and
    ///   scales `[batch, chunks]`, or `None` from a codec without
    ///
    /// # Errors
    /// Those of [`Codec::encode`].
    fn encode_scaled(
        &self,
        audio: Tensor<B, 3>,
        levels: Option<usize>,
    ) -> Result<ScaledCodes<B>, CodecError> {
        Ok((self.encode(audio, levels)?, None))
    }

    /// [`Codec::decode`], each chunk at the loudness that [`Codec::encode_scaled`] found.
    /// Without scales every chunk comes out at loudness 1, as from [`Codec::decode`].
    ///
    /// # Shapes
    /// - scales: `[batch, chunks]`
    ///
    /// # Errors
    /// Those of [`Codec::decode`]; scales for a codec without, of another shape, or not finite.
    fn decode_scaled(
        &self,
        codes: Tensor<B, 3, Int>,
        scales: Option<Tensor<B, 2>>,
    ) -> Result<Tensor<B, 3>, CodecError> {
        self.spec().refuse_scales(scales.as_ref())?;
        self.decode(codes)
    }
}
