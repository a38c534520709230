//! Where encoded bytes lie while they are decoded: a file as it is, or what came through a pipe.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use symphonia::core::io::MediaSource;
use tempfile::SpooledTempFile;

/// What came through a pipe lies in memory up to this size, and in a temporary file beyond.
const SPOOL: usize = 64 << 20;

trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// Bytes that can be read anywhere, some of them corrected.
pub(crate) struct Source {
    inner: Box<dyn ReadSeek>,
    length: u64,
    /// Four bytes each, by where they stand.
    patches: Vec<(u64, [u8; 4])>,
    position: u64,
}

impl Source {
    pub(super) fn file(file: File) -> io::Result<Self> {
        Self::new(file)
    }

    pub(super) fn bytes(bytes: Vec<u8>) -> io::Result<Self> {
        Self::new(Cursor::new(bytes))
    }

    /// All that a reader has, but for what is beyond `most` bytes and one.
    pub(super) fn spool(reader: impl Read, most: u64) -> io::Result<Self> {
        let mut spool = SpooledTempFile::new(SPOOL);
        io::copy(&mut reader.take(most.saturating_add(1)), &mut spool)?;
        spool.flush()?;
        Self::new(spool)
    }

    fn new(mut inner: impl ReadSeek + 'static) -> io::Result<Self> {
        let length = inner.seek(SeekFrom::End(0))?;
        inner.rewind()?;
        Ok(Self {
            inner: Box::new(inner),
            length,
            patches: Vec::new(),
            position: 0,
        })
    }

    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Replaces the four bytes from `position` on.
    pub(crate) fn patch(&mut self, position: u64, bytes: [u8; 4]) {
        self.patches.push((position, bytes));
    }

    /// As many bytes from `position` on as there are and fit.
    pub(crate) fn read_at(&mut self, position: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.seek(SeekFrom::Start(position))?;
        read_full(self, bytes)
    }
}

/// Reads until `bytes` are full or there are no more; how many there were.
pub(crate) fn read_full(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match reader.read(&mut bytes[read..]) {
            Ok(0) => break,
            Ok(new) => read += new,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

impl Read for Source {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        let (start, end) = (self.position, self.position + read as u64);
        for &(at, patch) in &self.patches {
            for (at, byte) in (at..).zip(patch) {
                if (start..end).contains(&at) {
                    bytes[(at - start) as usize] = byte;
                }
            }
        }
        self.position = end;
        Ok(read)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.inner.seek(to)?;
        Ok(self.position)
    }
}

/// A source that the decoder reads from and others look into afterwards.
#[derive(Clone)]
pub(super) struct Shared {
    source: Arc<Mutex<Source>>,
    /// What a decoder guesses from the end of a file, it does not where it cannot seek.
    seekable: bool,
}

impl Shared {
    pub(super) fn new(source: Source, seekable: bool) -> Self {
        Self {
            source: Arc::new(Mutex::new(source)),
            seekable,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Source> {
        // A decoder that panicked holds nothing half done here.
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for Shared {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.lock().read(bytes)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self.seekable {
            true => self.lock().seek(to),
            false => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl MediaSource for Shared {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        self.seekable.then(|| self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn patches_are_read_wherever_a_read_begins() {
        let bytes: Vec<u8> = (0..40).collect();
        let mut expected = bytes.clone();
        expected[5..9].copy_from_slice(&[101, 102, 103, 104]);
        expected[37..40].copy_from_slice(&[111, 112, 113]);
        for length in 1..=40 {
            let mut source = Source::bytes(bytes.clone()).unwrap();
            source.patch(5, [101, 102, 103, 104]);
            source.patch(37, [111, 112, 113, 114]);
            for start in 0..40_usize {
                let mut read = vec![0; length];
                let count = source.read_at(start as u64, &mut read).unwrap();
                let end = expected.len().min(start + length);
                assert_eq!(read[..count], expected[start..end]);
            }
        }
    }

    #[test]
    fn a_pipe_is_read_to_one_byte_beyond_the_limit() {
        let source = Source::spool(&[7; 31][..], 31).unwrap();
        assert_eq!(source.len(), 31);
        let source = Source::spool(io::repeat(7), 31).unwrap();
        assert_eq!(source.len(), 32);
    }
}
