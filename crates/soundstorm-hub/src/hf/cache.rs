//! The cache as Python's `huggingface_hub` lays it out, so that each finds what the other fetched:
//! `models--owner--name/{blobs,refs,snapshots}`, where a snapshot's files are links to blobs.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::{INDEX_FILE, Meta, RemoteError, part::Part};
use crate::{
    CONFIG_FILE, HubError, HubName, WEIGHTS_FILE,
    location::{is_commit, is_hex},
    sha256_file, write_file,
};

/// What a complete snapshot holds, in the order in which the files come.
const FILES: [&str; 2] = [CONFIG_FILE, WEIGHTS_FILE];

/// The folder of all repositories.
#[derive(Debug)]
pub(super) struct Cache {
    root: PathBuf,
}

/// A repository's files at one commit.
#[derive(Debug)]
pub(super) struct Snapshot {
    folder: PathBuf,
    commit: String,
}

/// The content of one file, wherever it is used.
#[derive(Debug)]
pub(super) struct Blob {
    path: PathBuf,
    lock: PathBuf,
}

impl Cache {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn snapshot(&self, name: &HubName, commit: &str) -> Snapshot {
        Snapshot {
            folder: self.repository(name).join("snapshots").join(commit),
            commit: commit.to_owned(),
        }
    }

    /// The snapshot that a name meant when it was last fetched, if it is complete.
    pub(super) fn find(&self, name: &HubName) -> Result<Snapshot, RemoteError> {
        let lacks = |lacks: String| RemoteError::Offline {
            name: name.clone(),
            cache: self.root.clone(),
            lacks,
        };
        let commit = name.commit().map(str::to_owned);
        let snapshot = commit
            .or_else(|| self.referred(name))
            .map(|commit| self.snapshot(name, &commit))
            .filter(|snapshot| snapshot.folder.is_dir())
            .ok_or_else(|| lacks("no such repository or revision".to_owned()))?;
        match snapshot.missing() {
            None => Ok(snapshot),
            Some(_) if snapshot.path(INDEX_FILE).exists() => {
                Err(RemoteError::Sharded { name: name.clone() })
            }
            Some(file) => Err(lacks(format!("no {file} at commit {}", snapshot.commit))),
        }
    }

    pub(super) fn blob(&self, name: &HubName, etag: &str) -> Blob {
        let lock = self.root.join(".locks").join(folder_name(name));
        Blob {
            path: self.repository(name).join("blobs").join(etag),
            lock: lock.join(format!("{etag}.lock")),
        }
    }

    /// Notes which commit a branch or tag means.
    pub(super) fn refer(&self, name: &HubName, commit: &str) -> Result<(), HubError> {
        if name.commit().is_some() || self.referred(name).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.reference(name);
        create_parent(&path)?;
        write_file(path, commit.as_bytes())
    }

    /// The commit that was noted.
    fn referred(&self, name: &HubName) -> Option<String> {
        let commit = fs::read_to_string(self.reference(name)).ok()?;
        let commit = commit.trim();
        is_commit(commit).then(|| commit.to_owned())
    }

    fn reference(&self, name: &HubName) -> PathBuf {
        self.repository(name).join("refs").join(name.revision())
    }

    fn repository(&self, name: &HubName) -> PathBuf {
        self.root.join(folder_name(name))
    }
}

fn folder_name(name: &HubName) -> String {
    format!("models--{}", name.repository().replace('/', "--"))
}

fn create_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(HubError::io("create", parent))
}

impl Snapshot {
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn commit(&self) -> &str {
        &self.commit
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// The first file that is not here; `None` if all are.
    pub(super) fn missing(&self) -> Option<&'static str> {
        FILES.into_iter().find(|file| !self.path(file).is_file())
    }

    /// Lets a file of this snapshot be a blob's content.
    pub(super) fn link(&self, file: &str, blob: &Blob) -> Result<(), HubError> {
        let path = self.path(file);
        if path.is_file() {
            return Ok(());
        }
        create_parent(&path)?;
        // A link whose blob was deleted stands in the way.
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(HubError::io("replace", path)(error));
        }
        match link(&blob.path, &path) {
            Err(error) if !path.is_file() => Err(HubError::io("link", path)(error)),
            // Another process was faster.
            _ => Ok(()),
        }
    }

    /// The hash by which the cache calls the weights, or else that of the file.
    pub(super) fn weights_sha256(&self) -> Result<String, HubError> {
        let path = self.path(WEIGHTS_FILE);
        let real = fs::canonicalize(&path).map_err(HubError::io("open", &path))?;
        match real.file_name().and_then(|name| name.to_str()) {
            Some(name) if is_sha256(name) => Ok(name.to_owned()),
            _ => sha256_file(path),
        }
    }
}

pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

/// A link by which the cache can be moved as a whole.
#[cfg(unix)]
fn link(blob: &Path, path: &Path) -> io::Result<()> {
    let name = blob.file_name().unwrap_or_default();
    std::os::unix::fs::symlink(Path::new("../../blobs").join(name), path)
}

/// Where symbolic links need rights that users lack, a second name does.
#[cfg(not(unix))]
fn link(blob: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(blob, path)
}

