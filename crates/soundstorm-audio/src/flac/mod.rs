//! Writing FLAC (RFC 9639): blocks of a fixed size, each channel by a fixed polynomial predictor and Rice codes.

mod bits;
mod frame;
mod rice;
mod subframe;

use bits::BitWriter;

use crate::{Audio, AudioError, Result};

/// Samples in a block, but for the last one (section 8.2: the stream's block size is stated without it).
const BLOCK: usize = 4096;
/// The header counts samples in 36 bits.
const MOST_SAMPLES: u64 = (1 << 36) - 1;
/// In Hz; the header has room for more since RFC 9639, which older decoders refuse.
const HIGHEST_RATE: u32 = 655_350;
/// Channels that a frame can hold.
const MOST_CHANNELS: usize = 8;

/// How samples are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlacFormat {
    /// 16-bit integers: clipped to ±1, rounded to nearest.
    #[default]
    Pcm16,
    /// 24-bit integers: clipped to ±1, rounded to nearest.
    Pcm24,
}

impl FlacFormat {
    fn bits(self) -> u32 {
        match self {
            Self::Pcm16 => 16,
            Self::Pcm24 => 24,
        }
    }

    fn quantize(self, sample: f32) -> i32 {
        match self {
            Self::Pcm16 => crate::quantize::to_i16(sample).into(),
            Self::Pcm24 => crate::quantize::to_i24(sample),
        }
    }
}

/// `audio` as the bytes of a FLAC file, with the MD5 of its samples.
///
/// # Errors
/// [`AudioError::Invalid`] for channels that differ in length, NaN or infinite samples, none at all, or more than a
/// FLAC file can hold (8 channels, 655,350 Hz, 2^36 - 1 samples a channel).
pub fn flac_bytes(audio: &Audio, format: FlacFormat) -> Result<Vec<u8>> {
    const OPERATION: &str = "write FLAC";
    let invalid = |detail: String| AudioError::Invalid {
        operation: OPERATION,
        detail,
    };
    audio.check_finite(OPERATION)?;
    let count = audio.channels.len();
    if count > MOST_CHANNELS {
        return Err(invalid(format!("{count} channels")));
    }
    if audio.sample_rate > HIGHEST_RATE {
        return Err(invalid(format!("{} Hz", audio.sample_rate)));
    }
    let samples = audio.frames() as u64;
    // Zero would stand for a number that is not known.
    if samples == 0 {
        return Err(invalid("there are no samples".into()));
    }
    if samples > MOST_SAMPLES {
        return Err(invalid(format!(
            "{samples} samples a channel are more than a FLAC file holds"
        )));
    }

    let mut md5 = md5::Context::new();
    let mut frames = BitWriter::default();
    let (mut least, mut most) = (usize::MAX, 0);
    for (number, start) in (0..audio.frames()).step_by(BLOCK).enumerate() {
        let end = audio.frames().min(start + BLOCK);
        let block: Vec<Vec<i32>> = audio
            .channels
            .iter()
            .map(|channel| {
                channel[start..end]
                    .iter()
                    .map(|&sample| format.quantize(sample))
                    .collect()
            })
            .collect();
        md5.consume(little_endian(&block, format));
        let before = frames.bytes().len();
        frame::write(
            &mut frames,
            &block,
            number as u64,
            audio.sample_rate,
            format.bits(),
        );
        let size = frames.bytes().len() - before;
        least = least.min(size);
        most = most.max(size);
    }

    let mut file = BitWriter::default();
    file.extend(b"fLaC");
    stream_info(&mut file, audio, format, (least, most), md5.finalize().0);
    file.extend(frames.bytes());
    Ok(file.into_bytes())
}

/// The one metadata block (section 8.2).
fn stream_info(
    out: &mut BitWriter,
    audio: &Audio,
    format: FlacFormat,
    (least, most): (usize, usize),
    md5: [u8; 16],
) {
    const LAST_AND_STREAM_INFO: u64 = 0x80;
    const LENGTH: u64 = 34;
    out.put(LAST_AND_STREAM_INFO, 8);
    out.put(LENGTH, 24);
    // Least and most samples of a block: equal ones, for decoders to take the frames' numbers for multiples of it.
    out.put(BLOCK as u64, 16);
    out.put(BLOCK as u64, 16);
    // Of a frame, in bytes: eight channels of a block take fewer than 24 bits can tell.
    out.put(least as u64, 24);
    out.put(most as u64, 24);
    out.put(audio.sample_rate.into(), 20);
    out.put(audio.channels.len() as u64 - 1, 3);
    out.put(u64::from(format.bits()) - 1, 5);
    out.put(audio.frames() as u64, 36);
    out.extend(&md5);
}

/// What the MD5 is taken of: samples interleaved, each in as few whole bytes as hold it.
fn little_endian(block: &[Vec<i32>], format: FlacFormat) -> Vec<u8> {
    let width = format.bits() as usize / 8;
    let length = block.first().map_or(0, Vec::len);
    let mut bytes = Vec::with_capacity(length * block.len() * width);
    for index in 0..length {
        for channel in block {
            bytes.extend_from_slice(&channel[index].to_le_bytes()[..width]);
        }
    }
    bytes
}
