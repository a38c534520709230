//! Neural network parts that the SoundStorm crates share: attention with rotary
//! or T5 positions, depthwise convolution and norms of the conformer, Swish and GLU,
//! and what codecs are made of: convolutions, a recurrence, Snake.
//!
//! Everything is generic over burn's `Backend`, opens no files and keeps no
//! global state.
#![doc = include_str!("../README.md")]

mod activation;
mod adamw;
mod attend;
mod attention;
mod channel_norm;
mod conv1d;
mod cross_attention;
mod cross_entropy;
mod depthwise;
mod dtype;
mod embedding_sum;
#[cfg(feature = "flex")]
mod flex;
mod frame_mask;
mod group_norm;
mod heads;
mod kth_largest;
mod layer_norm;
mod linear;
mod lstm;
mod norm;
mod packed;
mod rotary;
mod snake;
mod t5_bias;
#[cfg(all(test, feature = "flex"))]
mod testing;

pub use activation::{glu, linear_glu, linear_swish, swish};
pub use adamw::{AdamW, adamw, blend, sum_of_squares};
pub use attend::{AttendOptions, attend};
pub use attention::{Attention, AttentionConfig, AttentionInput, AttentionOutput, ValueResidual};
pub use channel_norm::{ChannelNorm, ChannelNormConfig};
pub use conv1d::{conv_transpose1d, conv1d};
pub use cross_attention::{ContextKeys, ContextView, CrossAttention, CrossAttentionConfig};
pub use cross_entropy::cross_entropy;
pub use depthwise::depthwise;
pub use dtype::lowest;
pub use embedding_sum::embedding_sum;
pub use frame_mask::frame_mask;
pub use group_norm::group_norm;
pub use heads::{merge_heads, split_heads};
pub use kth_largest::kth_largest;
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use linear::{Linear, LinearConfig, add_linear, affine, linear};
pub use lstm::{LstmMemory, lstm_states};
pub use packed::Packed;
#[cfg(feature = "flex")]
pub use packed::bf16_instructions;
pub use rotary::{Rotary, RotaryConfig};
pub use snake::{elu, snake};
pub use t5_bias::{T5Bias, T5BiasConfig};
