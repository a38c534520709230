//! Audio files, resampling, mixing, measures and pictures: what stands between a recording and a codec.
#![doc = include_str!("../README.md")]

mod audio;
mod encoder;
mod error;
mod file_format;
mod flac;
mod limits;
pub mod metrics;
mod ogg;
pub mod picture;
mod quantize;
mod read;
mod resample;
mod riff;
mod spectrum;
mod wav;
mod whole;
mod writer;

pub use audio::Audio;
pub use error::{AudioError, Result};
pub use file_format::{FileFormat, file_bytes, write};
pub use flac::{FlacFormat, flac_bytes};
pub use limits::Limits;
pub use read::{AudioReader, read, read_bytes, read_from};
pub use resample::Resampler;
pub use wav::{WavFormat, wav_bytes, write_wav, write_wav_to};
pub use writer::AudioWriter;
