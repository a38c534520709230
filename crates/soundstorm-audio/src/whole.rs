//! Bytes to a file that appears whole or not at all, or to any writer.

use std::fs::{self, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, SpooledTempFile};

use crate::{AudioError, Result};

/// What is not written beside its destination lies in memory up to this size, and in a temporary file beyond.
const SPOOL: usize = 64 << 20;

/// To a temporary file in the same folder, renamed once it is complete.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = WholeFile::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.commit()
    });
    written.map_err(|source| io_error(&path.display().to_string(), source))
}

/// To a writer, which need not seek; `name` stands for it in errors.
pub(crate) fn write_to(mut writer: impl Write, name: &str, bytes: &[u8]) -> Result<()> {
    let written = writer.write_all(bytes).and_then(|()| writer.flush());
    written.map_err(|source| io_error(name, source))
}

/// A file in the making. Dropped without [`WholeFile::commit`], it leaves nothing behind.
pub(crate) enum WholeFile {
    /// In its folder, under another name until it is complete.
    Beside {
        part: NamedTempFile,
        target: PathBuf,
    },
    /// Held back from what cannot be replaced or sought in, a device or a pipe.
    Through {
        part: SpooledTempFile,
        writer: Box<dyn Write>,
    },
}

impl WholeFile {
    /// That will replace `path`. A link is followed; what is no regular file is written to.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mut target = PathBuf::from(path);
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(metadata) if !metadata.is_file() => {
                return Ok(Self::through(OpenOptions::new().write(true).open(path)?));
            }
            Ok(_) => target = fs::canonicalize(path)?,
            Err(_) => {}
        }
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".").suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any new file: the process's umask takes away what it should.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let part = builder.tempfile_in(folder)?;
        Ok(Self::Beside { part, target })
    }

    /// That will be given to a writer once it is complete.
    pub(crate) fn through(writer: impl Write + 'static) -> Self {
        Self::Through {
            part: SpooledTempFile::new(SPOOL),
            writer: Box::new(writer),
        }
    }

    /// It is complete.
    pub(crate) fn commit(self) -> io::Result<()> {
        match self {
            Self::Beside { part, target } => {
                part.as_file().sync_all()?;
                part.persist(&target).map_err(|error| error.error)?;
            }
            Self::Through {
                mut part,
                mut writer,
            } => {
                part.rewind()?;
                io::copy(&mut part, &mut writer)?;
                writer.flush()?;
            }
        }
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Beside { part, .. } => part.write(bytes),
            Self::Through { part, .. } => part.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Beside { part, .. } => part.flush(),
            Self::Through { part, .. } => part.flush(),
        }
    }
}

impl Seek for WholeFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Beside { part, .. } => part.seek(to),
            Self::Through { part, .. } => part.seek(to),
        }
    }
}

pub(crate) fn io_error(input: &str, source: io::Error) -> AudioError {
    AudioError::Io {
        operation: "write",
        input: input.into(),
        source,
    }
}

/// A path's ending in small letters, without the dot; empty where there is none.
pub(crate) fn ending(path: &Path) -> String {
    let ending = path.extension().unwrap_or_default();
    ending.to_string_lossy().to_lowercase()
}
