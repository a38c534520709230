//! One conformer block (arXiv 2005.08100, section 2.4): half a feed-forward,
//! attention, attention to a context if there is one, convolution, half a feed-forward, norm.

use burn::{
    config::Config,
    module::Module,
    tensor::{Bool, Tensor, backend::Backend},
};
use soundstorm_nn::{
    Attention, AttentionConfig, AttentionInput, ContextView, CrossAttentionConfig, LayerNorm,
    LayerNormConfig, Rotary,
};

use crate::{
    AdaptiveNorm, AdaptiveNormConfig, BlockConditioning, BlockModulations, BranchEnd,
    ConvolutionModule, ConvolutionModuleConfig, CrossAttentionModule, CrossAttentionModuleConfig,
    FeedForward, FeedForwardConfig, HyperConnection, HyperConnectionConfig, Modulation, Residual,
    adaptive_norm::modulate,
};

/// Configuration of [`ConformerBlock`]: that of its parts.
#[derive(Config, Debug)]
pub struct ConformerBlockConfig {
    /// Both feed-forwards.
    pub feed_forward: FeedForwardConfig,
    /// The attention.
    pub attention: AttentionConfig,
    /// The convolution module.
    pub convolution: ConvolutionModuleConfig,
    /// Attention to a context, if the block has any.
    pub cross_attention: Option<CrossAttentionConfig>,
    /// Channels of a vector that modulates the norms, if one does.
    pub vector: Option<usize>,
    /// Residual streams; one is a plain residual.
    #[config(default = 1)]
    pub streams: usize,
    /// The stream that hyper-connections start from.
    #[config(default = 0)]
    pub first_stream: usize,
}

/// One conformer block.
#[derive(Module, Debug)]
pub struct ConformerBlock<B: Backend> {
    /// First feed-forward.
    pub ff1: FeedForward<B>,
    /// Norm before the attention.
    pub attention_norm: LayerNorm<B>,
    /// Self-attention.
    pub attention: Attention<B>,
    /// Attention to a context.
    pub cross_attention: Option<CrossAttentionModule<B>>,
    /// Convolution module.
    pub convolution: ConvolutionModule<B>,
    /// Second feed-forward.
    pub ff2: FeedForward<B>,
    /// Norm of the block's output.
    pub post_norm: LayerNorm<B>,
    /// Modulation of the norms before the branches, and of what they add.
    pub adaptive_norm: Option<AdaptiveNorm<B>>,
    /// Hyper-connections of the first feed-forward, if there are streams.
    pub ff1_streams: Option<HyperConnection<B>>,
    /// Hyper-connections of the attention.
    pub attention_streams: Option<HyperConnection<B>>,
    /// Hyper-connections of the attention to a context.
    pub cross_attention_streams: Option<HyperConnection<B>>,
    /// Hyper-connections of the convolution module.
    pub convolution_streams: Option<HyperConnection<B>>,
    /// Hyper-connections of the second feed-forward.
    pub ff2_streams: Option<HyperConnection<B>>,
}

/// What every block of a stack is given beside the residual.
#[derive(Clone, Debug)]
pub struct BlockContext<'a, B: Backend> {
    /// Real frames, `[batch, frames]`; all, when absent.
    pub mask: Option<&'a Tensor<B, 2, Bool>>,
    /// Rotary positions.
    pub rotary: Option<&'a Rotary<B>>,
    /// Bias on the attention's scores, `[1, heads, frames, frames]`.
    pub bias: Option<&'a Tensor<B, 4>>,
    /// The first block's attention values, `[batch, heads, frames, dim_head]`.
    pub first_values: Option<&'a Tensor<B, 4>>,
    /// The block's own context keys and modulations.
    pub conditioning: Option<&'a BlockConditioning<B>>,
    /// What frames see of the context.
    pub view: Option<&'a ContextView<B>>,
}

