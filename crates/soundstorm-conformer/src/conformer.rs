//! The stack of conformer blocks with its positions (arXiv 2005.08100), as the
//! conformer of soundstorm-pytorch 0.1 to 0.6.

use burn::{
    module::Module,
    tensor::{Bool, Tensor, backend::Backend},
};
use serde::{Deserialize, Serialize};
use soundstorm_nn::{AttentionConfig, CrossAttentionConfig, RotaryConfig, T5Bias, T5BiasConfig};

use crate::{
    BlockContext, Conditioning, ConditioningConfig, ConformerBlock, ConformerBlockConfig,
    ContextPositions, ConvolutionModuleConfig, FeedForwardConfig, Residual,
};

/// How a block's attention values are mixed with those of the first block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueResidual {
    /// They are not (as before soundstorm-pytorch 0.5).
    #[default]
    None,
    /// The mean of both (0.5.0).
    Average,
    /// By a learned gate (0.6).
    Learned,
}

/// Configuration of [`Conformer`]; unknown keys are refused when it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConformerConfig {
    /// Channels.
    pub dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads.
    #[serde(default = "defaults::heads")]
    pub heads: usize,
    /// Channels of a head; even, where positions are rotary.
    #[serde(default = "defaults::dim_head")]
    pub dim_head: usize,
    /// Width of the feed-forwards, as a multiple of `dim`.
    #[serde(default = "defaults::ff_mult")]
    pub ff_mult: usize,
    /// Channels of the depthwise convolution, as a multiple of `dim`.
    #[serde(default = "defaults::conv_expansion_factor")]
    pub conv_expansion_factor: usize,
    /// Frames that the depthwise convolution sees.
    #[serde(default = "defaults::conv_kernel_size")]
    pub conv_kernel_size: usize,
    /// Whether it sees no later frames.
    #[serde(default)]
    pub conv_causal: bool,
    /// T5's relative bias in place of rotary positions.
    #[serde(default)]
    pub t5_rel_pos_bias: bool,
    /// Residual streams, joined by hyper-connections; one is a plain residual.
    #[serde(default = "defaults::one")]
    pub num_residual_streams: usize,
    /// Mixing of attention values with those of the first block.
    #[serde(default)]
    pub value_residual: ValueResidual,
    /// Dropout of attention weights, in training.
    #[serde(default)]
    pub attn_dropout: f64,
    /// Dropout in the feed-forwards, in training.
    #[serde(default)]
    pub ff_dropout: f64,
    /// Dropout after the convolution modules, in training.
    #[serde(default)]
    pub conv_dropout: f64,
}

mod defaults {
    pub(super) fn heads() -> usize {
        8
    }
    pub(super) fn dim_head() -> usize {
        64
    }
    pub(super) fn ff_mult() -> usize {
        4
    }
    pub(super) fn conv_expansion_factor() -> usize {
        2
    }
    pub(super) fn conv_kernel_size() -> usize {
        31
    }
    pub(super) fn one() -> usize {
        1
    }
}

/// A stack of conformer blocks.
#[derive(Module, Debug)]
pub struct Conformer<B: Backend> {
    /// The blocks, first to last.
    pub blocks: Vec<ConformerBlock<B>>,
    /// T5's bias; without it positions are rotary.
    pub t5_bias: Option<T5Bias<B>>,
    dim_head: usize,
    streams: usize,
    spreads_context: bool,
}

impl ConformerConfig {
    /// A conformer of a width and a number of blocks, all else as in
    /// soundstorm-pytorch with one residual stream and no value residual.
    pub fn new(dim: usize, depth: usize) -> Self {
        Self {
            dim,
            depth,
            heads: defaults::heads(),
            dim_head: defaults::dim_head(),
            ff_mult: defaults::ff_mult(),
            conv_expansion_factor: defaults::conv_expansion_factor(),
            conv_kernel_size: defaults::conv_kernel_size(),
            conv_causal: false,
            t5_rel_pos_bias: false,
            num_residual_streams: 1,
            value_residual: ValueResidual::None,
            attn_dropout: 0.0,
            ff_dropout: 0.0,
            conv_dropout: 0.0,
        }
    }

