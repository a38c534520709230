//! Model folders: `config.json` beside `model.safetensors`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{HubError, atomic::write_file};

/// The configuration's name in a folder.
pub const CONFIG_FILE: &str = "config.json";
/// The weights' name in a folder.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The largest configuration that is read, in bytes.
const MAX_CONFIG: u64 = 1 << 20;

/// The path of a folder's configuration.
pub fn config_path(folder: impl AsRef<Path>) -> PathBuf {
    folder.as_ref().join(CONFIG_FILE)
}

/// The path of a folder's weights.
pub fn weights_path(folder: impl AsRef<Path>) -> PathBuf {
    folder.as_ref().join(WEIGHTS_FILE)
}

/// Reads a JSON file as a `T`, `expected` being what to call it in messages. Whether unknown keys
/// are refused is `T`'s own choice; every type of ours refuses them.
///
/// # Errors
/// The file is missing, over a mebibyte, or not a valid `T`.
pub fn read_json<T: DeserializeOwned>(
    path: impl AsRef<Path>,
    expected: &'static str,
) -> Result<T, HubError> {
    let path = path.as_ref();
    let length = fs::metadata(path)
        .map_err(HubError::io("open", path))?
        .len();
    if length > MAX_CONFIG {
        return Err(HubError::OverLimit {
            path: path.to_path_buf(),
            what: "the length of the configuration".into(),
            limit: MAX_CONFIG,
            got: length,
        });
    }
    let text = fs::read(path).map_err(HubError::io("read", path))?;
    serde_json::from_slice(&text).map_err(|error| HubError::Config {
        path: path.to_path_buf(),
        expected,
        message: error.to_string(),
    })
}

/// Writes a value as readable JSON, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write_json<T: Serialize>(path: impl AsRef<Path>, value: &T) -> Result<(), HubError> {
    let path = path.as_ref();
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| HubError::Config {
        path: path.to_path_buf(),
        expected: "configuration",
        message: error.to_string(),
    })?;
    text.push(b'\n');
    write_file(path, &text)
}
