//! The encoder: the spectrum of audio through blocks at frame rate.

use burn::prelude::*;
use soundstorm_nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig, linear};

use super::SpectralConfig;
use super::block::ConvNeXtBlock;
use super::features::features;
use crate::conv::pad_zeros;
use crate::stft::{Stft, bins, padding};

/// Audio to one vector a frame.
#[derive(Module, Debug)]
pub struct SpectralEncoder<B: Backend> {
    stft: Stft<B>,
    /// From what the spectrum is given as to the vectors' dimension.
    pub input: Linear<B>,
    /// Before the blocks.
    pub input_norm: LayerNorm<B>,
    /// The blocks.
    pub blocks: Vec<ConvNeXtBlock<B>>,
    /// After the blocks: what is quantized has one scale at all loudnesses.
    pub norm: LayerNorm<B>,
    hop: usize,
}

impl SpectralConfig {
    pub(super) fn init_encoder<B: Backend>(&self, device: &B::Device) -> SpectralEncoder<B> {
        let norm = LayerNormConfig::new(self.dimension);
        SpectralEncoder {
            stft: Stft::new(self.window, self.hop, device),
            input: LinearConfig::new(3 * bins(self.window), self.dimension).init(device),
            input_norm: norm.init(device),
            blocks: self.init_blocks(self.encoder_blocks, device),
            norm: norm.init(device),
            hop: self.hop,
        }
    }
}

impl<B: Backend> SpectralEncoder<B> {
    /// # Shapes
    /// - audio: `[batch, 1, frames * hop]`
    /// - output: `[batch, dimension, frames]`
    pub fn forward(&self, audio: Tensor<B, 3>) -> Tensor<B, 3> {
        let [batch, _, samples] = audio.dims();
        let (left, right) = padding(self.stft.window(), self.hop);
        let signal = pad_zeros(audio.reshape([batch, samples]), left, right);
        let x = features(self.stft.forward(signal));
        // Weights may have been cast to fewer bits than the spectrum.
        let x = x.cast(self.input.weight.val().dtype());
        let x = self.input_norm.forward(linear(x, &self.input));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.norm.forward(x).swap_dims(1, 2)
    }
}
