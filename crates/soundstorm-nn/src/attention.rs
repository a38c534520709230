//! Multi-head self-attention as in soundstorm-pytorch: fused query, key and
//! value, rotary positions or a relative bias, and optional mixing with the
//! first layer's values (value residual, arXiv 2410.17897).

use burn::{
    config::Config,
    module::Module,
    nn::{Dropout, DropoutConfig},
    tensor::{Bool, Tensor, activation, backend::Backend},
};

use crate::{
    AttendOptions, Linear, LinearConfig, Rotary, attend,
    heads::{merge_heads, split_heads},
    linear,
};

/// How a layer's values are mixed with those of the first layer.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum ValueResidual {
    /// They are not.
    None,
    /// The mean of both (soundstorm-pytorch 0.5.0).
    Average,
    /// By a learned gate for each head and frame (soundstorm-pytorch 0.6).
    Learned,
}

/// Configuration of [`Attention`].
#[derive(Config, Debug)]
pub struct AttentionConfig {
    /// Channels of input and output.
    pub dim: usize,
    /// Number of heads.
    #[config(default = 8)]
    pub heads: usize,
    /// Channels of one head.
    #[config(default = 64)]
    pub dim_head: usize,
    /// Dropout of the attention weights, in training.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Mixing with the first layer's values.
    #[config(default = "ValueResidual::None")]
    pub value_residual: ValueResidual,
}

/// Multi-head self-attention.
#[derive(Module, Debug)]
pub struct Attention<B: Backend> {
    /// Query, key and value in one product, `dim` to `3 * heads * dim_head`.
    pub to_qkv: Linear<B>,
    /// Gate of the value residual, `dim` to `heads`; present if it is learned.
    pub to_value_mix: Option<Linear<B>>,
    /// Back to the model's channels, `heads * dim_head` to `dim`.
    pub to_out: Linear<B>,
    dropout: Dropout,
    heads: usize,
    average_values: bool,
}

/// What [`Attention::forward`] is given.
#[derive(Clone, Debug)]
pub struct AttentionInput<'a, B: Backend> {
    /// The frames, `[batch, frames, dim]`.
    pub x: Tensor<B, 3>,
    /// Real frames, `[batch, frames]`; all, when absent.
    pub mask: Option<Tensor<B, 2, Bool>>,
    /// Rotary positions for at least as many frames.
    pub rotary: Option<&'a Rotary<B>>,
    /// Bias on the scores, `[1, heads, frames, frames]`.
    pub bias: Option<&'a Tensor<B, 4>>,
    /// The first layer's values, `[batch, heads, frames, dim_head]`; ignored by
    /// a layer that mixes none in.
    pub first_values: Option<&'a Tensor<B, 4>>,
}

/// What [`Attention::forward`] returns.
#[derive(Clone, Debug)]
pub struct AttentionOutput<B: Backend> {
    /// `[batch, frames, dim]`.
    pub x: Tensor<B, 3>,
    /// This layer's values, `[batch, heads, frames, dim_head]`.
    pub values: Tensor<B, 4>,
}

impl AttentionConfig {
    /// Attention with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Attention<B> {
        let inner = self.heads * self.dim_head;
        let linear = |input, output| LinearConfig::new(input, output);
        Attention {
            to_qkv: linear(self.dim, 3 * inner).with_bias(false).init(device),
            to_value_mix: (self.value_residual == ValueResidual::Learned)
                .then(|| linear(self.dim, self.heads).with_bias(false).init(device)),
            to_out: linear(inner, self.dim).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            heads: self.heads,
            average_values: self.value_residual == ValueResidual::Average,
        }
    }
}

impl<B: Backend> Attention<B> {
    /// Every frame attends to every real frame of its row.
    ///
    /// # Shapes
    /// - input and output: see [`AttentionInput`] and [`AttentionOutput`]
    pub fn forward(&self, input: AttentionInput<B>) -> AttentionOutput<B> {
        let output = self.heads_output(input);
        AttentionOutput {
            x: linear(output.x, &self.to_out),
            values: output.values,
        }
    }

    /// The same before [`Self::to_out`], for who adds that layer's output to a residual.
    ///
    /// # Shapes
    /// - `x` of the output: `[batch, frames, heads * dim_head]`
    pub fn heads_output(&self, input: AttentionInput<B>) -> AttentionOutput<B> {
        let qkv = linear(input.x.clone(), &self.to_qkv);
        let [query, key, mut values] = split_heads(qkv, self.heads, input.rotary);

        if let Some(first) = input.first_values {
            if let Some(gate) = &self.to_value_mix {
                values = mix_values(values, first, linear(input.x, gate));
            } else if self.average_values {
                values = (values + first.clone()) * 0.5;
            }
        }

        let options = AttendOptions {
            key_mask: input.mask,
            bias: input.bias.cloned(),
            dropout: (self.dropout.prob > 0.0).then(|| self.dropout.clone()),
        };
        let x = attend(query, key, values.clone(), &options);
        AttentionOutput {
            x: merge_heads(x),
            values,
        }
    }
}

