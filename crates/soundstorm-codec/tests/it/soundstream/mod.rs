//! SoundStream against audiolm-pytorch 2.4.0 (`xtask/fixtures/soundstream.py`), whole and in chunks.

mod chunked;
mod config;
pub(crate) mod fixture;
mod parity;
