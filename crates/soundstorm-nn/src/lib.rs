//! Neural network parts that the SoundStorm crates share: attention with rotary
//! or T5 positions, the channel norm of the conformer, Swish and GLU.
//!
//! Everything is generic over burn's `Backend`, opens no files and keeps no
//! global state.
#![doc = include_str!("../README.md")]

mod activation;
mod attend;
mod attention;
mod channel_norm;
mod dtype;
mod frame_mask;
mod rotary;
mod t5_bias;

pub use activation::{glu, swish};
pub use attend::{AttendOptions, attend};
pub use attention::{Attention, AttentionConfig, AttentionInput, AttentionOutput, ValueResidual};
pub use channel_norm::{ChannelNorm, ChannelNormConfig};
pub use dtype::lowest;
pub use frame_mask::frame_mask;
pub use rotary::{Rotary, RotaryConfig};
pub use t5_bias::{T5Bias, T5BiasConfig};
