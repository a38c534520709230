//! Bytes to a file that appears whole or not at all, or to any writer.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::{AudioError, Result};

/// To a temporary file in the same folder, renamed once it is complete.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes).map_err(|source| io_error(&path.display().to_string(), source))
}

/// To a writer, which need not seek; `name` stands for it in errors.
pub(crate) fn write_to(mut writer: impl Write, name: &str, bytes: &[u8]) -> Result<()> {
    let written = writer.write_all(bytes).and_then(|()| writer.flush());
    written.map_err(|source| io_error(name, source))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut target = PathBuf::from(path);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) if !metadata.is_file() => {
            let mut device = OpenOptions::new().write(true).open(path)?;
            return device.write_all(bytes);
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
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|error| error.error)?;
    Ok(())
}

fn io_error(input: &str, source: io::Error) -> AudioError {
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
