//! Audio to sharded codes, and codes to batches.

mod codes;
mod dataset;
mod input;
mod order;
mod prepare;
mod shard;
mod split;

pub use dataset::{Dataset, Utterance};
pub use input::{Input, list_inputs};
pub use order::{Batches, Position, Window};
pub use prepare::{Part, PrepareEvent, PrepareOptions, PrepareReport, prepare};
pub use shard::{CodecFacts, DatasetInfo, Entry, ShardIndex, Skipped};
pub use split::{Split, split};
