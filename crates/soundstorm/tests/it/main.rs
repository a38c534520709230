//! Tests of the whole model, on the CPU.

#![allow(clippy::unwrap_used, missing_docs)]

mod conditions;
mod counts;
mod evaluate;
mod generate;
mod given;
mod loss;
mod options;
mod overfit;
mod support;
mod training;
