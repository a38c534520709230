//! The pages of an Ogg file (RFC 3533), walked before decoding: demultiplexers skip damaged pages without a word.

use std::collections::BTreeSet;

use crate::{AudioError, Result};

const FORMAT: &str = "Ogg";
const HEADER: usize = 27;
const FIRST_PAGE: u8 = 0x02;
const LAST_PAGE: u8 = 0x04;

/// Checks that the pages follow one another, that each has its checksum, and that every stream reaches its last page.
///
/// # Errors
/// `Truncated` where the file ends early, `Malformed` for a lost page or a wrong checksum, `Unsupported` for streams
/// chained one after another.
pub(crate) fn check(bytes: &[u8], input: &str) -> Result<()> {
    let truncated = |detail: String| AudioError::Truncated {
        input: input.to_owned(),
        format: FORMAT,
        detail,
    };
    let malformed = |detail: String| AudioError::Malformed {
        input: input.to_owned(),
        format: FORMAT,
        detail,
    };
    let mut open = BTreeSet::new();
    let mut ended = false;
    let mut pos = 0;
    while pos < bytes.len() {
        let rest = &bytes[pos..];
        if !rest.starts_with(b"OggS") {
            if b"OggS".starts_with(rest) {
                return Err(truncated(format!("the page at byte {pos} is cut off")));
            }
            return Err(malformed(format!("no page begins at byte {pos}")));
        }
        let segments = rest.get(26).map_or(0, |&n| usize::from(n));
        let table = rest.get(HEADER..HEADER + segments);
        let size =
            table.map(|t| HEADER + segments + t.iter().map(|&n| usize::from(n)).sum::<usize>());
        let Some(page) = size.and_then(|size| rest.get(..size)) else {
            return Err(truncated(format!("the page at byte {pos} is cut off")));
        };
        let stated = u32::from_le_bytes([page[22], page[23], page[24], page[25]]);
        if checksum(page) != stated {
            return Err(malformed(format!(
                "the page at byte {pos} has a wrong checksum"
            )));
        }
        let (flags, serial) = (page[5], [page[14], page[15], page[16], page[17]]);
        if flags & FIRST_PAGE != 0 {
            if ended {
                return Err(AudioError::Unsupported {
                    input: input.to_owned(),
                    detail: "Ogg streams chained one after another".into(),
                });
            }
            open.insert(serial);
        }
        if flags & LAST_PAGE != 0 {
            open.remove(&serial);
            ended = open.is_empty();
        }
        pos += page.len();
    }
    if !open.is_empty() {
        return Err(truncated("the last page of the stream is missing".into()));
    }
    Ok(())
}

/// The page's CRC-32 (polynomial 0x04C11DB7, not reflected), its own four bytes counted as zero.
fn checksum(page: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = (i as u32) << 24;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc << 1) ^ if crc >> 31 == 1 { 0x04C1_1DB7 } else { 0 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    page.iter().enumerate().fold(0, |crc, (i, &byte)| {
        let byte = if (22..26).contains(&i) { 0 } else { byte };
        (crc << 8) ^ TABLE[((crc >> 24) as u8 ^ byte) as usize]
    })
}
