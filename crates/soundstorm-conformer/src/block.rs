//! One conformer block (arXiv 2005.08100, section 2.4): half a feed-forward,
//! attention, convolution, half a feed-forward, norm.

use burn::{
    config::Config,
    module::Module,
    tensor::{Bool, Tensor, backend::Backend},
};
use soundstorm_nn::{
    Attention, AttentionConfig, AttentionInput, LayerNorm, LayerNormConfig, Rotary,
};

use crate::{
    BranchEnd, ConvolutionModule, ConvolutionModuleConfig, FeedForward, FeedForwardConfig,
    HyperConnection, HyperConnectionConfig, Residual,
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
    /// Convolution module.
    pub convolution: ConvolutionModule<B>,
    /// Second feed-forward.
    pub ff2: FeedForward<B>,
    /// Norm of the block's output.
    pub post_norm: LayerNorm<B>,
    /// Hyper-connections of the first feed-forward, if there are streams.
    pub ff1_streams: Option<HyperConnection<B>>,
    /// Hyper-connections of the attention.
    pub attention_streams: Option<HyperConnection<B>>,
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
        ConformerBlock {
            ff1: self.feed_forward.init(device),
            attention_norm: LayerNormConfig::new(dim).init(device),
            attention: self.attention.init(device),
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
        let residual = residual.join_linear(self.ff1_streams.as_ref(), &self.ff1.end(), |x| {
            self.ff1.hidden(x)
        });

        // The attention's values leave the branch beside its output.
        let mut values = None;
        let end = BranchEnd {
            linear: &self.attention.to_out,
            dropout: None,
            scale: 1.0,
        };
        let residual = residual.join_linear(self.attention_streams.as_ref(), &end, |x| {
            let output = self.attention.heads_output(AttentionInput {
                x: self.attention_norm.forward(x),
                mask: context.mask.cloned(),
                rotary: context.rotary,
                bias: context.bias,
                first_values: context.first_values,
            });
            values = Some(output.values);
            output.x
        });
        let values = values.expect("a residual runs its branch exactly once");

        let residual = residual
            .join_linear(
                self.convolution_streams.as_ref(),
                &self.convolution.end(),
                |x| self.convolution.hidden(x, context.mask.cloned()),
            )
            .join_linear(self.ff2_streams.as_ref(), &self.ff2.end(), |x| {
                self.ff2.hidden(x)
            })
            .norm(&self.post_norm);
        (residual, values)
    }
}
