//! Bytes, numbers and lines from a pickle, up to a limit.

use std::io::{BufRead, Read, Take};

use super::{MAX_BYTES, Result, malformed};

/// What is left of a pickle.
pub(super) struct Input<'a> {
    reader: Take<&'a mut dyn BufRead>,
}

impl<'a> Input<'a> {
    pub(super) fn new(reader: &'a mut dyn BufRead) -> Self {
        Self {
            reader: reader.take(MAX_BYTES),
        }
    }

    /// Whether the limit is reached.
    pub(super) fn is_used_up(&self) -> bool {
        self.reader.limit() == 0
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Grows with what is really there, so that a length without data costs nothing.
    pub(super) fn bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let got = (&mut self.reader).take(length).read_to_end(&mut bytes)?;
        if got as u64 == length {
            Ok(bytes)
        } else {
            Err(malformed("the pickle ends early"))
        }
    }

    pub(super) fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(malformed("the pickle ends early"));
        }
        String::from_utf8(line).map_err(|_| malformed("text that is not UTF-8"))
    }

    pub(super) fn line_number(&mut self) -> Result<u64> {
        let line = self.line()?;
        line.trim()
            .parse()
            .map_err(|_| malformed(format!("expected a number, got `{line}`")))
    }
}