    /// What is wrong with the sizes, in words, if anything is.
    pub fn problem(&self) -> Option<String> {
        let sizes = [
            ("dim", self.dim),
            ("depth", self.depth),
            ("heads", self.heads),
            ("dim_head", self.dim_head),
            ("ff_mult", self.ff_mult),
            ("conv_expansion_factor", self.conv_expansion_factor),
            ("conv_kernel_size", self.conv_kernel_size),
            ("num_residual_streams", self.num_residual_streams),
        ];
        for (name, size) in sizes {
            if size == 0 {
                return Some(format!("{name} is 0"));
            }
        }
        if !self.t5_rel_pos_bias && self.dim_head % 2 == 1 {
            return Some(format!(
                "dim_head is {}, but rotary positions need an even number",
                self.dim_head
            ));
        }
        let dropouts = [
            ("attn_dropout", self.attn_dropout),
            ("ff_dropout", self.ff_dropout),
            ("conv_dropout", self.conv_dropout),
        ];
        for (name, dropout) in dropouts {
            if !(0.0..1.0).contains(&dropout) {
                return Some(format!("{name} is {dropout}, not within 0 and 1"));
            }
        }
        None
    }

    /// What is wrong with the sizes once the conformer is conditioned, in words, if anything is.
    pub fn conditioning_problem(&self, conditioning: &ConditioningConfig) -> Option<String> {
        if conditioning.vector == Some(0) {
            return Some("the vector has 0 channels".into());
        }
        let context = conditioning.context.as_ref()?;
        if context.dim == 0 {
            return Some("the context has 0 channels".into());
        }
        let odd = self.dim_head % 2 == 1 && context.positions == ContextPositions::Spread;
        odd.then(|| {
            format!(
                "dim_head is {}, but positions of a context need an even number",
                self.dim_head
            )
        })
    }

    /// A conformer with random weights that is conditioned on nothing.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Conformer<B> {
        self.init_conditioned(&ConditioningConfig::default(), device)
    }

    /// A conformer with random weights and what it needs to be conditioned. Until it is trained,
    /// a vector changes nothing.
    pub fn init_conditioned<B: Backend>(
        &self,
        conditioning: &ConditioningConfig,
        device: &B::Device,
    ) -> Conformer<B> {
        let block = |index: usize| {
            // The first block has no earlier values to mix in.
            let value_residual = match self.value_residual {
                _ if index == 0 => soundstorm_nn::ValueResidual::None,
                ValueResidual::None => soundstorm_nn::ValueResidual::None,
                ValueResidual::Average => soundstorm_nn::ValueResidual::Average,
                ValueResidual::Learned => soundstorm_nn::ValueResidual::Learned,
            };
            let feed_forward = FeedForwardConfig::new(self.dim)
                .with_mult(self.ff_mult)
                .with_dropout(self.ff_dropout);
            let attention = AttentionConfig::new(self.dim)
                .with_heads(self.heads)
                .with_dim_head(self.dim_head)
                .with_dropout(self.attn_dropout)
                .with_value_residual(value_residual);
            let convolution = ConvolutionModuleConfig::new(self.dim)
                .with_expansion_factor(self.conv_expansion_factor)
                .with_kernel_size(self.conv_kernel_size)
                .with_causal(self.conv_causal)
                .with_dropout(self.conv_dropout);
            ConformerBlockConfig::new(feed_forward, attention, convolution)
                .with_cross_attention(conditioning.context.as_ref().map(|context| {
                    CrossAttentionConfig::new(self.dim, context.dim)
                        .with_heads(self.heads)
                        .with_dim_head(self.dim_head)
                        .with_dropout(self.attn_dropout)
                }))
                .with_vector(conditioning.vector)
                .with_streams(self.num_residual_streams)
                .with_first_stream(index)
                .init(device)
        };
        Conformer {
            blocks: (0..self.depth).map(block).collect(),
            t5_bias: self.t5_rel_pos_bias.then(|| {
                T5BiasConfig::new(self.heads)
                    .with_scale((self.dim_head as f64).sqrt())
                    .init(device)
            }),
            dim_head: self.dim_head,
            streams: self.num_residual_streams,
            spreads_context: (conditioning.context.as_ref())
                .is_some_and(|context| context.positions == ContextPositions::Spread),
        }
    }
}

