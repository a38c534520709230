//! Writing FLAC (RFC 9639): blocks of a fixed size, each channel by a fixed polynomial predictor and Rice codes.

mod bits;
mod frame;
mod rice;
mod subframe;

use bits::BitWriter;

use crate::encoder::{Encoder, Ending, file_bytes};
use crate::{Audio, AudioError, Result};

/// Samples in a block, but for the last one (section 8.2: the stream's block size is stated without it).
const BLOCK: usize = 4096;
/// Bytes before the first frame: the marker, and one metadata block of 34 behind its own header.
const HEADER: usize = 4 + 4 + 34;
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

const OPERATION: &str = "write FLAC";

fn invalid(detail: String) -> AudioError {
    AudioError::Invalid {
        operation: OPERATION,
        detail,
    }
}

/// `audio` as the bytes of a FLAC file, with the MD5 of its samples.
///
/// # Errors
/// [`AudioError::Invalid`] for channels that differ in length, NaN or infinite samples, none at all, or more than a
/// FLAC file can hold (8 channels, 655,350 Hz, 2^36 - 1 samples a channel).
pub fn flac_bytes(audio: &Audio, format: FlacFormat) -> Result<Vec<u8>> {
    audio.check_finite(OPERATION)?;
    let encoder = FlacEncoder::new(audio.sample_rate, audio.channels.len(), format)?;
    file_bytes(Box::new(encoder), audio)
}

/// A FLAC file in the making.
pub(crate) struct FlacEncoder {
    format: FlacFormat,
    sample_rate: u32,
    /// `[channels][samples]`, fewer than a block.
    waiting: Vec<Vec<i32>>,
    md5: md5::Context,
    /// Blocks so far.
    blocks: u64,
    /// Samples a channel so far.
    samples: u64,
    /// Bytes of the smallest and the largest frame.
    sizes: (usize, usize),
}

impl FlacEncoder {
    pub(crate) fn new(sample_rate: u32, channels: usize, format: FlacFormat) -> Result<Self> {
        if channels > MOST_CHANNELS {
            return Err(invalid(format!("{channels} channels")));
        }
        if sample_rate > HIGHEST_RATE {
            return Err(invalid(format!("{sample_rate} Hz")));
        }
        Ok(Self {
            format,
            sample_rate,
            waiting: vec![Vec::with_capacity(BLOCK); channels],
            md5: md5::Context::new(),
            blocks: 0,
            samples: 0,
            sizes: (usize::MAX, 0),
        })
    }

    /// The frame of what waits.
    fn frame(&mut self) -> Vec<u8> {
        let (rate, bits) = (self.sample_rate, self.format.bits());
        self.md5.consume(little_endian(&self.waiting, self.format));
        let mut frame = BitWriter::default();
        frame::write(&mut frame, &self.waiting, self.blocks, rate, bits);
        let frame = frame.into_bytes();
        self.blocks += 1;
        self.sizes.0 = self.sizes.0.min(frame.len());
        self.sizes.1 = self.sizes.1.max(frame.len());
        self.waiting.iter_mut().for_each(Vec::clear);
        frame
    }
}

impl Encoder for FlacEncoder {
    fn header_len(&self) -> usize {
        HEADER
    }

    fn block(&mut self, audio: &Audio) -> Result<Vec<u8>> {
        let frames = audio.frames();
        self.samples += frames as u64;
        if self.samples > MOST_SAMPLES {
            return Err(invalid(format!(
                "{} samples a channel are more than a FLAC file holds",
                self.samples
            )));
        }
        let (mut bytes, mut start) = (Vec::new(), 0);
        while start < frames {
            let there = self.waiting.first().map_or(0, Vec::len);
            let end = frames.min(start + BLOCK - there);
            for (waiting, channel) in self.waiting.iter_mut().zip(&audio.channels) {
                let new = channel[start..end].iter();
                waiting.extend(new.map(|&sample| self.format.quantize(sample)));
            }
            if there + end - start == BLOCK {
                bytes.extend(self.frame());
            }
            start = end;
        }
        Ok(bytes)
    }

    fn finish(mut self: Box<Self>) -> Result<Ending> {
        // Zero would stand for a number that is not known.
        if self.samples == 0 {
            return Err(invalid("there are no samples".into()));
        }
        let tail = match self.waiting.first() {
            Some(waiting) if !waiting.is_empty() => self.frame(),
            _ => Vec::new(),
        };
        let mut header = BitWriter::default();
        header.extend(b"fLaC");
        stream_info(&mut header, &self);
        Ok(Ending {
            tail,
            header: header.into_bytes(),
        })
    }
}

/// The one metadata block (section 8.2).
fn stream_info(out: &mut BitWriter, file: &FlacEncoder) {
    const LAST_AND_STREAM_INFO: u64 = 0x80;
    const LENGTH: u64 = 34;
    out.put(LAST_AND_STREAM_INFO, 8);
    out.put(LENGTH, 24);
    // Least and most samples of a block: equal ones, for decoders to take the frames' numbers for multiples of it.
    out.put(BLOCK as u64, 16);
    out.put(BLOCK as u64, 16);
    // Of a frame, in bytes: eight channels of a block take fewer than 24 bits can tell.
    out.put(file.sizes.0 as u64, 24);
    out.put(file.sizes.1 as u64, 24);
    out.put(file.sample_rate.into(), 20);
    out.put(file.waiting.len() as u64 - 1, 3);
    out.put(u64::from(file.format.bits()) - 1, 5);
    out.put(file.samples, 36);
    out.extend(&file.md5.clone().finalize().0);
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
