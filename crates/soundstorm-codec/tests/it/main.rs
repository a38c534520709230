//! What a user of this crate relies on: equality with the reference package, clear errors, saving and loading.
#![allow(clippy::unwrap_used, missing_docs)]

mod dac;
mod differences;
mod encodec;
mod encodec_streaming;
mod errors;
mod long;
mod losses;
mod mimi;
mod module;
mod parity;
mod quantizer_training;
mod soundstream;
mod spectral;
mod support;
