//! Reading audio files, whole or block by block.

mod container;
mod failure;
mod mp3_end;
mod reader;
mod source;

pub use reader::AudioReader;
pub(crate) use source::{Source, read_full};

use std::io::Read;
use std::path::Path;

use crate::{Audio, Limits, Result};

/// Reads a WAV, FLAC, MP3 or Ogg Vorbis file, told apart by its content.
///
/// # Errors
/// Any [`AudioError`](crate::AudioError) but `Invalid`, naming the path.
pub fn read(path: impl AsRef<Path>, limits: &Limits) -> Result<Audio> {
    all(AudioReader::open(path, limits)?)
}

/// Reads audio from any reader to its end; `name` stands for it in errors.
///
/// # Errors
/// As [`read`].
pub fn read_from(reader: impl Read, name: &str, limits: &Limits) -> Result<Audio> {
    all(AudioReader::from_reader(reader, name, limits)?)
}

/// Reads audio from an encoded file in memory; `name` stands for it in errors.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: Vec<u8>, name: &str, limits: &Limits) -> Result<Audio> {
    all(AudioReader::from_bytes(bytes, name, limits)?)
}

/// All blocks as one.
fn all(reader: AudioReader) -> Result<Audio> {
    let mut audio = Audio {
        sample_rate: reader.sample_rate(),
        channels: vec![Vec::new(); reader.channels()],
    };
    for block in reader {
        for (channel, new) in audio.channels.iter_mut().zip(block?.channels) {
            channel.extend(new);
        }
    }
    Ok(audio)
}