impl ConformerBlockConfig {
    /// A block with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> ConformerBlock<B> {
        let dim = self.attention.dim;
        let connection = || {
            (self.streams > 1).then(|| {
                HyperConnectionConfig::new(dim, self.streams)
                    .with_first_stream(self.first_stream)
                    .init(device)
            })
        };
        let cross_attention = self.cross_attention.clone();
        ConformerBlock {
            ff1: self.feed_forward.init(device),
            attention_norm: LayerNormConfig::new(dim).init(device),
            attention: self.attention.init(device),
            cross_attention_streams: cross_attention.as_ref().and_then(|_| connection()),
            adaptive_norm: self.vector.map(|vector| {
                let branches = BlockModulations::<B>::branches(cross_attention.is_some());
                AdaptiveNormConfig::new(dim, vector, branches).init(device)
            }),
            cross_attention: cross_attention
                .map(|attention| CrossAttentionModuleConfig::new(attention).init(device)),
            convolution: self.convolution.init(device),
            ff2: self.feed_forward.init(device),
            post_norm: LayerNormConfig::new(dim).init(device),
            ff1_streams: connection(),
            attention_streams: connection(),
            convolution_streams: connection(),
            ff2_streams: connection(),
        }
    }
}

impl<B: Backend> ConformerBlock<B> {
    /// The new residual, and this block's attention values,
    /// `[batch, heads, frames, dim_head]`.
    pub fn forward(
        &self,
        residual: Residual<B>,
        context: &BlockContext<B>,
    ) -> (Residual<B>, Tensor<B, 4>) {
        let modulations = context
            .conditioning
            .and_then(|conditioning| conditioning.modulations.as_ref());
        let ff1 = modulations.map(|all| &all.ff1);
        let residual =
            residual.join_gated(self.ff1_streams.as_ref(), &self.ff1.end(), gate(ff1), |x| {
                self.ff1.hidden(x, ff1)
            });

        // The attention's values leave the branch beside its output.
        let mut values = None;
        let end = BranchEnd {
            linear: &self.attention.to_out,
            dropout: None,
            scale: 1.0,
        };
        let attention = modulations.map(|all| &all.attention);
        let streams = self.attention_streams.as_ref();
        let residual = residual.join_gated(streams, &end, gate(attention), |x| {
            let output = self.attention.heads_output(AttentionInput {
                x: modulate(self.attention_norm.forward(x), attention),
                mask: context.mask.cloned(),
                rotary: context.rotary,
                bias: context.bias,
                first_values: context.first_values,
            });
            values = Some(output.values);
            output.x
        });
        let values = values.expect("a residual runs its branch exactly once");

        let residual = self.attend_to_context(residual, context, modulations);

        let convolution = modulations.map(|all| &all.convolution);
        let ff2 = modulations.map(|all| &all.ff2);
        let residual = residual
            .join_gated(
                self.convolution_streams.as_ref(),
                &self.convolution.end(),
                gate(convolution),
                |x| {
                    self.convolution
                        .hidden(x, context.mask.cloned(), convolution)
                },
            )
            .join_gated(self.ff2_streams.as_ref(), &self.ff2.end(), gate(ff2), |x| {
                self.ff2.hidden(x, ff2)
            })
            .norm(&self.post_norm);
        (residual, values)
    }

    fn attend_to_context(
        &self,
        residual: Residual<B>,
        context: &BlockContext<B>,
        modulations: Option<&BlockModulations<B>>,
    ) -> Residual<B> {
        let Some(module) = &self.cross_attention else {
            return residual;
        };
        let streams = self.cross_attention_streams.as_ref();
        let keys = context
            .conditioning
            .and_then(|conditioning| conditioning.context.as_ref());
        let (Some(keys), Some(view)) = (keys, context.view) else {
            // Nothing is added, but a connection mixes its streams all the same, as it does for a
            // row without context among others.
            return match streams {
                Some(_) => residual.join(streams, |x| x.zeros_like()),
                None => residual,
            };
        };
        let modulation = modulations.and_then(|all| all.cross_attention.as_ref());
        residual.join_gated(streams, &module.end(), gate(modulation), |x| {
            module.hidden(x, keys, view, modulation)
        })
    }
}

fn gate<B: Backend>(modulation: Option<&Modulation<B>>) -> Option<&Tensor<B, 3>> {
    modulation.map(|modulation| &modulation.gate)
}