impl<B: Backend> Conformer<B> {
    /// # Shapes
    /// - `x`, output: `[batch, frames, dim]`
    /// - `mask`: `[batch, frames]`, true for real frames; what stands in padding
    ///   frames reaches no real one
    pub fn forward(&self, x: Tensor<B, 3>, mask: Option<Tensor<B, 2, Bool>>) -> Tensor<B, 3> {
        self.forward_conditioned(x, mask, None)
    }

    /// The same, under a condition that [`Self::condition`] made for the same rows.
    ///
    /// # Shapes
    /// - as of [`Self::forward`]
    pub fn forward_conditioned(
        &self,
        x: Tensor<B, 3>,
        mask: Option<Tensor<B, 2, Bool>>,
        conditioning: Option<&Conditioning<B>>,
    ) -> Tensor<B, 3> {
        let frames = x.dims()[1];
        let device = x.device();
        let bias = self.t5_bias.as_ref().map(|bias| bias.forward(frames));
        let rotary = bias
            .is_none()
            .then(|| RotaryConfig::new(self.dim_head).init(frames, &device));

        let mut residual = Residual::expand(x, self.streams);
        let mut first_values = None;
        let view = conditioning.and_then(|all| all.view(frames, mask.as_ref()));
        for (index, block) in self.blocks.iter().enumerate() {
            let context = BlockContext {
                mask: mask.as_ref(),
                rotary: rotary.as_ref(),
                bias: bias.as_ref(),
                first_values: first_values.as_ref(),
                conditioning: conditioning.and_then(|all| all.blocks.get(index)),
                view: view.as_ref(),
            };
            let (next, values) = block.forward(residual, &context);
            residual = next;
            first_values.get_or_insert(values);
        }
        residual.reduce()
    }

