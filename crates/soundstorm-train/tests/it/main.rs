//! Training as a user of the crate meets it, on burn-flex.

#![allow(clippy::unwrap_used, missing_docs)]

mod bad_input;
mod dataset;
mod durable;
mod prepare;
mod resume;
mod support;
mod trainer;
