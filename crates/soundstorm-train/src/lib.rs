//! Training SoundStorm: data sets of codes, the trainer, checkpoints and logs.
//!
//! Nothing here prints or reads a command line; [`train`] tells what happens through a callback.
#![doc = include_str!("../README.md")]

mod checkpoint;
pub mod config;
pub mod data;
mod error;
mod log;
mod objective;
mod optimizer;
mod plan;
mod run;
mod tensorboard;
mod trainer;
mod validate;

pub use checkpoint::{Best, Checkpoint, State};
pub use config::TrainConfig;
pub use data::{Dataset, PrepareOptions, prepare};
pub use error::{Result, TrainError};
pub use log::{LogLine, read_log};
pub use optimizer::{ParameterInfo, parameters};
pub use plan::{Memory, Plan};
pub use run::{Ended, Outcome, TrainEvent, train};
pub use trainer::{StepReport, Trainer};
pub use validate::Validation;
