//! Neural network parts that the SoundStorm crates share: attention with rotary
//! or T5 positions, depthwise convolution and channel norm of the conformer, Swish
//! and GLU.
//!
//! Everything is generic over burn's `Backend`, opens no files and keeps no
//! global state.
#![doc = include_str!("../README.md")]

mod activation;
mod attend;
mod attention;
mod channel_norm;
mod cross_entropy;
mod depthwise;
mod dtype;
#[cfg(feature = "flex")]
mod flex;
mod frame_mask;
mod heads;
mod kth_largest;
mod layer_norm;
mod linear;
mod norm;
mod packed;
mod rotary;
mod t5_bias;
#[cfg(all(test, feature = "flex"))]
mod testing;

pub use activation::{glu, linear_glu, linear_swish, swish};
pub use attend::{AttendOptions, attend};
pub use attention::{Attention, AttentionConfig, AttentionInput, AttentionOutput, ValueResidual};
pub use channel_norm::{ChannelNorm, ChannelNormConfig};
pub use cross_entropy::cross_entropy;
pub use depthwise::depthwise;
pub use dtype::lowest;
pub use frame_mask::frame_mask;
pub use heads::{merge_heads, split_heads};
pub use kth_largest::kth_largest;
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use linear::{Linear, LinearConfig, add_linear, affine, linear};
pub use packed::Packed;
#[cfg(feature = "flex")]
pub use packed::bf16_instructions;
pub use rotary::{Rotary, RotaryConfig};
pub use t5_bias::{T5Bias, T5BiasConfig};
