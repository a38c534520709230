//! Writing safetensors tensor by tensor: memory for one of them, and a file that appears whole or not at all.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value, json};

use crate::{AtomicFile, HubError, TensorInfo};

/// A tensor to be written: its name, type and shape.
pub type Planned = (String, TensorInfo);

/// Writes a safetensors file. `data` is asked for the bytes of one planned tensor after the other:
/// row-major, little-endian, of exactly the planned size. Returns the file's SHA-256 in hexadecimal.
///
/// The same tensors and metadata give the same bytes.
///
/// # Errors
/// Two tensors of one name, data of another size than planned, any error of `data`, or the file
/// cannot be written. The destination is untouched then.
pub fn write_safetensors(
    path: impl AsRef<Path>,
    metadata: &BTreeMap<String, String>,
    tensors: &[Planned],
    mut data: impl FnMut(&str) -> Result<Vec<u8>, HubError>,
) -> Result<String, HubError> {
    // Wide elements first, so that every tensor starts at a multiple of its element.
    let mut ordered: Vec<&Planned> = tensors.iter().collect();
    ordered.sort_by(|(a, x), (b, y)| y.dtype.size().cmp(&x.dtype.size()).then(a.cmp(b)));

    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), json!(metadata));
    }
    let mut end = 0;
    for (name, info) in &ordered {
        let start = end;
        end += info.elements() * info.dtype.size();
        let entry = json!({
            "dtype": info.dtype.name(), "shape": info.shape, "data_offsets": [start, end],
        });
        if header.insert(name.clone(), entry).is_some() {
            return Err(HubError::Invalid {
                operation: "write safetensors",
                expected: "distinct names".into(),
                got: format!("{name} twice"),
            });
        }
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut file = AtomicFile::create(path)?;
    file.write(&(header.len() as u64).to_le_bytes())?;
    file.write(&header)?;
    for (name, info) in ordered {
        let bytes = data(name)?;
        let expected = info.elements() * info.dtype.size();
        if bytes.len() != expected {
            return Err(HubError::Invalid {
                operation: "write safetensors",
                expected: format!("{expected} bytes for {name}"),
                got: bytes.len().to_string(),
            });
        }
        file.write(&bytes)?;
    }
    file.commit()
}
