//! The pages of an Ogg file (RFC 3533), walked before decoding: demultiplexers skip damaged pages without a word.

use std::collections::BTreeSet;
use std::io::BufReader;

use crate::read::{Source, read_full};
use crate::{AudioError, Result};

const FORMAT: &str = "Ogg";
const HEADER: usize = 27;
const FIRST_PAGE: u8 = 0x02;
const LAST_PAGE: u8 = 0x04;

/// Checks that the pages follow one another, that each has its checksum, and that every stream reaches its last page.
///
/// # Errors
/// `Truncated` where the file ends early, `Malformed` for a lost page or a wrong checksum, `Unsupported` for streams
/// chained one after another, `Io` where it cannot be read.
pub(crate) fn check(source: &mut Source, input: &str) -> Result<()> {
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
    let failed = |source| AudioError::Io {
        operation: "read",
        input: input.to_owned(),
        source,
    };
    source.read_at(0, &mut []).map_err(failed)?;
    let mut reader = BufReader::new(source);
    let mut open = BTreeSet::new();
    let mut ended = false;
    let mut pos = 0;
    let mut page = Vec::new();
    loop {
        // As much more of the page as it has; whether all of it was there.
        let mut more = |page: &mut Vec<u8>, count: usize| {
            let start = page.len();
            page.resize(start + count, 0);
            let read = read_full(&mut reader, &mut page[start..]);
            read.map(|read| {
                page.truncate(start + read);
                read == count
            })
        };
        page.clear();
        let whole = more(&mut page, HEADER).map_err(failed)?;
        if page.is_empty() {
            break;
        }
        if !page.starts_with(b"OggS") {
            if b"OggS".starts_with(&page) {
                return Err(truncated(format!("the page at byte {pos} is cut off")));
            }
            return Err(malformed(format!("no page begins at byte {pos}")));
        }
        let segments = usize::from(page.last().copied().unwrap_or(0));
        let whole = whole && more(&mut page, segments).map_err(failed)?;
        let body = if whole { &page[HEADER..] } else { &[] };
        let body = body.iter().map(|&n| usize::from(n)).sum();
        if !whole || !more(&mut page, body).map_err(failed)? {
            return Err(truncated(format!("the page at byte {pos} is cut off")));
        }
        let stated = u32::from_le_bytes([page[22], page[23], page[24], page[25]]);
        if checksum(&page) != stated {
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