    /// Positions in cross-attention, if there are any.
    pub(crate) fn context_rotary(&self) -> Option<RotaryConfig> {
        self.spreads_context
            .then(|| RotaryConfig::new(self.dim_head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData, Tolerance};

    type B = burn_flex::Flex;

    fn small() -> ConformerConfig {
        ConformerConfig {
            heads: 3,
            dim_head: 2,
            conv_kernel_size: 5,
            ..ConformerConfig::new(13, 3)
        }
    }

    fn variants() -> Vec<ConformerConfig> {
        let t5 = ConformerConfig {
            t5_rel_pos_bias: true,
            dim_head: 3,
            ..small()
        };
        let causal = ConformerConfig {
            conv_causal: true,
            conv_kernel_size: 4,
            value_residual: ValueResidual::Average,
            ..small()
        };
        let streams = ConformerConfig {
            num_residual_streams: 4,
            value_residual: ValueResidual::Learned,
            ..small()
        };
        vec![small(), t5, causal, streams]
    }

    fn random(batch: usize, frames: usize) -> Tensor<B, 3> {
        Tensor::random(
            [batch, frames, 13],
            Distribution::Normal(0.0, 1.0),
            &Default::default(),
        )
    }

    /// A batch gives each row what it gets alone.
    #[test]
    fn padding_and_batch_mates_do_not_leak() {
        for config in variants() {
            let model = config.init::<B>(&Default::default());
            let short = random(1, 7);
            let long = random(1, 11);
            let garbage = random(1, 4) * 50.0;
            let padded = Tensor::cat(vec![short.clone(), garbage], 1);
            let batch = Tensor::cat(vec![padded, long.clone()], 0);
            let mask = soundstorm_nn::frame_mask(&[7, 11], 11, &Default::default());
            let out = model.forward(batch, mask);
            let got = out.clone().narrow(0, 0, 1).narrow(1, 0, 7);
            got.into_data().assert_approx_eq::<f32>(
                &model.forward(short, None).into_data(),
                Tolerance::absolute(1e-5),
            );
            out.narrow(0, 1, 1).into_data().assert_approx_eq::<f32>(
                &model.forward(long, None).into_data(),
                Tolerance::absolute(1e-5),
            );
        }
    }

    /// Positions matter: shifting the input does not merely shift the output.
    #[test]
    fn frames_see_each_other_and_their_order() {
        for config in variants() {
            let model = config.init::<B>(&Default::default());
            let x = random(1, 7);
            let reversed = x.clone().flip([1]);
            let out = model.forward(x, None);
            let back = model.forward(reversed, None).flip([1]);
            let difference: f32 = (out - back).abs().max().into_scalar();
            assert!(difference > 1e-3, "{config:?} is blind to order");
        }
    }

    #[test]
    fn later_blocks_mix_in_the_first_values() {
        let config = ConformerConfig {
            value_residual: ValueResidual::Average,
            ..small()
        };
        let mixed = config.init::<B>(&Default::default());
        let names = |model: &Conformer<B>| model.num_params();
        assert_eq!(names(&mixed), names(&small().init(&Default::default())));

        let learned = ConformerConfig {
            value_residual: ValueResidual::Learned,
            ..small()
        };
        let learned = learned.init::<B>(&Default::default());
        assert_eq!(names(&learned), names(&mixed) + 2 * 13 * 3);
        assert!(learned.blocks[0].attention.to_value_mix.is_none());
        assert!(learned.blocks[1].attention.to_value_mix.is_some());
    }

    #[test]
    fn a_configuration_refuses_unknown_keys_and_impossible_sizes() {
        let read = |text: &str| serde_json::from_str::<ConformerConfig>(text);
        assert_eq!(
            read(r#"{"dim": 13, "depth": 3, "heads": 3, "dim_head": 2, "conv_kernel_size": 5}"#)
                .expect("a good configuration"),
            small()
        );
        assert!(read(r#"{"dim": 13, "depth": 3, "head": 3}"#).is_err());
        assert_eq!(small().problem(), None);
        let odd = ConformerConfig {
            dim_head: 3,
            ..small()
        };
        assert!(odd.problem().expect("odd").contains("even"));
        let none = ConformerConfig {
            depth: 0,
            ..small()
        };
        assert!(none.problem().expect("none").contains("depth"));
    }

    #[test]
    fn gradients_reach_every_parameter() {
        use burn::module::{ModuleVisitor, Param};
        use burn::tensor::backend::AutodiffBackend;

        type Ad = burn_autodiff::Autodiff<burn_flex::Flex>;
        struct Check<'a>(&'a <Ad as AutodiffBackend>::Gradients, usize);
        impl ModuleVisitor<Ad> for Check<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Ad, D>>) {
                assert!(
                    param.val().grad(self.0).is_some(),
                    "{:?}",
                    param.val().dims()
                );
                self.1 += 1;
            }
        }
        for config in variants() {
            let model = config.init::<Ad>(&Default::default());
            let data = TensorData::new(vec![0.3f32; 7 * 13], [1, 7, 13]);
            let out = model.forward(Tensor::from_data(data, &Default::default()), None);
            let grads = out.powi_scalar(3).sum().backward();
            let mut check = Check(&grads, 0);
            model.visit(&mut check);
            assert!(check.1 > 50);
        }
    }
}
