//! The two files that `torch.save` writes: where their pickle is, and where the bytes of each storage are.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use zip::{
    CompressionMethod, ZipArchive,
    read::{ArchiveOffset, Config},
    result::ZipError,
};

use super::{
    pickle::{Node, Pickle, Storage},
    pickle_error,
};
use crate::{
    HubError,
    source::{copy_chunks, open_file},
};

/// The number that the first pickle of a file in the older format holds, little-endian.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The only version of that format.
const LEGACY_PROTOCOL: i64 = 1001;
/// The most that deflate can expand: an archive that promises more is lying.
const MAX_DEFLATE_RATIO: u64 = 1032;

/// A checkpoint's file.
#[derive(Debug)]
pub(super) struct Container {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Zip {
        archive: Box<ZipArchive<BufReader<File>>>,
        /// Common folder of the archive's entries, with its slash.
        prefix: String,
        /// Of the whole file, in bytes.
        length: u64,
    },
    Legacy {
        file: File,
        /// Bytes of each storage: start and length.
        storages: HashMap<String, (u64, u64)>,
    },
}

/// True for the start of a bare pickle, which is what the older format is.
pub(crate) fn is_legacy(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, ..] | [b'c' | b'(', ..])
}

impl Container {
    /// Opens the file and reads its pickle.
    pub(super) fn open(path: &Path) -> Result<(Self, Pickle), HubError> {
        let mut reader = BufReader::new(open_file(path)?);
        let start = reader.fill_buf().map_err(HubError::io("read", path))?;
        if start.starts_with(b"PK") {
            Self::open_zip(reader, path)
        } else if is_legacy(start) {
            Self::open_legacy(reader, path)
        } else {
            Err(HubError::unsupported(path, "expected a PyTorch checkpoint"))
        }
    }

    fn open_zip(reader: BufReader<File>, path: &Path) -> Result<(Self, Pickle), HubError> {
        let length = reader
            .get_ref()
            .metadata()
            .map_err(HubError::io("inspect", path))?
            .len();
        // torch.save's archives start at the first byte. Told to find that out, zip 9.4.1 takes the
        // second header of the directory for the first where the first is as long as the 64-bit
        // records after the directory: for every checkpoint with a name of 21 letters.
        let config = Config {
            archive_offset: ArchiveOffset::Known(0),
        };
        let mut archive =
            ZipArchive::with_config(config, reader).map_err(|error| zip_error(error, path))?;
        let mut prefixes = archive.file_names().filter_map(|name| {
            let name = name.ok()?;
            let prefix = name.strip_suffix("data.pkl")?;
            (prefix.is_empty() || prefix.ends_with('/') && prefix.matches('/').count() == 1)
                .then(|| prefix.to_owned())
        });
        let prefix = match (prefixes.next(), prefixes.next()) {
            (Some(prefix), None) => prefix,
            _ => {
                return Err(HubError::unsupported(
                    path,
                    "expected a PyTorch checkpoint: a zip archive with one data.pkl",
                ));
            }
        };
        drop(prefixes);
        if let Ok(entry) = archive.by_name(&format!("{prefix}byteorder")) {
            let mut order = String::new();
            entry
                .take(16)
                .read_to_string(&mut order)
                .map_err(HubError::io("read", path))?;
            if order.trim() != "little" {
                return Err(HubError::unsupported(
                    path,
                    format!("byte order `{}`", order.trim()),
                ));
            }
        }
        let entry = archive
            .by_name(&format!("{prefix}data.pkl"))
            .map_err(|error| zip_error(error, path))?;
        let pickle = Pickle::read(&mut BufReader::new(entry)).map_err(|e| pickle_error(e, path))?;
        let kind = Kind::Zip {
            archive: Box::new(archive),
            prefix,
            length,
        };
        Ok((Self { kind }, pickle))
    }

    /// Five pickles (a magic number, a version, facts about the writer, the object, the keys of its
    /// storages), then for each key a 64-bit number of elements and the elements.
    fn open_legacy(mut reader: BufReader<File>, path: &Path) -> Result<(Self, Pickle), HubError> {
        let mut next = || Pickle::read(&mut reader).map_err(|error| pickle_error(error, path));
        if !matches!(next()?.root(), Node::BigInt(bytes) if bytes[..] == LEGACY_MAGIC) {
            return Err(HubError::unsupported(
                path,
                "expected a PyTorch checkpoint, got another pickle",
            ));
        }
        if !matches!(next()?.root(), Node::Int(LEGACY_PROTOCOL)) {
            return Err(HubError::unsupported(path, "another checkpoint version"));
        }
        let writer = next()?;
        if let Node::Dict(facts) = writer.root() {
            let big = writer
                .entries(facts)
                .iter()
                .any(|(key, node)| *key == "little_endian" && matches!(node, Node::Bool(false)));
            if big {
                return Err(HubError::unsupported(path, "byte order `big`"));
            }
        }
        let object = next()?;
        let keys = next()?;
        let Node::List(keys_list) = keys.root() else {
            return Err(HubError::malformed(path, "no list of storages"));
        };

        // The element size of a storage is known only from the tensors that use it.
        let sizes = object.storage_sizes();
        let mut position = reader
            .stream_position()
            .map_err(HubError::io("seek in", path))?;
        let mut file = reader.into_inner();
        let length = file
            .metadata()
            .map_err(HubError::io("inspect", path))?
            .len();
        let mut storages = HashMap::new();
        for key in keys_list {
            let Node::Text(key) = keys.node(*key) else {
                return Err(HubError::malformed(path, "a storage without a key"));
            };
            let Some(size) = sizes.get(key.as_str()) else {
                return Err(HubError::malformed(
                    path,
                    format!("storage {key} is used by nothing"),
                ));
            };
            file.seek(SeekFrom::Start(position))
                .map_err(HubError::io("seek in", path))?;
            let mut count = [0; 8];
            copy_exact(&mut file, &mut count, position, length, path)?;
            let bytes = u64::from_le_bytes(count)
                .checked_mul(*size)
                .ok_or_else(|| HubError::malformed(path, "a storage overflows"))?;
            let start = position + 8;
            position = start
                .checked_add(bytes)
                .ok_or_else(|| HubError::malformed(path, "a storage overflows"))?;
            if position > length {
                return Err(HubError::Truncated {
                    path: path.to_path_buf(),
                    expected: position,
                    got: length,
                });
            }
            storages.insert(key.clone(), (start, bytes));
        }
        let kind = Kind::Legacy { file, storages };
        Ok((Self { kind }, object))
    }

