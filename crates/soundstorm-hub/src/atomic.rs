//! Files and folders that appear whole or not at all: written beside their destination, flushed, then renamed.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};

use crate::HubError;

/// A file under construction. Dropped without [`AtomicFile::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    writer: BufWriter<NamedTempFile>,
    hash: Sha256,
    path: PathBuf,
}

impl AtomicFile {
    /// Starts a file that will replace `path`.
    ///
    /// # Errors
    /// The folder that is to hold it does not exist or cannot be written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, HubError> {
        let path = path.as_ref();
        if path.is_dir() {
            return Err(HubError::Invalid {
                operation: "write a file",
                expected: "the name of a file".into(),
                got: format!("the folder {}", path.display()),
            });
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".part-");
        #[cfg(unix)]
        {
            // What any new file gets: readable to others as far as the umask allows.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let file = builder
            .tempfile_in(parent(path))
            .map_err(HubError::io("create", path))?;
        Ok(Self {
            writer: BufWriter::with_capacity(1 << 20, file),
            hash: Sha256::new(),
            path: path.to_path_buf(),
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// The disk is full, or the like.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.hash.update(bytes);
        self.writer
            .write_all(bytes)
            .map_err(HubError::io("write", &self.path))
    }

    /// Puts the file in its place and returns the SHA-256 of its content, in hexadecimal.
    ///
    /// # Errors
    /// The data cannot be flushed, or the file cannot be renamed.
    pub fn commit(self) -> Result<String, HubError> {
        let Self { writer, hash, path } = self;
        let file = writer
            .into_inner()
            .map_err(|error| HubError::io("write", &path)(error.into_error()))?;
        file.as_file()
            .sync_all()
            .map_err(HubError::io("flush", &path))?;
        file.persist(&path)
            .map_err(|error| HubError::io("rename", &path)(error.error))?;
        sync_folder(parent(&path))?;
        Ok(hex(&hash.finalize()))
    }
}

/// Writes a small file in one go.
///
/// # Errors
/// See [`AtomicFile`].
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), HubError> {
    let mut file = AtomicFile::create(path)?;
    file.write(bytes)?;
    file.commit().map(drop)
}

/// A folder under construction. Dropped without [`AtomicFolder::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFolder {
    part: TempDir,
    destination: PathBuf,
    force: bool,
}

impl AtomicFolder {
    /// Starts a folder that will become `destination`. A folder with something in it is only
    /// replaced when `force` says so, and only when the new one is complete.
    ///
    /// # Errors
    /// [`HubError::Exists`], or the place cannot be written.
    pub fn create(destination: impl AsRef<Path>, force: bool) -> Result<Self, HubError> {
        let destination = destination.as_ref();
        refuse_occupied(destination, force)?;
        let beside = parent(destination);
        fs::create_dir_all(beside).map_err(HubError::io("create", beside))?;
        let part = tempfile::Builder::new()
            .prefix(".part-")
            .tempdir_in(beside)
            .map_err(HubError::io("create", destination))?;
        Ok(Self {
            part,
            destination: destination.to_path_buf(),
            force,
        })
    }

    /// Where to write the folder's files until it is committed.
    pub fn path(&self) -> &Path {
        self.part.path()
    }

    /// Puts the folder in its place.
    ///
    /// # Errors
    /// [`HubError::Exists`] when something came there meanwhile, or the system's refusal.
    pub fn commit(self) -> Result<(), HubError> {
        let Self {
            part,
            destination,
            force,
        } = self;
        refuse_occupied(&destination, force)?;
        sync_folder(part.path())?;
        let beside = parent(&destination);
        // An occupied folder cannot be renamed over: it steps aside first and goes last.
        let old = if destination.exists() {
            let aside = tempfile::Builder::new()
                .prefix(".old-")
                .tempdir_in(beside)
                .map_err(HubError::io("create", &destination))?;
            let moved = aside.path().join("was");
            fs::rename(&destination, &moved).map_err(HubError::io("replace", &destination))?;
            Some((aside, moved))
        } else {
            None
        };
        if let Err(error) = fs::rename(part.path(), &destination) {
            if let Some((_, moved)) = &old {
                fs::rename(moved, &destination).map_err(HubError::io("restore", &destination))?;
            }
            return Err(HubError::io("rename", &destination)(error));
        }
        // The folder is no longer at the temporary path; only the guard is left to disarm.
        drop(part.keep());
        sync_folder(beside)
    }
}

fn refuse_occupied(destination: &Path, force: bool) -> Result<(), HubError> {
    let occupied = match fs::read_dir(destination) {
        Ok(mut entries) => entries.next().is_some() && !force,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        // A file: never replaced by a folder.
        Err(_) => true,
    };
    if occupied {
        return Err(HubError::Exists {
            path: destination.to_path_buf(),
        });
    }
    Ok(())
}

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_file(path: impl AsRef<Path>) -> Result<String, HubError> {
    use std::io::Read;
    let path = path.as_ref();
    let mut file = File::open(path).map_err(HubError::io("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(HubError::io("read", path))? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A rename is durable once the folder is flushed; systems that cannot open folders do it anyway.
pub(crate) fn sync_folder(path: &Path) -> Result<(), HubError> {
    if cfg!(unix) {
        let folder = File::open(path).map_err(HubError::io("open", path))?;
        folder.sync_all().map_err(HubError::io("flush", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_abandoned_file_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_file(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write(b"new").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn a_committed_file_reports_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write(b"a").unwrap();
        file.write(b"bc").unwrap();
        // FIPS 180-2, appendix B.1: the digest of "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(file.commit().unwrap(), expected);
        assert_eq!(sha256_file(&path).unwrap(), expected);
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn a_folder_appears_only_when_committed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model");
        let folder = AtomicFolder::create(&path, false).unwrap();
        write_file(folder.path().join("x"), b"1").unwrap();
        assert!(!path.exists());
        drop(folder);
        assert!(names(dir.path()).is_empty());

        let folder = AtomicFolder::create(&path, false).unwrap();
        write_file(folder.path().join("x"), b"1").unwrap();
        folder.commit().unwrap();
        assert_eq!(names(&path), ["x"]);
        assert_eq!(names(dir.path()), ["model"]);
    }

    #[test]
    fn an_occupied_folder_is_replaced_only_by_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model");
        fs::create_dir(&path).unwrap();
        AtomicFolder::create(&path, false)
            .unwrap()
            .commit()
            .unwrap();
        fs::write(path.join("old"), b"1").unwrap();
        let refused = AtomicFolder::create(&path, false).unwrap_err();
        assert!(matches!(refused, HubError::Exists { .. }), "{refused}");
        let folder = AtomicFolder::create(&path, true).unwrap();
        write_file(folder.path().join("new"), b"2").unwrap();
        assert_eq!(names(&path), ["old"]);
        folder.commit().unwrap();
        assert_eq!(names(&path), ["new"]);
        assert_eq!(names(dir.path()), ["model"]);

        let file = dir.path().join("file");
        fs::write(&file, b"1").unwrap();
        assert!(AtomicFolder::create(&file, true).is_err());
    }
}
