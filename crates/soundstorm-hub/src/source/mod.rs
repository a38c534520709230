//! Named tensors in a file, read one at a time: what every format of weights has in common.

mod pytorch;
mod safetensors;

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

pub use pytorch::PytorchSource;
pub use safetensors::SafetensorsSource;

use crate::{DType, HubError};

/// What is known about a stored tensor without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Element type.
    pub dtype: DType,
    /// Shape, row-major; empty for a scalar.
    pub shape: Vec<usize>,
}

impl TensorInfo {
    /// Number of elements; a scalar has one.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A file of named tensors.
///
/// Opening reads names, types and shapes only. Reading takes one tensor at a time, in chunks, so
/// that a conversion needs memory for one tensor and not for the file.
pub trait TensorSource: Send {
    /// The file, for messages.
    fn path(&self) -> &Path;

    /// All tensors, by name.
    fn tensors(&self) -> &BTreeMap<String, TensorInfo>;

    /// Text stored beside the tensors, where the format has any.
    fn metadata(&self) -> &BTreeMap<String, String>;

    /// Entries of the file that are not tensors of the model: an optimiser's state, a scheduler, counters.
    fn ignored(&self) -> &[String] {
        &[]
    }

    /// Hands the tensor's elements to `sink`: row-major, contiguous, little-endian, in chunks of
    /// whole elements.
    ///
    /// # Errors
    /// The tensor does not exist, or the file cannot be read to its end.
    fn read_chunks(&self, name: &str, sink: &mut dyn FnMut(&[u8])) -> Result<(), HubError>;

    /// The tensor's description.
    ///
    /// # Errors
    /// [`HubError::Tensors`] naming the missing tensor.
    fn info(&self, name: &str) -> Result<&TensorInfo, HubError> {
        self.tensors().get(name).ok_or_else(|| HubError::Tensors {
            path: self.path().to_path_buf(),
            report: Box::new(crate::TensorReport {
                missing: vec![name.to_owned()],
                ..Default::default()
            }),
        })
    }

    /// The tensor's bytes as stored, made contiguous.
    ///
    /// # Errors
    /// See [`Self::read_chunks`].
    fn read_bytes(&self, name: &str) -> Result<Vec<u8>, HubError> {
        let info = self.info(name)?;
        let mut out = Vec::with_capacity(info.elements() * info.dtype.size());
        self.read_chunks(name, &mut |chunk| out.extend_from_slice(chunk))?;
        Ok(out)
    }

    /// The tensor's values in single precision, whatever floating type is stored.
    ///
    /// # Errors
    /// See [`Self::read_chunks`]; integers and booleans are an error.
    fn read_f32(&self, name: &str) -> Result<Vec<f32>, HubError> {
        let info = self.info(name)?;
        let dtype = info.dtype;
        let mut out = Vec::with_capacity(info.elements());
        let mut fits = Some(());
        self.read_chunks(name, &mut |chunk| {
            fits = fits.and(dtype.extend_f32(chunk, &mut out))
        })?;
        fits.map(|()| out)
            .ok_or_else(|| mistyped(self.path(), name, "floating-point values", dtype))
    }

    /// The tensor's values as integers, whatever integer type is stored.
    ///
    /// # Errors
    /// See [`Self::read_chunks`]; floating-point values are an error.
    fn read_i64(&self, name: &str) -> Result<Vec<i64>, HubError> {
        let info = self.info(name)?;
        let dtype = info.dtype;
        let mut out = Vec::with_capacity(info.elements());
        let mut fits = Some(());
        self.read_chunks(name, &mut |chunk| {
            fits = fits.and(dtype.extend_i64(chunk, &mut out))
        })?;
        fits.map(|()| out)
            .ok_or_else(|| mistyped(self.path(), name, "integers", dtype))
    }
}

fn mistyped(path: &Path, name: &str, expected: &str, got: DType) -> HubError {
    HubError::Tensors {
        path: path.to_path_buf(),
        report: Box::new(crate::TensorReport {
            mistyped: vec![(name.to_owned(), format!("expected {expected}, got {got}"))],
            ..Default::default()
        }),
    }
}

/// Opens weights in any format that is read here, told apart by their first bytes: a PyTorch
/// checkpoint (a zip archive, or the older bare pickle) or safetensors.
///
/// # Errors
/// The file is missing, truncated, malformed, refused or of no known format.
pub fn open_source(path: impl AsRef<Path>) -> Result<Box<dyn TensorSource>, HubError> {
    let path = path.as_ref();
    let mut start = [0_u8; 9];
    let mut file = open_file(path)?;
    let mut filled = 0;
    while filled < start.len() {
        match file.read(&mut start[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(source) => return Err(HubError::io("read", path)(source)),
        }
    }
    let start = &start[..filled];
    // A header's length may look like the start of a pickle; its brace comes too early for one.
    if start.get(8) == Some(&b'{') {
        Ok(Box::new(SafetensorsSource::open(path)?))
    } else if start.starts_with(b"PK") || pytorch::is_legacy(start) {
        Ok(Box::new(PytorchSource::open(path)?))
    } else if filled < 9 {
        Err(HubError::Truncated {
            path: path.to_path_buf(),
            expected: 9,
            got: filled as u64,
        })
    } else {
        Err(HubError::unsupported(
            path,
            "expected safetensors or a PyTorch checkpoint",
        ))
    }
}

/// Opens a file for reading; a folder is an error here and not at the first read.
fn open_file(path: &Path) -> Result<File, HubError> {
    let file = File::open(path).map_err(HubError::io("open", path))?;
    let metadata = file.metadata().map_err(HubError::io("inspect", path))?;
    if metadata.is_dir() {
        return Err(HubError::unsupported(path, "expected a file, got a folder"));
    }
    Ok(file)
}

/// Chunks handed to a sink; a multiple of every element size.
const CHUNK: usize = 256 * 1024;

/// Passes exactly `length` bytes of `reader` on to `sink`, in chunks of whole elements.
fn copy_chunks(
    reader: &mut dyn Read,
    length: u64,
    path: &Path,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), HubError> {
    let mut buffer = vec![0; CHUNK.min(usize::try_from(length).unwrap_or(CHUNK))];
    let mut left = length;
    while left > 0 {
        let take = buffer.len().min(usize::try_from(left).unwrap_or(CHUNK));
        reader
            .read_exact(&mut buffer[..take])
            .map_err(|source| match source.kind() {
                std::io::ErrorKind::UnexpectedEof => HubError::Truncated {
                    path: PathBuf::from(path),
                    expected: length,
                    got: length - left,
                },
                _ => HubError::io("read", path)(source),
            })?;
        sink(&buffer[..take]);
        left -= take as u64;
    }
    Ok(())
}