/// Moves values towards the first layer's, by a gate for each head and frame.
///
/// # Shapes
/// - `values`, `first`, output: `[batch, heads, frames, dim_head]`
/// - `gate`: `[batch, frames, heads]`, before its sigmoid
fn mix_values<B: Backend>(
    values: Tensor<B, 4>,
    first: &Tensor<B, 4>,
    gate: Tensor<B, 3>,
) -> Tensor<B, 4> {
    #[cfg(feature = "flex")]
    let values = match crate::flex::mix_values(values, first, &gate) {
        Ok(done) => return done,
        Err(values) => values,
    };
    plain_mix(values, first, gate)
}

fn plain_mix<B: Backend>(
    values: Tensor<B, 4>,
    first: &Tensor<B, 4>,
    gate: Tensor<B, 3>,
) -> Tensor<B, 4> {
    let mix = activation::sigmoid(gate)
        .swap_dims(1, 2)
        .unsqueeze_dim::<4>(3);
    values.clone() + (first.clone() - values) * mix
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    fn attention(value_residual: ValueResidual) -> Attention<B> {
        AttentionConfig::new(13)
            .with_heads(3)
            .with_dim_head(2)
            .with_value_residual(value_residual)
            .init(&Default::default())
    }

    fn input<'a>(x: &Tensor<B, 3>, first: Option<&'a Tensor<B, 4>>) -> AttentionInput<'a, B> {
        AttentionInput {
            x: x.clone(),
            mask: None,
            rotary: None,
            bias: None,
            first_values: first,
        }
    }

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
    }

    #[test]
    fn shapes_and_parameters() {
        let attention = attention(ValueResidual::Learned);
        let out = attention.forward(input(&random([2, 7, 13]), None));
        assert_eq!(out.x.dims(), [2, 7, 13]);
        assert_eq!(out.values.dims(), [2, 3, 7, 2]);
        assert_eq!(attention.num_params(), 13 * 18 + 13 * 3 + 6 * 13 + 13);
    }

    #[test]
    fn an_average_is_half_way_to_the_first_values() {
        let x = random([2, 7, 13]);
        let attention = attention(ValueResidual::Average);
        let plain = attention.forward(input(&x, None)).values;
        let first = random([2, 3, 7, 2]);
        let mixed = attention.forward(input(&x, Some(&first))).values;
        mixed
            .into_data()
            .assert_approx_eq::<f32>(&((plain + first) * 0.5).into_data(), Tolerance::default());
    }

    /// A gate wide open takes the first layer's values, a closed one the layer's own.
    #[test]
    fn a_learned_gate_moves_from_own_to_first_values() {
        let x = Tensor::ones([2, 7, 13], &Default::default());
        let first = random([2, 3, 7, 2]);
        let mut attention = attention(ValueResidual::Learned);
        let own = attention.forward(input(&x, None)).values;
        for (weight, want) in [(9.0, &first), (-9.0, &own)] {
            attention.to_value_mix = attention.to_value_mix.map(|mut gate| {
                gate.weight = gate.weight.map(|w| w.full_like(weight));
                gate
            });
            attention
                .forward(input(&x, Some(&first)))
                .values
                .into_data()
                .assert_approx_eq::<f32>(&want.to_data(), Tolerance::absolute(1e-5));
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernel_equals_plain_burn() {
        let (values, first) = (random([2, 3, 331, 17]), random([2, 3, 331, 17]));
        let gate = random([2, 331, 3]);
        let got = crate::flex::mix_values(values.clone(), &first, &gate).expect("f32 on flex");
        let want = plain_mix(values, &first, gate).into_data();
        got.into_data()
            .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-5));
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernel_has_the_gradient_of_plain_burn() {
        let (shape, gates) = ([2, 3, 331, 17], [2, 331, 3]);
        let count = shape.iter().product();
        crate::testing::assert_same_gradients(
            [count, count, gates.iter().product()],
            |[values, first, gate]| {
                let (first, gate) = (first.reshape(shape), gate.reshape(gates));
                crate::flex::mix_values(values.reshape(shape), &first, &gate).expect("f32")
            },
            |[values, first, gate]| {
                plain_mix(
                    values.reshape(shape),
                    &first.reshape(shape),
                    gate.reshape(gates),
                )
            },
        );
    }
}
