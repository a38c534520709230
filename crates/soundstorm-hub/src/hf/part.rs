//! A file on its way: it grows beside its place, survives a broken connection, and moves into its
//! place when it is whole.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::RemoteError;
use crate::{
    HubError,
    atomic::{hex, parent, sync_folder},
};

/// A file under download. Dropped without [`Self::keep`] or [`Self::commit`], it goes.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
    hash: Sha256,
    done: u64,
    /// Whether some of it is from an earlier process, which may have died while writing.
    leftover: bool,
    stays: bool,
    /// The repository's file and its length, for messages.
    what: (&'static str, Option<u64>),
}

impl Part {
    /// Opens a part, with what an earlier download left there.
    pub(super) fn open(
        path: PathBuf,
        what: &'static str,
        bytes: Option<u64>,
    ) -> Result<Self, HubError> {
        let open = || -> io::Result<(File, Sha256, u64)> {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&path)?;
            let length = file.metadata()?.len();
            let mut hash = Sha256::new();
            let mut buffer = vec![0; 1 << 20];
            let mut left = (&mut file).take(length);
            let mut done = 0;
            loop {
                match left.read(&mut buffer)? {
                    0 => break,
                    n => {
                        hash.update(&buffer[..n]);
                        done += n as u64;
                    }
                }
            }
            Ok((file, hash, done))
        };
        let (file, hash, done) = open().map_err(failed("open", &path, (what, bytes)))?;
        let mut part = Self {
            file,
            path,
            hash,
            done,
            leftover: done > 0,
            stays: false,
            what: (what, bytes),
        };
        if bytes.is_some_and(|bytes| done > bytes) {
            part.restart()?;
        }
        Ok(part)
    }

    /// Bytes that are here.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// Whether some of it is from an earlier process.
    pub(super) fn leftover(&self) -> bool {
        self.leftover
    }

    /// Begins anew.
    pub(super) fn restart(&mut self) -> Result<(), HubError> {
        if self.done > 0 {
            let result = self
                .file
                .set_len(0)
                .and_then(|()| self.file.seek(SeekFrom::Start(0)));
            result.map_err(failed("empty", &self.path, self.what))?;
        }
        self.hash = Sha256::new();
        self.done = 0;
        self.leftover = false;
        Ok(())
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file
            .write_all(bytes)
            .map_err(failed("write", &self.path, self.what))?;
        self.hash.update(bytes);
        self.done += bytes.len() as u64;
        Ok(())
    }

    /// SHA-256 of what is here, in hexadecimal.
    pub(super) fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    /// Lets what is here wait for the next download.
    pub(super) fn keep(&mut self) {
        self.stays = self.done > 0;
    }

    /// Moves the file into its place.
    pub(super) fn commit(mut self, to: &Path) -> Result<(), HubError> {
        self.file
            .sync_all()
            .map_err(failed("flush", &self.path, self.what))?;
        fs::rename(&self.path, to).map_err(failed("rename", &self.path, self.what))?;
        self.stays = true;
        sync_folder(parent(to))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.stays {
            // What cannot be removed counts for nothing by its name.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The system's refusal, where a full disk is told as what it is.
fn failed(
    operation: &'static str,
    path: &Path,
    (file, bytes): (&'static str, Option<u64>),
) -> impl FnOnce(io::Error) -> HubError {
    let path = path.to_path_buf();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => RemoteError::DiskFull {
            path,
            file,
            bytes,
            source,
        }
        .into(),
        _ => HubError::io(operation, path)(source),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sha256_file;

    fn open(path: &Path, bytes: Option<u64>) -> Part {
        Part::open(path.to_path_buf(), "model.safetensors", bytes).unwrap()
    }

    #[test]
    fn a_part_is_kept_or_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        open(&path, None).write(b"abc").unwrap();
        assert!(!path.exists());

        let mut part = open(&path, None);
        part.keep();
        drop(part);
        assert!(!path.exists(), "nothing is not worth keeping");

        let mut part = open(&path, None);
        part.write(b"abc").unwrap();
        part.keep();
        drop(part);
        let mut part = open(&path, Some(5));
        assert!(part.leftover());
        assert_eq!(part.done(), 3);
        part.write(b"de").unwrap();
        let sha256 = part.sha256();
        let to = dir.path().join("whole");
        part.commit(&to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"abcde");
        assert_eq!(sha256, sha256_file(&to).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn beginning_anew_forgets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        fs::write(&path, b"longer than it may be").unwrap();
        let mut part = open(&path, Some(5));
        assert_eq!((part.done(), part.leftover()), (0, false));
        part.write(b"vwxyz").unwrap();
        part.restart().unwrap();
        part.write(b"ab").unwrap();
        let sha256 = part.sha256();
        let to = dir.path().join("whole");
        part.commit(&to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"ab");
        assert_eq!(sha256, sha256_file(&to).unwrap());
    }

    #[test]
    fn a_full_disk_is_told() {
        let path = Path::new("/cache/part");
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let error = failed("write", path, ("config.json", Some(7)))(kind.into());
            let error = error.to_string();
            for word in [
                "disk is full",
                "/cache/part",
                "config.json",
                "7 bytes",
                "HF_HOME",
            ] {
                assert!(error.contains(word), "{word}: {error}");
            }
        }
        let kind = io::ErrorKind::PermissionDenied;
        let error = failed("write", path, ("config.json", None))(kind.into());
        assert!(matches!(error, HubError::Io { .. }), "{error}");
    }
}
