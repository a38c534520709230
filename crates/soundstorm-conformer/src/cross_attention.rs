//! The module by which frames attend to a context, between a block's self-attention and its
//! convolution: norm and cross-attention, joined to the residual as the others are.

use burn::{
    config::Config,
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use soundstorm_nn::{
    ContextKeys, ContextView, CrossAttention, CrossAttentionConfig, LayerNorm, LayerNormConfig,
};

use crate::{BranchEnd, Modulation, adaptive_norm::modulate};

/// Configuration of [`CrossAttentionModule`].
#[derive(Config, Debug)]
pub struct CrossAttentionModuleConfig {
    /// The attention.
    pub attention: CrossAttentionConfig,
}

/// Norm and attention to a context.
#[derive(Module, Debug)]
pub struct CrossAttentionModule<B: Backend> {
    /// Norm of the frames.
    pub norm: LayerNorm<B>,
    /// The attention.
    pub attention: CrossAttention<B>,
}

impl CrossAttentionModuleConfig {
    /// A module with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> CrossAttentionModule<B> {
        CrossAttentionModule {
            norm: LayerNormConfig::new(self.attention.dim).init(device),
            attention: self.attention.init(device),
        }
    }
}

impl<B: Backend> CrossAttentionModule<B> {
    /// Everything but the last layer; zero for rows without context.
    ///
    /// # Shapes
    /// - `x`: `[batch, frames, dim]`
    /// - output: `[batch, frames, heads * dim_head]`
    pub(crate) fn hidden(
        &self,
        x: Tensor<B, 3>,
        context: &ContextKeys<B>,
        view: &ContextView<B>,
        modulation: Option<&Modulation<B>>,
    ) -> Tensor<B, 3> {
        let x = modulate(self.norm.forward(x), modulation);
        self.attention.heads_output(x, context, view)
    }

    /// What follows it.
    pub(crate) fn end(&self) -> BranchEnd<'_, B> {
        BranchEnd {
            linear: &self.attention.to_out,
            dropout: None,
            scale: 1.0,
        }
    }
}
