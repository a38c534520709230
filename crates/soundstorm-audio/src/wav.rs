//! Writing WAV. A pipe gets a true header and a file appears whole or not at all.

use std::io::{Cursor, Write};
use std::path::Path;

use hound::{SampleFormat, WavSpec, WavWriter};

use crate::encoder::{Encoder, Ending, file_bytes};
use crate::quantize::{to_i16, to_i24};
use crate::{Audio, AudioError, Result, whole};

const OPERATION: &str = "write WAV";
/// The header's lengths are 32-bit; this leaves room for the header itself.
const MOST_BYTES: u64 = u32::MAX as u64 - 1024;
/// Where the header has the length of all that follows it.
const LENGTH_AT: usize = 4;

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

fn invalid(detail: String) -> AudioError {
    AudioError::Invalid {
        operation: OPERATION,
        detail,
    }
}

/// A WAV file in the making.
pub(crate) struct WavEncoder {
    format: WavFormat,
    /// Of a file without samples.
    header: Vec<u8>,
    /// Of samples, so far.
    size: u64,
}

impl WavEncoder {
    pub(crate) fn new(sample_rate: u32, channels: usize, format: WavFormat) -> Result<Self> {
        let spec = WavSpec {
            channels: u16::try_from(channels)
                .map_err(|_| invalid(format!("{channels} channels")))?,
            sample_rate,
            bits_per_sample: format.bits(),
            sample_format: match format {
                WavFormat::Pcm16 | WavFormat::Pcm24 => SampleFormat::Int,
                WavFormat::F32 => SampleFormat::Float,
            },
        };
        let mut header = Cursor::new(Vec::new());
        WavWriter::new(&mut header, spec)
            .and_then(WavWriter::finalize)
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            format,
            header: header.into_inner(),
            size: 0,
        })
    }
}

impl Encoder for WavEncoder {
    fn header_len(&self) -> usize {
        self.header.len()
    }

    fn block(&mut self, audio: &Audio) -> Result<Vec<u8>> {
        let samples = audio.frames() as u64 * audio.channels.len() as u64;
        let size = samples * u64::from(self.format.bits() / 8);
        self.size += size;
        if self.size > MOST_BYTES {
            return Err(invalid(format!(
                "{} bytes of samples are more than a WAV file holds",
                self.size
            )));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        for index in 0..audio.frames() {
            for channel in &audio.channels {
                let sample = channel[index];
                match self.format {
                    WavFormat::Pcm16 => bytes.extend(to_i16(sample).to_le_bytes()),
                    WavFormat::Pcm24 => bytes.extend(&to_i24(sample).to_le_bytes()[..3]),
                    WavFormat::F32 => bytes.extend(sample.to_le_bytes()),
                }
            }
        }
        Ok(bytes)
    }

    fn finish(self: Box<Self>) -> Result<Ending> {
        let mut header = self.header;
        // `MOST_BYTES` keeps both below 2^32. The header ends with the length of the samples.
        let all = header.len() - LENGTH_AT - 4 + self.size as usize;
        header[LENGTH_AT..][..4].copy_from_slice(&(all as u32).to_le_bytes());
        let end = header.len() - 4;
        header[end..].copy_from_slice(&(self.size as u32).to_le_bytes());
        Ok(Ending {
            tail: Vec::new(),
            header,
        })
    }
}

/// `audio` as the bytes of a WAV file.
///
/// # Errors
/// [`AudioError::Invalid`] for channels that differ in length, NaN or infinite samples, or more than a WAV can hold
/// (4 GiB, 65,535 channels).
pub fn wav_bytes(audio: &Audio, format: WavFormat) -> Result<Vec<u8>> {
    audio.check_finite(OPERATION)?;
    let encoder = WavEncoder::new(audio.sample_rate, audio.channels.len(), format)?;
    file_bytes(Box::new(encoder), audio)
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
