//! Audio files block by block, of any length: whole at the end, or not there at all.

use std::io::{self, Seek, Write};
use std::path::Path;

use crate::encoder::{Encoder, Ending};
use crate::whole::{WholeFile, io_error};
use crate::{Audio, AudioError, FileFormat, Result};

/// A file that is written block by block; dropped without [`AudioWriter::finish`], it leaves nothing behind.
pub struct AudioWriter {
    name: String,
    file: WholeFile,
    encoder: Box<dyn Encoder>,
    sample_rate: u32,
    channels: usize,
    frames: u64,
}

impl AudioWriter {
    /// A file that will replace `path` once it is complete, as with [`write`](crate::write).
    ///
    /// # Arguments
    /// - `sample_rate`: in Hz
    ///
    /// # Errors
    /// [`AudioError::Invalid`] for a rate of 0, no channels or more than the format holds; [`AudioError::Io`] where the
    /// system refuses.
    pub fn create(
        path: impl AsRef<Path>,
        sample_rate: u32,
        channels: usize,
        format: FileFormat,
    ) -> Result<Self> {
        let path = path.as_ref();
        let encoder = format.encoder(sample_rate, channels)?;
        let name = path.display().to_string();
        let file = WholeFile::create(path).map_err(|source| io_error(&name, source))?;
        Self::new(file, name, encoder, (sample_rate, channels))
    }

    /// A file for any writer, which need not seek: it is given all of it at the end. `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`AudioWriter::create`].
    pub fn through(
        writer: impl Write + 'static,
        name: &str,
        sample_rate: u32,
        channels: usize,
        format: FileFormat,
    ) -> Result<Self> {
        let encoder = format.encoder(sample_rate, channels)?;
        let file = WholeFile::through(writer);
        Self::new(file, name.into(), encoder, (sample_rate, channels))
    }

    fn new(
        file: WholeFile,
        name: String,
        encoder: Box<dyn Encoder>,
        (sample_rate, channels): (u32, usize),
    ) -> Result<Self> {
        let mut writer = Self {
            name,
            file,
            encoder,
            sample_rate,
            channels,
            frames: 0,
        };
        let header = vec![0; writer.encoder.header_len()];
        writer.put(&header)?;
        Ok(writer)
    }

    /// Samples a channel, so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Appends a block.
    ///
    /// # Errors
    /// [`AudioError::Invalid`] for another rate or number of channels than the file's, channels that differ in length,
    /// NaN or infinite samples, or more samples than the format holds; [`AudioError::Io`] where the system refuses.
    pub fn write(&mut self, block: &Audio) -> Result<()> {
        block.check_finite("write audio")?;
        if (block.sample_rate, block.channels.len()) != (self.sample_rate, self.channels) {
            return Err(AudioError::Invalid {
                operation: "write audio",
                detail: format!(
                    "{} Hz with {} channels turns into {} Hz with {}",
                    self.sample_rate,
                    self.channels,
                    block.sample_rate,
                    block.channels.len()
                ),
            });
        }
        self.frames += block.frames() as u64;
        let bytes = self.encoder.block(block)?;
        self.put(&bytes)
    }

    /// Completes the file.
    ///
    /// # Errors
    /// [`AudioError::Invalid`] where the format needs samples and has none; [`AudioError::Io`] where the system refuses.
    pub fn finish(self) -> Result<()> {
        let Ending { tail, header } = self.encoder.finish()?;
        let complete = |mut file: WholeFile| -> io::Result<()> {
            file.write_all(&tail)?;
            file.rewind()?;
            file.write_all(&header)?;
            file.commit()
        };
        complete(self.file).map_err(|source| io_error(&self.name, source))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|source| io_error(&self.name, source))
    }
}
