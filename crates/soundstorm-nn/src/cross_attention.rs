//! Attention of frames to a sequence beside them, such as text (arXiv 1706.03762, section 3.2.3).

use burn::{
    config::Config,
    module::Module,
    nn::{Dropout, DropoutConfig},
    tensor::{Bool, Tensor, backend::Backend},
};

use crate::{AttendOptions, Linear, LinearConfig, Rotary, attend, heads::merge_heads, linear};

/// Configuration of [`CrossAttention`].
#[derive(Config, Debug)]
pub struct CrossAttentionConfig {
    /// Channels of input and output.
    pub dim: usize,
    /// Channels of the context.
    pub context_dim: usize,
    /// Number of heads.
    #[config(default = 8)]
    pub heads: usize,
    /// Channels of one head.
    #[config(default = 64)]
    pub dim_head: usize,
    /// Dropout of the attention weights, in training.
    #[config(default = 0.0)]
    pub dropout: f64,
}

/// Multi-head attention to a context. No layer has a bias, so that a row without context gets
/// exactly nothing.
#[derive(Module, Debug)]
pub struct CrossAttention<B: Backend> {
    /// Queries, `dim` to `heads * dim_head`.
    pub to_q: Linear<B>,
    /// Keys and values in one product, `context_dim` to `2 * heads * dim_head`.
    pub to_kv: Linear<B>,
    /// Back to the model's channels, `heads * dim_head` to `dim`.
    pub to_out: Linear<B>,
    dropout: Dropout,
    heads: usize,
}

/// What a layer makes of a context: the same for every pass, so it is worked out once.
#[derive(Clone, Debug)]
pub struct ContextKeys<B: Backend> {
    /// `[batch, heads, context frames, dim_head]`, turned by the context's positions.
    key: Tensor<B, 4>,
    /// `[batch, heads, context frames, dim_head]`.
    value: Tensor<B, 4>,
}

/// What a frame may see of a context, and where both stand.
#[derive(Clone, Debug)]
pub struct ContextView<B: Backend> {
    /// Real frames of the context, `[batch, context frames]`; all, when absent.
    pub mask: Option<Tensor<B, 2, Bool>>,
    /// Rows that have no context at all, `[batch, 1, 1]`; none, when absent.
    pub empty: Option<Tensor<B, 3, Bool>>,
    /// Positions of the frames that look.
    pub rotary: Option<Rotary<B>>,
}

impl CrossAttentionConfig {
    /// Attention with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> CrossAttention<B> {
        let inner = self.heads * self.dim_head;
        let linear = |input, output| {
            LinearConfig::new(input, output)
                .with_bias(false)
                .init(device)
        };
        CrossAttention {
            to_q: linear(self.dim, inner),
            to_kv: linear(self.context_dim, 2 * inner),
            to_out: linear(inner, self.dim),
            dropout: DropoutConfig::new(self.dropout).init(),
            heads: self.heads,
        }
    }
}

impl<B: Backend> CrossAttention<B> {
    /// Keys and values of a context.
    ///
    /// # Shapes
    /// - `context`: `[batch, context frames, context_dim]`, at least one frame
    /// - `rotary`: positions of at least as many frames
    pub fn keys(&self, context: Tensor<B, 3>, rotary: Option<&Rotary<B>>) -> ContextKeys<B> {
        let both = linear(context, &self.to_kv);
        let inner = both.dims()[2] / 2;
        let key = self.split(both.clone().narrow(2, 0, inner));
        ContextKeys {
            key: turned(key, rotary),
            value: self.split(both.narrow(2, inner, inner)),
        }
    }

    /// What the frames see of the context.
    ///
    /// # Shapes
    /// - `x`, output: `[batch, frames, dim]`
    pub fn forward(
        &self,
        x: Tensor<B, 3>,
        context: &ContextKeys<B>,
        view: &ContextView<B>,
    ) -> Tensor<B, 3> {
        linear(self.heads_output(x, context, view), &self.to_out)
    }

    /// The same before [`Self::to_out`], for who adds that layer's output to a residual.
    ///
    /// # Shapes
    /// - `x`: `[batch, frames, dim]`
    /// - output: `[batch, frames, heads * dim_head]`
    pub fn heads_output(
        &self,
        x: Tensor<B, 3>,
        context: &ContextKeys<B>,
        view: &ContextView<B>,
    ) -> Tensor<B, 3> {
        let query = self.split(linear(x, &self.to_q));
        let query = turned(query, view.rotary.as_ref());
        let options = AttendOptions {
            key_mask: view.mask.clone(),
            bias: None,
            dropout: (self.dropout.prob > 0.0).then(|| self.dropout.clone()),
        };
        let seen = attend(query, context.key.clone(), context.value.clone(), &options);
        let seen = merge_heads(seen);
        match &view.empty {
            // Where all keys are masked, attention weighs them all alike.
            Some(empty) => {
                let shape = seen.dims();
                seen.mask_fill(empty.clone().expand(shape), 0.0)
            }
            None => seen,
        }
    }

