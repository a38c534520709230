//! Reading safetensors: the header once, each tensor by seeking to it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ::safetensors::{Dtype, tensor::Metadata};

use super::{TensorInfo, TensorSource, copy_chunks, open_file};
use crate::{DType, HubError};

/// The largest header that is read, in bytes; the format's own limit.
const MAX_HEADER: u64 = 100_000_000;
/// A header is preceded by its length, a 64-bit integer.
const PREFIX: u64 = 8;

/// A safetensors file.
#[derive(Debug)]
pub struct SafetensorsSource {
    path: PathBuf,
    file: Mutex<File>,
    tensors: BTreeMap<String, TensorInfo>,
    /// Where each tensor starts, in bytes from the start of the file.
    starts: BTreeMap<String, u64>,
    metadata: BTreeMap<String, String>,
}

impl SafetensorsSource {
    /// Reads the header and checks that the file holds every tensor that it announces.
    ///
    /// # Errors
    /// The file is missing, truncated, malformed, or has an element type that is not read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, HubError> {
        let path = path.as_ref();
        let mut file = open_file(path)?;
        let length = file
            .metadata()
            .map_err(HubError::io("inspect", path))?
            .len();
        let truncated = |expected| HubError::Truncated {
            path: path.to_path_buf(),
            expected,
            got: length,
        };
        if length < PREFIX {
            return Err(truncated(PREFIX));
        }
        let mut prefix = [0; PREFIX as usize];
        file.read_exact(&mut prefix)
            .map_err(HubError::io("read", path))?;
        let header_length = u64::from_le_bytes(prefix);
        if header_length > MAX_HEADER {
            return Err(HubError::OverLimit {
                path: path.to_path_buf(),
                what: "the length of the header".into(),
                limit: MAX_HEADER,
                got: header_length,
            });
        }
        let data_start = PREFIX + header_length;
        if length < data_start {
            return Err(truncated(data_start));
        }
        let mut header = vec![0; header_length as usize];
        file.read_exact(&mut header)
            .map_err(HubError::io("read", path))?;
        // Deserializing also checks that the offsets are contiguous and fit shapes and types.
        let header: Metadata = serde_json::from_slice(&header)
            .map_err(|error| HubError::malformed(path, format!("header: {error}")))?;
        let expected = data_start
            .checked_add(header.data_len() as u64)
            .ok_or_else(|| HubError::malformed(path, "offsets overflow"))?;
        if length < expected {
            return Err(truncated(expected));
        }
        if length > expected {
            return Err(HubError::malformed(
                path,
                format!("expected {expected} bytes, got {length}"),
            ));
        }

        let mut tensors = BTreeMap::new();
        let mut starts = BTreeMap::new();
        for (name, info) in header.tensors() {
            let dtype = dtype(info.dtype).ok_or_else(|| {
                HubError::unsupported(path, format!("tensor {name} of type {}", info.dtype))
            })?;
            starts.insert(name.clone(), data_start + info.data_offsets.0 as u64);
            let shape = info.shape.clone();
            tensors.insert(name, TensorInfo { dtype, shape });
        }
        let metadata = header.metadata().iter().flatten();
        Ok(Self {
            path: path.to_path_buf(),
            file: Mutex::new(file),
            tensors,
            starts,
            metadata: metadata.map(|(k, v)| (k.clone(), v.clone())).collect(),
        })
    }
}

impl TensorSource for SafetensorsSource {
    fn path(&self) -> &Path {
        &self.path
    }

    fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn read_chunks(&self, name: &str, sink: &mut dyn FnMut(&[u8])) -> Result<(), HubError> {
        let info = self.info(name)?;
        let length = (info.elements() * info.dtype.size()) as u64;
        let start = self.starts.get(name).copied().unwrap_or_default();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))
            .map_err(HubError::io("seek in", &self.path))?;
        copy_chunks(&mut *file, length, &self.path, sink)
    }
}

fn dtype(stored: Dtype) -> Option<DType> {
    Some(match stored {
        Dtype::BOOL => DType::Bool,
        Dtype::U8 => DType::U8,
        Dtype::I8 => DType::I8,
        Dtype::I16 => DType::I16,
        Dtype::I32 => DType::I32,
        Dtype::I64 => DType::I64,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        _ => return None,
    })
}
