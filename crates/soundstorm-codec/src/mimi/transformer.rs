//! The transformer beside the quantizer (Défossez et al. 2024, "Moshi", section 3.3.1): causal,
//! with layer norms before its branches and layer scales after them.

use burn::module::{Initializer, Param};
use burn::prelude::*;
use burn::tensor::activation::gelu;
use soundstorm_nn::{
    LayerNorm, LayerNormConfig, Linear, LinearConfig, Rotary, RotaryConfig, linear,
};

use super::attention::{KeyValues, WindowAttention};
use super::config::{MimiConfig, NORM_EPSILON, ROTARY_THETA};
use crate::band::Band;

/// How much of a branch there is before training.
const LAYER_SCALE: f64 = 0.01;

/// A stack of [`TransformerLayer`]s.
#[derive(Module, Debug)]
pub struct Transformer<B: Backend> {
    /// The layers, the first first.
    pub layers: Vec<TransformerLayer<B>>,
    heads: usize,
    dim_head: usize,
    window: usize,
}

/// `x + scale * attention(norm(x))`, then the same with a feed-forward layer.
#[derive(Module, Debug)]
pub struct TransformerLayer<B: Backend> {
    /// Before the attention.
    pub attention_norm: LayerNorm<B>,
    /// To the window's frames.
    pub attention: WindowAttention<B>,
    /// Of the attention, `[dimension]`.
    pub attention_scale: Param<Tensor<B, 1>>,
    /// Before the feed-forward layer.
    pub feed_forward_norm: LayerNorm<B>,
    /// To the feed-forward layer's inside, where a GELU follows.
    pub feed_forward_in: Linear<B>,
    /// And back.
    pub feed_forward_out: Linear<B>,
    /// Of the feed-forward layer, `[dimension]`.
    pub feed_forward_scale: Param<Tensor<B, 1>>,
}

/// What a [`Transformer`] keeps of a stream.
#[derive(Debug, Clone)]
pub struct TransformerState<B: Backend> {
    /// Frames so far.
    position: usize,
    layers: Vec<KeyValues<B>>,
}

impl<B: Backend> TransformerState<B> {
    /// How many numbers it holds.
    pub fn numbers(&self) -> usize {
        self.layers.iter().map(KeyValues::numbers).sum()
    }
}

impl MimiConfig {
    pub(super) fn init_transformer<B: Backend>(&self, device: &B::Device) -> Transformer<B> {
        let norm = || {
            LayerNormConfig::new(self.dimension)
                .with_epsilon(NORM_EPSILON)
                .init(device)
        };
        let scale = || Initializer::Constant { value: LAYER_SCALE }.init([self.dimension], device);
        let linear = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        let layer = |_| TransformerLayer {
            attention_norm: norm(),
            attention: self.init_attention(device),
            attention_scale: scale(),
            feed_forward_norm: norm(),
            feed_forward_in: linear(self.dimension, self.feed_forward),
            feed_forward_out: linear(self.feed_forward, self.dimension),
            feed_forward_scale: scale(),
        };
        Transformer {
            layers: (0..self.transformer_layers).map(layer).collect(),
            heads: self.heads,
            dim_head: self.dim_head,
            window: self.window,
        }
    }
}

impl<B: Backend> Transformer<B> {
    /// The state before the first frame.
    pub fn start(&self) -> TransformerState<B> {
        TransformerState {
            position: 0,
            layers: self.layers.iter().map(|_| KeyValues::default()).collect(),
        }
    }

    /// All frames of a signal.
    ///
    /// # Shapes
    /// - x, output: `[batch, dimension, frames]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        self.stream(x, &mut self.start())
    }

    /// The frames that follow those before.
    ///
    /// # Shapes
    /// - x, output: `[batch, dimension, frames]`
    pub fn stream(&self, x: Tensor<B, 3>, state: &mut TransformerState<B>) -> Tensor<B, 3> {
        let ([_, _, frames], device) = (x.dims(), x.device());
        let end = state.position + frames;
        let rotary = RotaryConfig::new(self.dim_head)
            .with_theta(ROTARY_THETA)
            .init_at(state.position..end, &device);
        let past = state.position.min(self.window - 1);
        let band = Band::new(past, frames, self.window, self.heads, &device);
        let mut x = x.swap_dims(1, 2);
        for (layer, kept) in self.layers.iter().zip(&mut state.layers) {
            x = layer.stream(x, &rotary, &band, kept);
        }
        state.position = end;
        x.swap_dims(1, 2)
    }
}

impl<B: Backend> TransformerLayer<B> {
    fn stream(
        &self,
        x: Tensor<B, 3>,
        rotary: &Rotary<B>,
        band: &Band<B>,
        kept: &mut KeyValues<B>,
    ) -> Tensor<B, 3> {
        let y = self.attention_norm.forward(x.clone());
        let y = self.attention.stream(y, rotary, band, kept);
        let x = x + y * self.attention_scale.val().unsqueeze::<3>();
        let y = self.feed_forward_norm.forward(x.clone());
        let y = linear(
            gelu(linear(y, &self.feed_forward_in)),
            &self.feed_forward_out,
        );
        x + y * self.feed_forward_scale.val().unsqueeze::<3>()
    }
}
