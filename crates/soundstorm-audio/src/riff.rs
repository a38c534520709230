//! The chunks of a WAV file, walked before decoding: decoders take a data chunk that ends early without a word.

use crate::read::Source;
use crate::{AudioError, Result};

const FORMAT: &str = "WAV";
/// Lengths from here on are what writers to a pipe put where they cannot come back: `ffmpeg` 2^32 - 1, `sox` 2^31 - 4096.
const OPEN_ENDED: u32 = 0x7FFF_0000;

/// Checks that every chunk up to and including the data is there, and settles the lengths that a pipe's writer left open.
///
/// # Errors
/// `Truncated` where the file ends inside a chunk, `Malformed` without a data chunk, `Unsupported` for RIFF files that
/// are not WAVE, `Io` where it cannot be read.
pub(crate) fn settle(source: &mut Source, input: &str) -> Result<()> {
    let truncated = |detail: String| AudioError::Truncated {
        input: input.to_owned(),
        format: FORMAT,
        detail,
    };
    let failed = |source| AudioError::Io {
        operation: "read",
        input: input.to_owned(),
        source,
    };
    let len = source.len();
    if len < 12 {
        return Err(truncated(format!(
            "the header takes 12 bytes, the file has {len}"
        )));
    }
    let mut header = [0; 12];
    source.read_at(0, &mut header).map_err(failed)?;
    let [.., d0, d1, d2, d3, b'W', b'A', b'V', b'E'] = header else {
        return Err(AudioError::Unsupported {
            input: input.to_owned(),
            detail: "a RIFF file that is not WAVE".into(),
        });
    };
    let declared = u32::from_le_bytes([d0, d1, d2, d3]);
    let mut pos = 12;
    loop {
        if pos + 8 > len {
            if u64::from(declared) + 8 > len && declared < OPEN_ENDED {
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
        let mut chunk = [0; 8];
        source.read_at(pos, &mut chunk).map_err(failed)?;
        let [name @ .., s0, s1, s2, s3] = chunk;
        let size = u32::from_le_bytes([s0, s1, s2, s3]);
        let there = len - pos - 8;
        let is_data = &name == b"data";
        if u64::from(size) > there {
            if !(is_data && size >= OPEN_ENDED) {
                return Err(truncated(format!(
                    "the {} chunk declares {size} bytes and {there} are there",
                    name.escape_ascii()
                )));
            }
            source.patch(pos + 4, at_most(there).to_le_bytes());
        }
        if is_data {
            break;
        }
        pos += 8 + u64::from(size) + u64::from(size & 1);
    }
    // The outer length says nothing that the chunks do not; writers to a pipe leave it open or zero.
    source.patch(4, at_most(len - 8).to_le_bytes());
    Ok(())
}

fn at_most(length: u64) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
