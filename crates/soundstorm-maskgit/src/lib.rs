//! MaskGIT schedules, training masks and coarse-to-fine parallel decoding over a closure.
#![doc = include_str!("../README.md")]

pub mod confidence;
mod decode;
mod error;
mod given;
mod group;
mod options;
mod order;
mod pass;
mod plan;
mod random;
mod remask;
pub mod sampler;
mod schedule;
mod soundness;
mod span;
mod step;
mod training_mask;

pub use confidence::Confidence;
pub use decode::{DecodeRow, Decoded, Decoding, PassAt, decode};
pub use error::{DecodeError, OptionsError, TrainingMaskError};
pub use options::{DecodeOptions, MAX_ENTROPY_BUDGET, MAX_STEPS};
pub use order::{Order, van_der_corput};
pub use pass::{Pass, StepInfo};
pub use random::{StepNoise, row_seed, step_noise};
pub use remask::{Remask, Remdm};
pub use schedule::Schedule;
pub use training_mask::{MaskedBatch, RowMask, TrainingMask};