    /// Checks that a storage is there in full.
    pub(super) fn require(&mut self, storage: &Storage, path: &Path) -> Result<(), HubError> {
        let key = &storage.key;
        let expected = storage
            .elements
            .checked_mul(storage.dtype.size() as u64)
            .ok_or_else(|| HubError::malformed(path, "a storage overflows"))?;
        let got = match &mut self.kind {
            Kind::Zip {
                archive,
                prefix,
                length,
            } => {
                let entry = archive
                    .by_name(&format!("{prefix}data/{key}"))
                    .map_err(|error| storage_error(error, key, path))?;
                let possible = match entry.compression() {
                    CompressionMethod::Stored => *length,
                    CompressionMethod::Deflated => length.saturating_mul(MAX_DEFLATE_RATIO),
                    other => {
                        return Err(HubError::unsupported(path, format!("compression {other}")));
                    }
                };
                if entry.size() > possible {
                    return Err(HubError::Truncated {
                        path: path.to_path_buf(),
                        expected: entry.size(),
                        got: *length,
                    });
                }
                entry.size()
            }
            Kind::Legacy { storages, .. } => match storages.get(key) {
                Some((_, bytes)) => *bytes,
                None => return Err(HubError::malformed(path, format!("no storage {key}"))),
            },
        };
        if got < expected {
            return Err(HubError::malformed(
                path,
                format!("storage {key}: expected {expected} bytes, got {got}"),
            ));
        }
        Ok(())
    }

    /// Hands `length` bytes of a storage from byte `start` on to `sink`.
    pub(super) fn read(
        &mut self,
        key: &str,
        start: u64,
        length: u64,
        path: &Path,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), HubError> {
        match &mut self.kind {
            Kind::Legacy { file, storages } => {
                let base = storages.get(key).map_or(0, |(base, _)| *base);
                file.seek(SeekFrom::Start(base + start))
                    .map_err(HubError::io("seek in", path))?;
                copy_chunks(file, length, path, sink)
            }
            Kind::Zip {
                archive, prefix, ..
            } => {
                let name = format!("{prefix}data/{key}");
                let index = archive
                    .index_for_name(&name)
                    .ok_or_else(|| storage_error(ZipError::FileNotFound, key, path))?;
                let stored = archive
                    .by_index(index)
                    .map_err(|error| storage_error(error, key, path))?
                    .compression()
                    == CompressionMethod::Stored;
                if stored && start > 0 {
                    // A view into a large storage: go there directly.
                    let mut entry = archive
                        .by_index_seek(index)
                        .map_err(|error| storage_error(error, key, path))?;
                    entry
                        .seek(SeekFrom::Start(start))
                        .map_err(HubError::io("seek in", path))?;
                    return copy_chunks(&mut entry, length, path, sink);
                }
                let mut entry = archive
                    .by_index(index)
                    .map_err(|error| storage_error(error, key, path))?;
                std::io::copy(&mut (&mut entry).take(start), &mut std::io::sink())
                    .map_err(HubError::io("read", path))?;
                copy_chunks(&mut entry, length, path, sink)
            }
        }
    }
}

impl Pickle {
    /// Bytes per element of every storage that the pickle mentions.
    fn storage_sizes(&self) -> HashMap<&str, u64> {
        self.nodes()
            .iter()
            .filter_map(|node| match node {
                Node::Storage(storage) => Some((storage.key.as_str(), storage.dtype.size() as u64)),
                _ => None,
            })
            .collect()
    }
}

fn copy_exact(
    file: &mut File,
    into: &mut [u8],
    position: u64,
    length: u64,
    path: &Path,
) -> Result<(), HubError> {
    file.read_exact(into).map_err(|_| HubError::Truncated {
        path: path.to_path_buf(),
        expected: position + into.len() as u64,
        got: length,
    })
}

fn zip_error(error: ZipError, path: &Path) -> HubError {
    match error {
        ZipError::Io(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            HubError::io("read", path)(source)
        }
        // An archive's index is at its end: that is what a truncated file lacks.
        other => HubError::malformed(path, format!("the file is truncated or damaged: {other}")),
    }
}

fn storage_error(error: ZipError, key: &str, path: &Path) -> HubError {
    match error {
        ZipError::FileNotFound => HubError::malformed(path, format!("no storage {key}")),
        other => zip_error(other, path),
    }
}
