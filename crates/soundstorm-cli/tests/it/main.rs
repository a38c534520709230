//! The program as its users run it.

#![allow(clippy::unwrap_used, missing_docs)]

mod backends;
mod bad_input;
mod codecs;
mod compare;
mod convert;
mod edit;
mod generate;
mod help;
mod hub;
mod long;
mod pairs;
mod plot;
mod round_trip;
mod sampling;
mod support;
mod text;
mod train;
