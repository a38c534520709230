//! The codec as it is trained: audio to audio through the quantizer, differentiable end to end.

use burn::prelude::*;

use super::SpectralCodec;
use crate::conv::pad_zeros;
use crate::{Codec, CodecError, Quantized};

/// What comes of audio in training.
#[derive(Debug, Clone)]
pub struct Reconstruction<B: Backend> {
    /// `[batch, 1, samples]`, as many samples as went in
    pub wave: Tensor<B, 3>,
    /// What the quantizer made of it, with the vectors of its first level, and its losses.
    pub quantized: Quantized<B>,
}

impl<B: Backend> SpectralCodec<B> {
    /// Encodes, quantizes and decodes, each row with its own number of levels.
    ///
    /// # Shapes
    /// - audio: `[batch, 1, samples]`
    ///
    /// # Arguments
    /// - `row_levels`: the levels of each row, as [`draw_levels`](crate::draw_levels) gives them
    ///
    /// # Errors
    /// Empty audio, another number of channels, a sample that is not finite, zero levels or more
    /// than the codec has.
    ///
    /// # Panics
    /// If there are not as many numbers of levels as rows.
    pub fn reconstruct(
        &self,
        audio: Tensor<B, 3>,
        row_levels: &[usize],
    ) -> Result<Reconstruction<B>, CodecError> {
        let spec = self.spec();
        spec.check_audio(&audio)?;
        for &levels in row_levels {
            spec.check_levels("reconstruct", Some(levels))?;
        }
        let [_, _, samples] = audio.dims();
        let missing = spec.frames(samples) * spec.hop - samples;
        let vectors = self.encoder.forward(pad_zeros(audio, 0, missing));
        let quantized = self.quantizer.quantize(vectors, row_levels);
        let wave = self.decoder.forward(quantized.vectors.clone());
        Ok(Reconstruction {
            wave: wave.narrow(2, 0, samples),
            quantized,
        })
    }
}
