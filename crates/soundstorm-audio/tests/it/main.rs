//! Audio in, through and out: files made here, and small ones made by other programs (`tests/fixtures`).
#![allow(clippy::unwrap_used)]

mod blocks;
mod damage;
mod flac;
mod formats;
mod limits;
mod metrics;
mod picture;
mod resample;
mod support;
mod wav;
mod write;