    fn split(&self, x: Tensor<B, 3>) -> Tensor<B, 4> {
        let [batch, frames, inner] = x.dims();
        x.reshape([batch, frames, self.heads, inner / self.heads])
            .swap_dims(1, 2)
    }
}

fn turned<B: Backend>(x: Tensor<B, 4>, rotary: Option<&Rotary<B>>) -> Tensor<B, 4> {
    match rotary {
        Some(rotary) => rotary.forward(x),
        None => x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance, activation};

    use crate::{RotaryConfig, frame_mask};

    type B = burn_flex::Flex;

    fn layer<Bk: Backend>() -> CrossAttention<Bk> {
        CrossAttentionConfig::new(13, 11)
            .with_heads(3)
            .with_dim_head(2)
            .init(&Default::default())
    }

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
    }

    fn view(lengths: &[usize], frames: usize) -> ContextView<B> {
        let empty: Vec<bool> = lengths.iter().map(|&length| length == 0).collect();
        ContextView {
            mask: frame_mask(lengths, frames, &Default::default()),
            empty: empty.contains(&true).then(|| {
                Tensor::<B, 1, Bool>::from_data(empty.as_slice(), &Default::default()).reshape([
                    lengths.len(),
                    1,
                    1,
                ])
            }),
            rotary: None,
        }
    }

    #[test]
    fn it_follows_its_definition() {
        let layer = layer::<B>();
        let (x, context) = (random([2, 7, 13]), random([2, 5, 11]));
        let got = layer.forward(
            x.clone(),
            &layer.keys(context.clone(), None),
            &view(&[5, 5], 5),
        );
        let both = context.matmul(layer.to_kv.weight.val().unsqueeze());
        let query = x.matmul(layer.to_q.weight.val().unsqueeze());
        let heads = (0..3).map(|head| {
            let query = query.clone().narrow(2, 2 * head, 2);
            let key = both.clone().narrow(2, 2 * head, 2);
            let value = both.clone().narrow(2, 6 + 2 * head, 2);
            let scores = query.matmul(key.swap_dims(1, 2)) / 2f64.sqrt();
            activation::softmax(scores, 2).matmul(value)
        });
        let want = Tensor::cat(heads.collect(), 2).matmul(layer.to_out.weight.val().unsqueeze());
        got.into_data()
            .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-5));
    }

    /// Its own length counts, whatever stands after it and beside it; a row without context gets
    /// exactly zero.
    #[test]
    fn a_row_gets_what_it_gets_alone() {
        let layer = layer::<B>();
        let (x, context) = (random([3, 7, 13]), random([3, 5, 11]) * 30.0);
        let lengths = [3, 0, 5];
        let got = layer.forward(
            x.clone(),
            &layer.keys(context.clone(), None),
            &view(&lengths, 5),
        );
        for (row, length) in lengths.into_iter().enumerate() {
            let got = got.clone().narrow(0, row, 1);
            if length == 0 {
                let zeros = Tensor::<B, 3>::zeros([1, 7, 13], &Default::default());
                got.into_data().assert_eq(&zeros.into_data(), true);
                continue;
            }
            let context = context.clone().narrow(0, row, 1).narrow(1, 0, length);
            let alone = layer.forward(
                x.clone().narrow(0, row, 1),
                &layer.keys(context, None),
                &view(&[length], length),
            );
            got.into_data()
                .assert_approx_eq::<f32>(&alone.into_data(), Tolerance::absolute(1e-5));
        }
    }

    /// Turned by positions, a frame looks at what lies where it lies.
    #[test]
    fn positions_of_both_sides_count() {
        let mut layer = layer::<B>();
        let rotary = RotaryConfig::new(2);
        let device = Default::default();
        // Constant queries and keys: only positions tell frames apart.
        layer.to_q.weight = layer.to_q.weight.map(|weight| weight.full_like(1.0));
        layer.to_kv.weight = layer.to_kv.weight.map(|weight| {
            let keys = Tensor::ones([11, 6], &weight.device());
            Tensor::cat(vec![keys, weight.narrow(1, 6, 6)], 1)
        });
        let x = Tensor::ones([1, 5, 13], &device);
        let mut context = random([1, 5, 11]);
        // All frames of the context have the same sum, and so the same key.
        let mean = context.clone().mean_dim(2);
        context = context - mean + 1.0;
        let keys = layer.keys(context, Some(&rotary.init(5, &device)));
        let placed = ContextView {
            rotary: Some(rotary.init(5, &device)),
            ..view(&[5], 5)
        };
        let seen = layer.heads_output(x.clone(), &keys, &placed);
        let value = keys.value.clone().swap_dims(1, 2).reshape([1, 5, 6]);
        seen.into_data()
            .assert_approx_eq::<f32>(&value.into_data(), Tolerance::absolute(1e-3));

        let unplaced = layer.heads_output(x, &keys, &view(&[5], 5));
        let first = unplaced.clone().narrow(1, 0, 1);
        let apart = (unplaced - first).abs().max().into_scalar();
        assert!(apart < 1e-6, "without positions all frames see the same");
    }
}
