//! Writing WAV: built in memory, so that a pipe gets a true header and a file appears whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavSpec, WavWriter};

use crate::{Audio, AudioError, Result};

/// How samples are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WavFormat {
    /// 16-bit integers: clipped to ±1, rounded to nearest.
    #[default]
    Pcm16,
    /// 32-bit floats, as they are.
    F32,
}

impl WavFormat {
    fn bits(self) -> u16 {
        match self {
            Self::Pcm16 => 16,
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
    audio.check(OPERATION)?;
    if let Some((channel, index, value)) = audio.first_non_finite() {
        return Err(invalid(format!(
            "sample {index} of channel {channel} is {value}"
        )));
    }
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
            WavFormat::Pcm16 => SampleFormat::Int,
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
    mut writer: impl Write,
    name: &str,
    audio: &Audio,
    format: WavFormat,
) -> Result<()> {
    let bytes = wav_bytes(audio, format)?;
    let written = writer.write_all(&bytes).and_then(|()| writer.flush());
    written.map_err(|source| io_error(name, source))
}

/// Writes `audio` as a WAV file: to a temporary file in the same folder, renamed once it is complete, so that `path`
/// is either as it was or whole. A link is followed; what is no regular file (a device, a named pipe) is written to.
///
/// # Errors
/// As [`write_wav_to`].
pub fn write_wav(path: impl AsRef<Path>, audio: &Audio, format: WavFormat) -> Result<()> {
    let path = path.as_ref();
    let bytes = wav_bytes(audio, format)?;
    write_whole(path, &bytes).map_err(|source| io_error(&path.display().to_string(), source))
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut target = PathBuf::from(path);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) if !metadata.is_file() => {
            let mut device = OpenOptions::new().write(true).open(path)?;
            return device.write_all(bytes);
        }
        Ok(_) => target = fs::canonicalize(path)?,
        Err(_) => {}
    }
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".wav.part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: the process's umask takes away what it should.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|error| error.error)?;
    Ok(())
}

fn io_error(input: &str, source: io::Error) -> AudioError {
    AudioError::Io {
        operation: "write",
        input: input.into(),
        source,
    }
}

/// Full scale is 32768, as in reading, so that 16-bit audio comes back bit for bit; the cast saturates.
fn to_i16(sample: f32) -> i16 {
    (sample * 32768.0).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipped_and_rounded_to_nearest() {
        let cases = [
            (0.0, 0),
            (1.0, i16::MAX),
            (-1.0, i16::MIN),
            (1.5, i16::MAX),
            (-7.0, i16::MIN),
            (0.5, 16384),
            (1.4 / 32768.0, 1),
            (1.6 / 32768.0, 2),
            (-1.6 / 32768.0, -2),
            (32766.6 / 32768.0, 32767),
        ];
        for (sample, expect) in cases {
            assert_eq!(to_i16(sample), expect, "{sample}");
        }
    }
}
