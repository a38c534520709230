//! Causal attention to a window of frames, by normed queries and keys and with a gate for each
//! head (`LocalMHA` of the `local-attention` package, with the options of audiolm-pytorch).

use burn::module::{Initializer, Param};
use burn::prelude::*;
use burn::tensor::DType;
use burn::tensor::activation::sigmoid;
use soundstorm_nn::{Linear, LinearConfig, linear, merge_heads, split_heads};

use super::SoundStreamConfig;
use super::xpos::Xpos;
use crate::band::Band;

/// What a score is multiplied with, in place of a share of the head's width.
const SCORE_SCALE: f64 = 8.0;
/// Below this a vector has no direction, and is divided by this instead of its length.
const SHORTEST: f64 = 1e-12;

/// Self-attention of normed frames.
#[derive(Module, Debug)]
pub struct LocalAttention<B: Backend> {
    /// Query, key and value in one product, `dimension` to `3 * heads * dim_head`.
    pub to_qkv: Linear<B>,
    /// Of a query's direction, `[dim_head]`.
    pub query_scale: Param<Tensor<B, 1>>,
    /// Of a key's direction, `[dim_head]`.
    pub key_scale: Param<Tensor<B, 1>>,
    /// The gate of each head, `dimension` to `heads`, before its sigmoid.
    pub to_gate: Linear<B>,
    /// Back, `heads * dim_head` to `dimension`.
    pub to_out: Linear<B>,
    heads: usize,
}

impl SoundStreamConfig {
    pub(super) fn init_attention<B: Backend>(&self, device: &B::Device) -> LocalAttention<B> {
        let inner = self.heads * self.dim_head;
        let linear = |from, to| LinearConfig::new(from, to);
        let ones = || Initializer::Ones.init([self.dim_head], device);
        LocalAttention {
            to_qkv: linear(self.dimension, 3 * inner)
                .with_bias(false)
                .init(device),
            query_scale: ones(),
            key_scale: ones(),
            to_gate: linear(self.dimension, self.heads).init(device),
            to_out: linear(inner, self.dimension).with_bias(false).init(device),
            heads: self.heads,
        }
    }
}

impl<B: Backend> LocalAttention<B> {
    /// # Shapes
    /// - x, output: `[batch, frames, dimension]`
    ///
    /// # Arguments
    /// - `xpos`: positions, unless the band has a bias in their place
    /// - `band`: which frames each attends to
    pub(super) fn forward(
        &self,
        x: Tensor<B, 3>,
        xpos: Option<&Xpos<B>>,
        band: &Band<B>,
    ) -> Tensor<B, 3> {
        let gates = sigmoid(linear(x.clone(), &self.to_gate));
        let [query, key, value] = split_heads(linear(x, &self.to_qkv), self.heads, None);
        let [_, _, _, dim_head] = query.dims();
        // Undoes the share of the head's width that `attend` has.
        let scale = SCORE_SCALE * (dim_head as f64).sqrt();
        let query = directions(query, self.query_scale.val().mul_scalar(scale));
        let key = directions(key, self.key_scale.val());
        let out = band.attend_turned(&query, &key, &value, |query, key| match xpos {
            Some(xpos) => xpos.turn(query, key),
            None => [query, key],
        });
        let gates = gates.swap_dims(1, 2).unsqueeze_dim::<4>(3);
        linear(merge_heads(out * gates), &self.to_out)
    }
}

/// Each frame's vector of each head at length 1, then scaled.
///
/// # Shapes
/// - x, output: `[batch, heads, frames, dim_head]`
/// - scale: `[dim_head]`
fn directions<B: Backend>(x: Tensor<B, 4>, scale: Tensor<B, 1>) -> Tensor<B, 4> {
    let dtype = x.dtype();
    let x = x.cast(DType::F32);
    let lengths = x.clone().square().sum_dim(3).sqrt();
    let x = x.div(lengths.clamp_min(SHORTEST));
    (x * scale.cast(DType::F32).unsqueeze()).cast(dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn a_vector_of_no_length_is_no_nan() {
        let device = Default::default();
        let x = Tensor::<B, 4>::from_floats([[[[3.0, 4.0], [0.0, 0.0]]]], &device);
        let scale = Tensor::from_floats([10.0, 100.0], &device);
        let got: Vec<f32> = directions(x, scale).into_data().iter().collect();
        for (got, want) in got.into_iter().zip([6.0, 80.0, 0.0, 0.0]) {
            assert!((got - want).abs() < 1e-5, "{got} {want}");
        }
    }
}
