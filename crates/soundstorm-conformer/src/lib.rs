//! The conformer (arXiv 2005.08100) as soundstorm-pytorch builds it: half-step
//! feed-forwards around attention and convolution, joined by plain residuals or
//! by hyper-connections over several residual streams. Blocks may also attend to a context and
//! be modulated by a vector.
//!
//! Everything is generic over burn's `Backend`, opens no files and keeps no
//! global state.
#![doc = include_str!("../README.md")]

mod adaptive_norm;
mod block;
mod branch;
mod conditioning;
mod conformer;
mod convolution;
mod cross_attention;
mod feed_forward;
mod hyper_connection;

pub use adaptive_norm::{AdaptiveNorm, AdaptiveNormConfig, Modulation};
pub use block::{BlockContext, ConformerBlock, ConformerBlockConfig};
pub use branch::BranchEnd;
pub use conditioning::{
    BlockConditioning, BlockModulations, Conditioning, ConditioningConfig, Context,
    ContextAttentionConfig, ContextPositions, Vector,
};
pub use conformer::{Conformer, ConformerConfig, ValueResidual};
pub use convolution::{ConvolutionModule, ConvolutionModuleConfig};
pub use cross_attention::{CrossAttentionModule, CrossAttentionModuleConfig};
pub use feed_forward::{FeedForward, FeedForwardConfig};
pub use hyper_connection::{HyperConnection, HyperConnectionConfig, Residual};
