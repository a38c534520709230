//! The program as its users run it.

#![allow(clippy::unwrap_used, missing_docs)]

mod backends;
mod bad_input;
mod codecs;
mod compare;
mod convert;
mod generate;
mod help;
mod hub;
mod plot;
mod round_trip;
mod support;
mod train;
