//! SoundStream against audiolm-pytorch 2.4.0 (`xtask/fixtures/soundstream.py`), whole and in chunks.

mod chunked;
mod config;
mod fixture;
mod parity;
