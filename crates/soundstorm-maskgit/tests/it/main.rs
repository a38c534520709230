//! Properties and golden numbers of the decode loop and the training mask.
// Rows, levels and frames are compared by index across several tensors.
#![allow(clippy::unwrap_used, clippy::needless_range_loop)]

mod errors;
mod golden;
mod observer;
mod properties;
mod sampling;
mod support;
mod training_mask;
