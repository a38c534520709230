//! The format of an audio file, by the ending of its name.

use std::path::Path;

use crate::encoder::Encoder;
use crate::flac::FlacEncoder;
use crate::wav::WavEncoder;
use crate::{Audio, AudioError, FlacFormat, Result, WavFormat, flac_bytes, wav_bytes, whole};

/// A format that is written, with how samples are stored in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// RIFF WAVE.
    Wav(WavFormat),
    /// FLAC.
    Flac(FlacFormat),
}

impl FileFormat {
    /// What writes it, for samples of so many channels at `sample_rate` Hz.
    pub(crate) fn encoder(self, sample_rate: u32, channels: usize) -> Result<Box<dyn Encoder>> {
        // Without a sample there is nothing else to be wrong.
        Audio::new(sample_rate, vec![Vec::new(); channels])?;
        Ok(match self {
            Self::Wav(format) => Box::new(WavEncoder::new(sample_rate, channels, format)?),
            Self::Flac(format) => Box::new(FlacEncoder::new(sample_rate, channels, format)?),
        })
    }

    /// By the ending of a file's name, in small or capital letters, with 16-bit samples: `wav` or `flac`.
    ///
    /// # Errors
    /// [`AudioError::UnknownEnding`] for any other, and where there is none.
    pub fn of_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        match whole::ending(path).as_str() {
            "wav" => Ok(Self::Wav(WavFormat::default())),
            "flac" => Ok(Self::Flac(FlacFormat::default())),
            ending => Err(AudioError::UnknownEnding {
                path: path.display().to_string(),
                ending: ending.into(),
                known: "wav and flac",
            }),
        }
    }
}

/// `audio` as the bytes of a file.
///
/// # Errors
/// As [`wav_bytes`] and [`flac_bytes`].
pub fn file_bytes(audio: &Audio, format: FileFormat) -> Result<Vec<u8>> {
    match format {
        FileFormat::Wav(format) => wav_bytes(audio, format),
        FileFormat::Flac(format) => flac_bytes(audio, format),
    }
}

/// Writes `audio` as a file, which appears whole or not at all, as with [`write_wav`](crate::write_wav).
///
/// # Errors
/// As [`file_bytes`], before anything is written; [`AudioError::Io`] where the system refuses.
pub fn write(path: impl AsRef<Path>, audio: &Audio, format: FileFormat) -> Result<()> {
    whole::write(path.as_ref(), &file_bytes(audio, format)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_tells() {
        let wav = FileFormat::Wav(WavFormat::Pcm16);
        let flac = FileFormat::Flac(FlacFormat::Pcm16);
        for (path, expect) in [
            ("a.wav", Some(wav)),
            ("b/a.x.WAV", Some(wav)),
            ("a.flac", Some(flac)),
            ("a.Flac", Some(flac)),
            ("a.mp3", None),
            ("flac", None),
            (".wav", None),
            ("", None),
        ] {
            assert_eq!(FileFormat::of_path(path).ok(), expect, "{path}");
        }
        let error = FileFormat::of_path("x.mp3").map_err(|error| error.to_string());
        assert!(matches!(error, Err(text) if text.contains("mp3") && text.contains("flac")));
    }
}
