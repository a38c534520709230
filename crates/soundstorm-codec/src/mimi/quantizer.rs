//! Split residual vector quantization (Défossez et al. 2024, "Moshi", section 3.3.3): the semantic
//! levels and the acoustic ones quantize the same frame, side by side.

use burn::module::Param;
use burn::prelude::*;

use super::MimiConfig;
use crate::init::uniform;
use crate::{HalfNorms, ResidualVectorQuantizer, ResidualVectorQuantizerConfig};

/// Frames to codes and back, by both kinds of levels.
#[derive(Module, Debug)]
pub struct SplitQuantizer<B: Backend> {
    /// The coarsest levels, which carry meaning.
    pub semantic: ProjectedQuantizer<B>,
    /// The levels after them, which carry sound.
    pub acoustic: ProjectedQuantizer<B>,
}

/// A residual quantizer of fewer numbers per frame.
#[derive(Module, Debug)]
pub struct ProjectedQuantizer<B: Backend> {
    /// To a code's vector, `[codebook_dim, dimension]`
    pub input: Param<Tensor<B, 2>>,
    /// The codebooks.
    pub levels: ResidualVectorQuantizer<B>,
    /// Back from the sum of the codes' vectors, `[dimension, codebook_dim]`
    pub output: Param<Tensor<B, 2>>,
}

/// What a [`SplitQuantizer`] that encodes a number of levels needs of their codes for every frame.
#[derive(Debug, Clone)]
pub struct SplitNorms<B: Backend> {
    semantic: HalfNorms<B>,
    acoustic: Option<HalfNorms<B>>,
}

impl MimiConfig {
    pub(super) fn init_quantizer<B: Backend>(&self, device: &B::Device) -> SplitQuantizer<B> {
        let (from, to) = (self.dimension, self.codebook_dim);
        let quantizer = |levels| ProjectedQuantizer {
            input: uniform([to, from], from, device),
            levels: ResidualVectorQuantizerConfig {
                dimension: to,
                codebook_size: self.codebook_size,
                levels,
            }
            .init(device),
            output: uniform([from, to], to, device),
        };
        SplitQuantizer {
            semantic: quantizer(self.semantic_quantizers),
            acoustic: quantizer(self.num_quantizers - self.semantic_quantizers),
        }
    }
}

impl<B: Backend> SplitQuantizer<B> {
    /// For encoding the `levels` coarsest levels.
    ///
    /// # Panics
    /// If there are fewer, or none are asked for.
    pub fn norms(&self, levels: usize) -> SplitNorms<B> {
        let semantic = levels.min(self.semantic.levels.codebooks.len());
        let acoustic = levels - semantic;
        SplitNorms {
            semantic: self.semantic.levels.half_norms(semantic),
            acoustic: (acoustic > 0).then(|| self.acoustic.levels.half_norms(acoustic)),
        }
    }

    /// Quantizes as many levels as `norms` were made for.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, levels, frames]`, the semantic ones first
    pub fn encode(&self, x: Tensor<B, 3>, norms: &SplitNorms<B>) -> Tensor<B, 3, Int> {
        match &norms.acoustic {
            None => self.semantic.encode(x, &norms.semantic),
            Some(acoustic) => {
                let semantic = self.semantic.encode(x.clone(), &norms.semantic);
                Tensor::cat(vec![semantic, self.acoustic.encode(x, acoustic)], 1)
            }
        }
    }

    /// The frames that codes of the coarsest levels stand for.
    ///
    /// # Shapes
    /// - codes: `[batch, levels, frames]`, each below the codebook's size
    /// - output: `[batch, dimension, frames]`
    ///
    /// # Panics
    /// If there are fewer codebooks than levels, or no levels.
    pub fn decode(&self, codes: Tensor<B, 3, Int>) -> Tensor<B, 3> {
        let [_, levels, _] = codes.dims();
        let semantic = levels.min(self.semantic.levels.codebooks.len());
        let acoustic = levels - semantic;
        let sum = self.semantic.decode(codes.clone().narrow(1, 0, semantic));
        match acoustic {
            0 => sum,
            _ => sum + self.acoustic.decode(codes.narrow(1, semantic, acoustic)),
        }
    }
}

impl<B: Backend> ProjectedQuantizer<B> {
    fn encode(&self, x: Tensor<B, 3>, norms: &HalfNorms<B>) -> Tensor<B, 3, Int> {
        let x = self.input.val().unsqueeze::<3>().matmul(x);
        self.levels.encode_with(x, norms)
    }

    fn decode(&self, codes: Tensor<B, 3, Int>) -> Tensor<B, 3> {
        let x = self.levels.decode(codes);
        self.output.val().unsqueeze::<3>().matmul(x)
    }
}
