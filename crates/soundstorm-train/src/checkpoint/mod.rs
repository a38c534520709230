//! Checkpoints: folders that hold everything a run needs to go on as if it had not stopped.
//!
//! ```text
//! step-000001000/
//!   model/ config.json, model.safetensors     the weights: a model folder
//!   ema/   config.json, model.safetensors     their running mean, where one is kept
//!   optimizer.safetensors                     the moments
//!   state.json                                step, place in the data, seed, best score
//!   config.toml                               the run's configuration
//!   manifest.json                             sizes and hashes of all of it, written last
//! ```
//!
//! A folder is written under another name and renamed when it is whole. The learning rate and the
//! random streams are functions of the step and the seed, so these are their state.

mod exact;
mod folder;
mod manifest;

pub use folder::Checkpoint;
pub(crate) use folder::{AVERAGE, Folders, MODEL, OPTIMIZER};

use serde::{Deserialize, Serialize};

use crate::data::Position;

/// The best score so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// The step that it was reached at.
    pub step: u64,
    /// The mean loss over the levels, in nats, as the bits of a double.
    #[serde(with = "exact")]
    pub loss: f64,
}

/// Sums over the steps since the last line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinceLine {
    /// Steps.
    pub steps: u64,
    /// Sum of their losses, as the bits of a double.
    #[serde(with = "exact")]
    pub loss: f64,
    /// Tokens that their losses are means over.
    pub tokens: u64,
    /// Frames that they saw.
    pub frames: u64,
}

/// Where a run is, beside its weights and moments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Steps that are done.
    pub step: u64,
    /// The seed of the random streams, whose state it is together with the step.
    pub seed: u64,
    /// The place in the data.
    pub position: Position,
    /// What the data was, by the hashes of its shards.
    pub data_sha256: String,
    /// The best score so far.
    pub best: Option<Best>,
    /// Length of the log, in bytes.
    pub log_bytes: u64,
    /// What the next line of the log is made of.
    pub since_line: SinceLine,
}
