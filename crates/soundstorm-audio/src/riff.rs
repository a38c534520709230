//! The chunks of a WAV file, walked before decoding: decoders take a data chunk that ends early without a word.

use crate::{AudioError, Result};

const FORMAT: &str = "WAV";
/// Lengths from here on are what writers to a pipe put where they cannot come back: `ffmpeg` 2^32 - 1, `sox` 2^31 - 4096.
const OPEN_ENDED: u32 = 0x7FFF_0000;

/// Checks that every chunk up to and including the data is there, and settles the lengths that a pipe's writer left open.
///
/// # Errors
/// `Truncated` where the file ends inside a chunk, `Malformed` without a data chunk, `Unsupported` for RIFF files that
/// are not WAVE.
pub(crate) fn settle(bytes: &mut [u8], input: &str) -> Result<()> {
    let truncated = |detail: String| AudioError::Truncated {
        input: input.to_owned(),
        format: FORMAT,
        detail,
    };
    let len = bytes.len();
    if len < 12 {
        return Err(truncated(format!(
            "the header takes 12 bytes, the file has {len}"
        )));
    }
    if &bytes[8..12] != b"WAVE" {
        return Err(AudioError::Unsupported {
            input: input.to_owned(),
            detail: "a RIFF file that is not WAVE".into(),
        });
    }
    let declared = u32_at(bytes, 4);
    let mut pos = 12;
    loop {
        if pos + 8 > len {
            if u64::from(declared) + 8 > len as u64 && declared < OPEN_ENDED {
                return Err(truncated(format!(
                    "it declares {} bytes and has {len}, with no audio data among them",
                    u64::from(declared) + 8
                )));
            }
            return Err(AudioError::Malformed {
                input: input.to_owned(),
                format: FORMAT,
                detail: "there is no data chunk".into(),
            });
        }
        let size = u32_at(bytes, pos + 4);
        let there = len - pos - 8;
        let is_data = &bytes[pos..pos + 4] == b"data";
        if size as usize > there {
            if !(is_data && size >= OPEN_ENDED) {
                return Err(truncated(format!(
                    "the {} chunk declares {size} bytes and {there} are there",
                    bytes[pos..pos + 4].escape_ascii()
                )));
            }
            put_u32(bytes, pos + 4, u32::try_from(there).unwrap_or(u32::MAX));
        }
        if is_data {
            break;
        }
        pos += 8 + size as usize + (size as usize & 1);
    }
    // The outer length says nothing that the chunks do not; writers to a pipe leave it open or zero.
    put_u32(bytes, 4, u32::try_from(len - 8).unwrap_or(u32::MAX));
    Ok(())
}

fn u32_at(bytes: &[u8], pos: usize) -> u32 {
    u32::from_le_bytes([bytes[pos], bytes[pos + 1], bytes[pos + 2], bytes[pos + 3]])
}

fn put_u32(bytes: &mut [u8], pos: usize, value: u32) {
    bytes[pos..pos + 4].copy_from_slice(&value.to_le_bytes());
}
