//! What the formats have in common: a header that is known at the end, and blocks behind it.

use crate::{Audio, Result};

/// A file in the making.
pub(crate) trait Encoder {
    /// Bytes of the header, whatever follows.
    fn header_len(&self) -> usize;

    /// The bytes that follow those before, with some more samples. They are finite, and of as many channels as the
    /// encoder was made for.
    fn block(&mut self, audio: &Audio) -> Result<Vec<u8>>;

    /// What is left, and the header.
    fn finish(self: Box<Self>) -> Result<Ending>;
}

/// What completes a file.
pub(crate) struct Ending {
    /// The last bytes.
    pub(crate) tail: Vec<u8>,
    /// The first ones.
    pub(crate) header: Vec<u8>,
}

/// All of a file.
pub(crate) fn file_bytes(mut encoder: Box<dyn Encoder>, audio: &Audio) -> Result<Vec<u8>> {
    let body = encoder.block(audio)?;
    let Ending { tail, header } = encoder.finish()?;
    Ok([header, body, tail].concat())
}
