//! The transformer beside the quantizer (`LocalTransformer` of audiolm-pytorch): local attention
//! and feed-forward layers, each after a layer norm and beside the identity.

use burn::prelude::*;
use burn::tensor::activation::gelu;
use soundstorm_nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig, linear};

use super::SoundStreamConfig;
use super::attention::LocalAttention;
use super::position_bias::{DynamicPositionBias, of_block};
use super::xpos::Xpos;
use crate::band::{BLOCK, Band};
use crate::receptive::Window;

/// A stack of [`LocalLayer`]s.
#[derive(Module, Debug)]
pub struct LocalTransformer<B: Backend> {
    /// The layers, the first first.
    pub layers: Vec<LocalLayer<B>>,
    /// A bias by distance for all of them, if it takes the place of positions.
    pub position_bias: Option<DynamicPositionBias<B>>,
    config: SoundStreamConfig,
}

/// `x + attention(norm(x))`, then the same with a feed-forward layer.
#[derive(Module, Debug)]
pub struct LocalLayer<B: Backend> {
    /// Before the attention.
    pub attention_norm: LayerNorm<B>,
    /// To the window's frames.
    pub attention: LocalAttention<B>,
    /// Before the feed-forward layer.
    pub feed_forward_norm: LayerNorm<B>,
    /// To the feed-forward layer's inside, twice: what goes on, and its gate before GELU.
    pub feed_forward_in: Linear<B>,
    /// And back.
    pub feed_forward_out: Linear<B>,
}

impl SoundStreamConfig {
    /// Numbers inside a feed-forward layer: two thirds of four times the dimension, as gates have
    /// weights too.
    pub(super) fn feed_forward(&self) -> usize {
        4 * self.dimension * 2 / 3
    }

    /// The transformer of one side, if there is one.
    pub(super) fn init_transformer<B: Backend>(
        &self,
        device: &B::Device,
    ) -> Option<LocalTransformer<B>> {
        let norm = || LayerNormConfig::new(self.dimension).init(device);
        let linear = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        let inner = self.feed_forward();
        let layer = |_| LocalLayer {
            attention_norm: norm(),
            attention: self.init_attention(device),
            feed_forward_norm: norm(),
            feed_forward_in: linear(self.dimension, 2 * inner),
            feed_forward_out: linear(inner, self.dimension),
        };
        (self.attention_layers > 0).then(|| LocalTransformer {
            layers: (0..self.attention_layers).map(layer).collect(),
            position_bias: (self.dynamic_position_bias).then(|| self.init_position_bias(device)),
            config: self.clone(),
        })
    }
}

impl SoundStreamConfig {
    /// What each layer of one side's attention sees.
    pub(super) fn attention_windows(&self) -> impl Iterator<Item = Window> {
        let past = self.window;
        (0..self.attention_layers).map(move |_| Window::Attention { past })
    }
}

impl<B: Backend> LocalTransformer<B> {
    /// # Shapes
    /// - x, output: `[batch, dimension, frames]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let ([_, _, frames], device) = (x.dims(), x.device());
        let SoundStreamConfig { window, heads, .. } = self.config;
        // Blocks are no longer than a window, as in the package: scales grow with both.
        let block = window.min(BLOCK).min(frames);
        let past = window.min(frames);
        let band = Band::in_blocks(block, 0, frames, window + 1, heads, &device);
        let (band, xpos) = match &self.position_bias {
            Some(bias) => {
                let by_distance = bias.by_distance(past + 1);
                let of_block = |before, queries| of_block(&by_distance, before, queries);
                (band.with_bias(of_block), None)
            }
            None => (band, Some(self.config.init_xpos(past, block, &device))),
        };
        let mut x = x.swap_dims(1, 2);
        for layer in &self.layers {
            x = layer.forward(x, xpos.as_ref(), &band);
        }
        x.swap_dims(1, 2)
    }
}

impl<B: Backend> LocalLayer<B> {
    fn forward(&self, x: Tensor<B, 3>, xpos: Option<&Xpos<B>>, band: &Band<B>) -> Tensor<B, 3> {
        let y = self.attention_norm.forward(x.clone());
        let x = x + self.attention.forward(y, xpos, band);
        let y = self.feed_forward_norm.forward(x.clone());
        let y = linear(y, &self.feed_forward_in);
        let [_, _, width] = y.dims();
        let half = |start| y.clone().narrow(2, start, width / 2);
        let y = half(0) * gelu(half(width / 2));
        x + linear(y, &self.feed_forward_out)
    }
}
