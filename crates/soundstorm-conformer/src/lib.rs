//! The conformer (arXiv 2005.08100) as soundstorm-pytorch builds it: half-step
//! feed-forwards around attention and convolution, joined by plain residuals or
//! by hyper-connections over several residual streams.
//!
//! Everything is generic over burn's `Backend`, opens no files and keeps no
//! global state.
#![doc = include_str!("../README.md")]

mod block;
mod branch;
mod conformer;
mod convolution;
mod feed_forward;
mod hyper_connection;

pub use block::{BlockContext, ConformerBlock, ConformerBlockConfig};
pub use branch::BranchEnd;
pub use conformer::{Conformer, ConformerConfig, ValueResidual};
pub use convolution::{ConvolutionModule, ConvolutionModuleConfig};
pub use feed_forward::{FeedForward, FeedForwardConfig};
pub use hyper_connection::{HyperConnection, HyperConnectionConfig, Residual};
