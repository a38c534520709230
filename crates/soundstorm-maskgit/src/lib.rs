//! MaskGIT schedules, training masks and coarse-to-fine parallel decoding over a closure.
#![doc = include_str!("../README.md")]

pub mod confidence;
mod decode;
mod error;
mod options;
mod random;
pub mod sampler;
mod schedule;
mod training_mask;

pub use decode::{DecodeRow, StepInfo, decode};
pub use error::{DecodeError, OptionsError, TrainingMaskError};
pub use options::{DecodeOptions, MAX_STEPS};
pub use random::{StepNoise, row_seed, step_noise};
pub use schedule::Schedule;
pub use training_mask::{MaskedBatch, RowMask, TrainingMask};
