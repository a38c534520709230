//! Writing WAV: built in memory, so that a pipe gets a true header and a file appears whole or not at all.

use std::io::{Cursor, Write};
use std::path::Path;

use hound::{SampleFormat, WavSpec, WavWriter};

use crate::quantize::{to_i16, to_i24};
use crate::{Audio, AudioError, Result, whole};

/// How samples are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WavFormat {
    /// 16-bit integers: clipped to ±1, rounded to nearest.
    #[default]
    Pcm16,
    /// 24-bit integers: clipped to ±1, rounded to nearest.
    Pcm24,
    /// 32-bit floats, as they are.
    F32,
}

impl WavFormat {
    fn bits(self) -> u16 {
        match self {
            Self::Pcm16 => 16,
            Self::Pcm24 => 24,
            Self::F32 => 32,
        }
    }
}

/// `audio` as the bytes of a WAV file.
///
/// # Errors
/// [`AudioError::Invalid`] for channels that differ in length, NaN or infinite samples, or more than a WAV can hold
/// (4 GiB, 65,535 channels).
pub fn wav_bytes(audio: &Audio, format: WavFormat) -> Result<Vec<u8>> {
    const OPERATION: &str = "write WAV";
    let invalid = |detail: String| AudioError::Invalid {
        operation: OPERATION,
        detail,
    };
    audio.check_finite(OPERATION)?;
    let channels = u16::try_from(audio.channels.len())
        .map_err(|_| invalid(format!("{} channels", audio.channels.len())))?;
    let size = audio.frames() as u64 * u64::from(channels) * u64::from(format.bits() / 8);
    // The header's lengths are 32-bit; leave room for the header itself.
    if size > u64::from(u32::MAX) - 1024 {
        return Err(invalid(format!(
            "{size} bytes of samples are more than a WAV file holds"
        )));
    }
    let spec = WavSpec {
        channels,
        sample_rate: audio.sample_rate,
        bits_per_sample: format.bits(),
        sample_format: match format {
            WavFormat::Pcm16 | WavFormat::Pcm24 => SampleFormat::Int,
            WavFormat::F32 => SampleFormat::Float,
        },
    };
    let mut bytes = Cursor::new(Vec::with_capacity(size as usize + 128));
    let written = (|| {
        let mut wav = WavWriter::new(&mut bytes, spec)?;
        for index in 0..audio.frames() {
            for channel in &audio.channels {
                match format {
                    WavFormat::Pcm16 => wav.write_sample(to_i16(channel[index]))?,
                    WavFormat::Pcm24 => wav.write_sample(to_i24(channel[index]))?,
                    WavFormat::F32 => wav.write_sample(channel[index])?,
                }
            }
        }
        wav.finalize()
    })();
    written.map_err(|error: hound::Error| invalid(error.to_string()))?;
    Ok(bytes.into_inner())
}

/// Writes `audio` as WAV to any writer, which need not seek; `name` stands for it in errors.
///
/// # Errors
/// As [`wav_bytes`], before anything is written; [`AudioError::Io`] where the writer fails.
pub fn write_wav_to(
    writer: impl Write,
    name: &str,
    audio: &Audio,
    format: WavFormat,
) -> Result<()> {
    whole::write_to(writer, name, &wav_bytes(audio, format)?)
}

/// Writes `audio` as a WAV file: to a temporary file in the same folder, renamed once it is complete, so that `path`
/// is either as it was or whole. A link is followed; what is no regular file (a device, a named pipe) is written to.
///
/// # Errors
/// As [`write_wav_to`].
pub fn write_wav(path: impl AsRef<Path>, audio: &Audio, format: WavFormat) -> Result<()> {
    whole::write(path.as_ref(), &wav_bytes(audio, format)?)
}
