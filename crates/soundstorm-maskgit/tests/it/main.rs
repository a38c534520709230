//! Properties and golden numbers of the decode loop and the training mask.
#![allow(clippy::unwrap_used)]

mod errors;
mod golden;
mod properties;
mod sampling;
mod support;
mod training_mask;
