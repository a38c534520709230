//! Grouped residual vector quantization: the numbers of a frame in equal parts, each with a
//! residual quantizer of its own (Yang et al. 2023, "HiFi-Codec", section 3.2).

use burn::prelude::*;

use super::SoundStreamConfig;
use crate::{ResidualVectorQuantizer, ResidualVectorQuantizerConfig};

/// Frames to codes and back.
#[derive(Module, Debug)]
pub struct GroupedQuantizer<B: Backend> {
    /// One for each part of a frame's numbers, the first part first.
    pub groups: Vec<ResidualVectorQuantizer<B>>,
}

impl SoundStreamConfig {
    pub(super) fn init_quantizer<B: Backend>(&self, device: &B::Device) -> GroupedQuantizer<B> {
        let group = ResidualVectorQuantizerConfig {
            dimension: self.dimension / self.groups,
            codebook_size: self.codebook_size,
            levels: self.num_quantizers,
        };
        GroupedQuantizer {
            groups: (0..self.groups).map(|_| group.init(device)).collect(),
        }
    }
}

impl<B: Backend> GroupedQuantizer<B> {
    /// Quantizes each group with its coarsest codebooks.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, levels, frames]`: the levels of the first group, then those of the next
    ///
    /// # Panics
    /// If the levels are not as many in every group, or more than there are.
    pub fn encode(&self, x: Tensor<B, 3>, levels: usize) -> Tensor<B, 3, Int> {
        let groups = self.groups.len();
        let codes = |(part, group): (Tensor<B, 3>, &ResidualVectorQuantizer<B>)| {
            group.encode(part, levels / groups)
        };
        let parts = x.chunk(groups, 1).into_iter().zip(&self.groups);
        Tensor::cat(parts.map(codes).collect(), 1)
    }

    /// The frames that codes of each group's coarsest levels stand for.
    ///
    /// # Shapes
    /// - codes: `[batch, levels, frames]`, group by group, each below the codebook's size
    /// - output: `[batch, dimension, frames]`
    ///
    /// # Panics
    /// If the levels are not as many in every group, or more than there are.
    pub fn decode(&self, codes: Tensor<B, 3, Int>) -> Tensor<B, 3> {
        let groups = self.groups.len();
        let vectors =
            |(part, group): (Tensor<B, 3, Int>, &ResidualVectorQuantizer<B>)| group.decode(part);
        let parts = codes.chunk(groups, 1).into_iter().zip(&self.groups);
        Tensor::cat(parts.map(vectors).collect(), 1)
    }
}