impl Blob {
    /// Makes sure that the blob is here: `download` fills a file that takes its place when it
    /// succeeds, and tells its SHA-256; that is `None` if there was nothing to do. One process
    /// at a time does so.
    pub(super) fn fill(
        &self,
        file: &'static str,
        meta: &Meta,
        download: impl FnOnce(&mut Part) -> Result<String, HubError>,
    ) -> Result<Option<String>, HubError> {
        if self.path.is_file() {
            return Ok(None);
        }
        create_parent(&self.path)?;
        let _lock = self.lock()?;
        if self.path.is_file() {
            return Ok(None);
        }
        let mut name = self.path.clone().into_os_string();
        name.push(".soundstorm-part");
        let mut part = Part::open(name.into(), file, meta.size)?;
        let sha256 = download(&mut part)?;
        part.commit(&self.path)?;
        Ok(Some(sha256))
    }

    /// A lock that goes with the file's handle; its file stays, as others may be waiting at it.
    fn lock(&self) -> Result<File, HubError> {
        create_parent(&self.lock)?;
        let failed = HubError::io("lock", &self.lock);
        let file = match File::create(&self.lock) {
            Ok(file) => file,
            Err(error) => return Err(failed(error)),
        };
        let locked = match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                tracing::info!("waiting for another process that fetches the same file");
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        locked.map(|()| file).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn meta(etag: &str) -> Meta {
        Meta {
            commit: COMMIT.to_owned(),
            etag: etag.to_owned(),
            size: Some(3),
        }
    }

    #[test]
    fn blobs_appear_when_complete_and_links_lead_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().to_path_buf());
        let name: HubName = "hf:o/n".parse().unwrap();
        let snapshot = cache.snapshot(&name, COMMIT);
        let blob = cache.blob(&name, "abc");
        let failed = blob.fill(CONFIG_FILE, &meta("abc"), |part| {
            part.write(b"on")?;
            Err(RemoteError::missing(&name, CONFIG_FILE).into())
        });
        assert!(failed.is_err());
        let blobs = dir.path().join("models--o--n/blobs");
        assert_eq!(fs::read_dir(&blobs).unwrap().count(), 0);

        let fill = |bytes: &'static [u8]| {
            blob.fill(CONFIG_FILE, &meta("abc"), move |part| {
                part.write(bytes)?;
                Ok(part.sha256())
            })
            .unwrap()
        };
        assert!(fill(b"one").is_some());
        assert!(fill(b"two").is_none());
        assert_eq!(fs::read(blobs.join("abc")).unwrap(), b"one");
        assert_eq!(fs::read_dir(&blobs).unwrap().count(), 1);

        assert_eq!(snapshot.missing(), Some(CONFIG_FILE));
        snapshot.link(CONFIG_FILE, &blob).unwrap();
        snapshot.link(CONFIG_FILE, &blob).unwrap();
        assert_eq!(snapshot.missing(), Some(WEIGHTS_FILE));
        assert_eq!(fs::read(snapshot.path(CONFIG_FILE)).unwrap(), b"one");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_deleted_blob_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().to_path_buf());
        let name: HubName = "hf:o/n".parse().unwrap();
        let snapshot = cache.snapshot(&name, COMMIT);
        fs::create_dir_all(snapshot.folder()).unwrap();
        let path = snapshot.path(CONFIG_FILE);
        std::os::unix::fs::symlink("../../blobs/gone", &path).unwrap();
        assert_eq!(snapshot.missing(), Some(CONFIG_FILE));
        let blob = cache.blob(&name, "abc");
        create_parent(&blob.path).unwrap();
        fs::write(&blob.path, b"one").unwrap();
        snapshot.link(CONFIG_FILE, &blob).unwrap();
        assert_eq!(fs::read_link(path).unwrap(), Path::new("../../blobs/abc"));
    }

    #[test]
    fn one_process_at_a_time_fills_a_blob() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().to_path_buf());
        let name: HubName = "hf:o/n".parse().unwrap();
        let fills = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    let blob = cache.blob(&name, "abc");
                    blob.fill(CONFIG_FILE, &meta("abc"), |part| {
                        fills.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(30));
                        part.write(b"one")?;
                        Ok(part.sha256())
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(fills.into_inner(), 1);
    }

    #[test]
    fn references_name_commits() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().to_path_buf());
        let name: HubName = "hf:o/n@refs/pr/1".parse().unwrap();
        assert!(cache.find(&name).is_err());
        cache.refer(&name, COMMIT).unwrap();
        let path = dir.path().join("models--o--n/refs/refs/pr/1");
        assert_eq!(fs::read_to_string(&path).unwrap(), COMMIT);
        assert_eq!(cache.referred(&name).unwrap(), COMMIT);
        // What is no commit is never taken for a folder's name.
        fs::write(&path, "../../..").unwrap();
        assert_eq!(cache.referred(&name), None);

        let pinned: HubName = format!("hf:o/n@{COMMIT}").parse().unwrap();
        cache.refer(&pinned, COMMIT).unwrap();
        assert!(!dir.path().join("models--o--n/refs").join(COMMIT).exists());
    }
}
