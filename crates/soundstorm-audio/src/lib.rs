//! Audio files, resampling and mixing: what stands between a recording and a codec.
#![doc = include_str!("../README.md")]

mod audio;
mod error;
mod limits;
mod ogg;
mod read;
mod resample;
mod riff;
mod write;

pub use audio::Audio;
pub use error::{AudioError, Result};
pub use limits::Limits;
pub use read::{read, read_bytes, read_from};
pub use write::{WavFormat, wav_bytes, write_wav, write_wav_to};
