//! Whether an MP3 ends where a frame does.

use std::io;

use super::source::Source;

/// Bytes that are searched together, from the end on.
const BLOCK: u64 = 1 << 20;

/// An MP3 without a header frame declares no length, but a frame that has begun must end: what follows the last whole
/// one may be a tag, not another frame.
///
/// # Arguments
/// - `last`: the last frame that was decoded
pub(super) fn ends_inside_a_frame(source: &mut Source, last: &[u8]) -> io::Result<bool> {
    if last.len() < 4 {
        return Ok(false);
    }
    let Some(end) = last_end(source, last)? else {
        return Ok(false);
    };
    let mut tail = [0; 2];
    let read = source.read_at(end, &mut tail)?;
    // The sync word, version and layer stay the same throughout a file.
    Ok(read > 1 && tail[0] == 0xFF && tail[1] & 0xFE == last[1] & 0xFE)
}

/// Where `pattern` ends for the last time.
fn last_end(source: &mut Source, pattern: &[u8]) -> io::Result<Option<u64>> {
    let width = pattern.len();
    // Occurrences that begin before `end` are still to be looked for.
    let mut end = source.len();
    let mut bytes = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        bytes.resize((end - start) as usize + width - 1, 0);
        let read = source.read_at(start, &mut bytes)?;
        let found = bytes[..read].windows(width).rposition(|at| at == pattern);
        if let Some(found) = found {
            return Ok(Some(start + (found + width) as u64));
        }
        end = start;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_last_occurrence_is_found_across_blocks() {
        let length = 2 * BLOCK as usize + 77;
        for at in [
            0,
            5,
            76,
            77,
            80,
            BLOCK as usize + 75,
            BLOCK as usize + 77,
            length - 4,
        ] {
            let mut bytes = vec![0_u8; length];
            bytes[1..5].copy_from_slice(&[9, 8, 7, 6]);
            bytes[at..at + 4].copy_from_slice(&[9, 8, 7, 6]);
            let mut source = Source::bytes(bytes).unwrap();
            let expected = if at == 0 { 4 } else { at + 4 };
            let found = last_end(&mut source, &[9, 8, 7, 6]).unwrap();
            assert_eq!(found, Some(expected as u64));
            assert_eq!(last_end(&mut source, &[1, 2, 3, 4]).unwrap(), None);
        }
    }
}
