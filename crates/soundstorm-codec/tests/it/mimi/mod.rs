//! Mimi against `transformers` (`xtask/fixtures/mimi.py`), whole and piece by piece.

mod config;
pub(crate) mod fixture;
mod parity;
mod streaming;
