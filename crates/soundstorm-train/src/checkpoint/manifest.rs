//! A checkpoint's list of files with their sizes and hashes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use soundstorm_hub::{read_json, sha256_file, write_json};

use crate::{Result, TrainError};

const MANIFEST: &str = "manifest.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    bytes: u64,
    sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    step: u64,
    files: BTreeMap<String, File>,
}

/// Writes the manifest of what is in a folder.
pub(super) fn write(folder: &Path, step: u64) -> Result<()> {
    let mut files = BTreeMap::new();
    for path in list(folder)? {
        let metadata = fs::metadata(&path).map_err(TrainError::io("inspect", &path))?;
        let file = File {
            bytes: metadata.len(),
            sha256: sha256_file(&path)?,
        };
        files.insert(name(folder, &path), file);
    }
    Ok(write_json(
        folder.join(MANIFEST),
        &Manifest { step, files },
    )?)
}

/// What is wrong with a folder, if its manifest does not fit it.
pub(super) fn verify(folder: &Path, step: u64) -> Result<(), String> {
    let manifest: Manifest = read_json(folder.join(MANIFEST), "manifest of a checkpoint")
        .map_err(|error| error.to_string())?;
    if manifest.step != step {
        return Err(format!("its manifest is of step {}", manifest.step));
    }
    for (name, file) in &manifest.files {
        let path = folder.join(name);
        let bytes = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) => return Err(format!("{name}: {error}")),
        };
        if bytes != file.bytes {
            return Err(format!(
                "{name}: expected {} bytes, got {bytes}",
                file.bytes
            ));
        }
        if sha256_file(&path).map_err(|error| error.to_string())? != file.sha256 {
            return Err(format!(
                "{name}: its SHA-256 is not the one in the manifest"
            ));
        }
    }
    Ok(())
}

/// A file's name in the manifest: below the folder, with `/`.
fn name(folder: &Path, path: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path).components();
    let parts: Vec<_> = below.map(|p| p.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

/// All files below a folder.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(TrainError::io("list", folder))? {
        let path = entry.map_err(TrainError::io("list", folder))?.path();
        match path.is_dir() {
            true => files.extend(list(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}
