//! The embedding of acoustic tokens: one table for all levels, summed over the
//! levels of a frame (SoundStorm, section 3.1); with grouped quantizers a sum
//! for each group, joined by a projection as in soundstorm-pytorch.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    tensor::{Int, Tensor, TensorData, backend::Backend},
};
use soundstorm_nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig, embedding_sum, linear};

/// Configuration of [`LevelEmbedding`].
#[derive(Config, Debug)]
pub struct LevelEmbeddingConfig {
    /// Codes of one codebook, without the mask id.
    pub codebook_size: usize,
    /// Levels of one group.
    pub quantizers: usize,
    /// Channels.
    pub dim: usize,
    /// Groups of levels.
    #[config(default = 1)]
    pub groups: usize,
}

/// Sums the embeddings of a frame's tokens.
#[derive(Module, Debug)]
pub struct LevelEmbedding<B: Backend> {
    /// Embeddings of level q from row `q * (codebook_size + 1)` on, the mask
    /// id's last, `[levels * (codebook_size + 1), dim]`.
    pub table: Param<Tensor<B, 2>>,
    /// From the groups' sums side by side to one, with grouped quantizers.
    pub group_projection: Option<Linear<B>>,
    /// The norm after it.
    pub group_norm: Option<LayerNorm<B>>,
    codes_with_mask: usize,
    quantizers: usize,
    groups: usize,
}

impl LevelEmbeddingConfig {
    /// An embedding with normally distributed weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> LevelEmbedding<B> {
        let codes_with_mask = self.codebook_size + 1;
        let rows = self.quantizers * self.groups * codes_with_mask;
        let initializer = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        let grouped = self.groups > 1;
        LevelEmbedding {
            table: initializer.init([rows, self.dim], device),
            group_projection: grouped
                .then(|| LinearConfig::new(self.dim * self.groups, self.dim).init(device)),
            group_norm: grouped.then(|| LayerNormConfig::new(self.dim).init(device)),
            codes_with_mask,
            quantizers: self.quantizers,
            groups: self.groups,
        }
    }
}

impl<B: Backend> LevelEmbedding<B> {
    /// # Shapes
    /// - `codes`: `[batch, levels, frames]`, up to and with the mask id; the
    ///   levels of the first group come first
    /// - output: `[batch, frames, dim]`
    pub fn forward(&self, codes: Tensor<B, 3, Int>) -> Tensor<B, 3> {
        let mut groups: Vec<_> = (0..self.groups)
            .map(|group| self.group(&codes, group))
            .collect();
        match (&self.group_projection, &self.group_norm) {
            (Some(projection), Some(norm)) => {
                norm.forward(linear(Tensor::cat(groups, 2), projection))
            }
            _ => groups.remove(0),
        }
    }

    /// The sum over one group's levels.
    fn group(&self, codes: &Tensor<B, 3, Int>, group: usize) -> Tensor<B, 3> {
        let [batch, _, frames] = codes.dims();
        let first = group * self.quantizers;
        let ids = codes.clone().narrow(1, first, self.quantizers);
        let ids = ids
            .swap_dims(0, 1)
            .reshape([self.quantizers, batch * frames]);
        let starts = (first..first + self.quantizers).map(|level| level * self.codes_with_mask);
        let starts: Vec<i64> = starts.map(|at| at as i64).collect();
        let starts = TensorData::new(starts, [self.quantizers, 1]);
        let starts = Tensor::from_data(starts, &codes.device());
        let sum = embedding_sum(self.table.val(), ids + starts);
        let [_, dim] = sum.dims();
        sum.reshape([batch, frames, dim])
    }
}
