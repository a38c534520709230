//! The decoder: blocks at frame rate, and a head that makes audio of frames.

use burn::prelude::*;
use soundstorm_nn::{LayerNorm, LayerNormConfig};

use super::SpectralConfig;
use super::block::ConvNeXtBlock;
use super::head::SpectralHead;

/// One vector a frame to audio.
#[derive(Module, Debug)]
pub struct SpectralDecoder<B: Backend> {
    /// Before the blocks: fewer levels make a smaller sum.
    pub input_norm: LayerNorm<B>,
    /// The blocks.
    pub blocks: Vec<ConvNeXtBlock<B>>,
    /// After the blocks.
    pub norm: LayerNorm<B>,
    /// Frames to audio.
    pub head: SpectralHead<B>,
}

impl SpectralConfig {
    pub(super) fn init_decoder<B: Backend>(&self, device: &B::Device) -> SpectralDecoder<B> {
        let norm = LayerNormConfig::new(self.dimension);
        SpectralDecoder {
            input_norm: norm.init(device),
            blocks: self.init_blocks(self.decoder_blocks, device),
            norm: norm.init(device),
            head: self.init_head(device),
        }
    }
}

impl<B: Backend> SpectralDecoder<B> {
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, 1, frames * hop]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let x = self.input_norm.forward(x.swap_dims(1, 2));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.head.forward(self.norm.forward(x))
    }
}
