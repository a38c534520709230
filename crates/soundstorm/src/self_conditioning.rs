//! Self-conditioning (arXiv 2208.04202, section 3.2), as soundstorm-pytorch 0.6.1 has it: what the
//! heads made of the last pass, summed over the levels, is projected and added to the embedded
//! frames of the next. The first pass gets a null embedding in its place.
//!
//! One thing differs: the package works out what a row is trained with by a pass without any
//! self-conditioning, which generation never makes; here that pass has the null embedding too.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    tensor::{Int, Tensor, backend::Backend},
};
use soundstorm_nn::{Linear, LinearConfig, linear};

use crate::{Prepared, SoundStorm};

/// Configuration of [`SelfConditioning`].
#[derive(Config, Debug)]
pub struct SelfConditioningLayerConfig {
    /// Channels.
    pub dim: usize,
    /// How often a row is trained with the frames of an earlier pass.
    pub train_probability: f64,
}

/// The null embedding and the projection.
#[derive(Module, Debug)]
pub struct SelfConditioning<B: Backend> {
    /// What stands for the frames of a pass that there was not, `[dim]`.
    pub null: Param<Tensor<B, 1>>,
    /// `dim` to `dim`, without bias.
    pub to_frames: Linear<B>,
    /// How often a row is trained with the frames of an earlier pass.
    pub(crate) train_probability: f64,
}

impl SelfConditioningLayerConfig {
    /// A normally distributed null embedding, and a projection with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> SelfConditioning<B> {
        let normal = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        SelfConditioning {
            null: normal.init([self.dim], device),
            to_frames: LinearConfig::new(self.dim, self.dim)
                .with_bias(false)
                .init(device),
            train_probability: self.train_probability,
        }
    }
}

impl<B: Backend> SelfConditioning<B> {
    /// What is added where there was no pass, `[batch, frames, dim]` of one row and frame.
    pub(crate) fn absent(&self) -> Tensor<B, 3> {
        let null = self.null.val();
        let dim = null.dims()[0];
        // Never a product of one row: fused with what follows it, that is wrong on CUDA in burn 0.21.
        let twice = null.reshape([1, 1, dim]).repeat_dim(1, 2);
        linear(twice, &self.to_frames).narrow(1, 0, 1)
    }

    /// What is added after a pass.
    ///
    /// # Shapes
    /// - `summary`, output: `[batch, frames, dim]`
    pub(crate) fn forward(&self, summary: Tensor<B, 3>) -> Tensor<B, 3> {
        linear(summary, &self.to_frames)
    }
}

/// Passes over one batch, one after the other, each conditioned on the frames of the last where
/// the model has self-conditioning: what a decode loop calls.
#[derive(Debug)]
pub struct Passes<'a, B: Backend> {
    model: &'a SoundStorm<B>,
    prepared: &'a Prepared<B>,
    lengths: Option<&'a [usize]>,
    last: Option<Tensor<B, 3>>,
}

impl<B: Backend> SoundStorm<B> {
    /// Passes over a batch, none made yet.
    pub fn passes<'a>(
        &'a self,
        prepared: &'a Prepared<B>,
        lengths: Option<&'a [usize]>,
    ) -> Passes<'a, B> {
        Passes {
            model: self,
            prepared,
            lengths,
            last: None,
        }
    }
}

impl<B: Backend> Passes<'_, B> {
    /// The frames of the last pass, `[batch, frames, dim]`; nothing without self-conditioning.
    pub(crate) fn last(&self) -> Option<Tensor<B, 3>> {
        self.last.clone()
    }

    /// Goes on from frames that other passes over the same rows ended with.
    pub(crate) fn follow(&mut self, last: Option<Tensor<B, 3>>) {
        self.last = last;
    }

    /// The logits of one level by the next pass.
    ///
    /// # Shapes
    /// - `codes`: `[batch, levels, frames]`, the mask id where hidden
    /// - output: `[batch, frames, codebook_size]`
    pub fn level_logits(&mut self, codes: Tensor<B, 3, Int>, level: usize) -> Tensor<B, 3> {
        let last = self.last.take();
        let hidden = self
            .model
            .hidden_given(codes, self.prepared, last, self.lengths);
        if self.model.self_conditioning.is_some() {
            self.last = Some(hidden.clone());
        }
        self.model.head.forward(hidden, level)
    }
}
