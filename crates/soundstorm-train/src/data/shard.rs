//! The files of a data set: `dataset.json`, and for each shard its codes and, written last, its
//! index.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use soundstorm_codec::CodecSpec;

use crate::{Result, TrainError};

/// The description's name in a data set.
const INFO_FILE: &str = "dataset.json";
/// The form of a data set that is written and read here.
pub(super) const FORMAT: u32 = 1;

/// The codec that codes belong to, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodecFacts {
    /// Its name.
    pub name: String,
    /// Samples per second.
    pub sample_rate: u32,
    /// Samples per frame.
    pub hop: usize,
    /// Levels of the codes.
    pub levels: usize,
    /// Codes of one level.
    pub codebook_size: usize,
    /// SHA-256 of its weights, in hexadecimal.
    pub weights_sha256: String,
}

impl CodecFacts {
    /// A codec of which `levels` levels are used.
    pub fn new(spec: &CodecSpec, levels: usize, weights_sha256: String) -> Self {
        Self {
            name: spec.name.clone(),
            sample_rate: spec.sample_rate,
            hop: spec.hop,
            levels,
            codebook_size: spec.codebook_size,
            weights_sha256,
        }
    }

    /// Seconds that so many frames last.
    pub fn seconds(&self, frames: usize) -> f64 {
        frames as f64 * self.hop as f64 / f64::from(self.sample_rate)
    }
}

/// What all shards of a data set have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetInfo {
    /// The form of the data set.
    pub format: u32,
    /// The codec that made the codes.
    pub codec: CodecFacts,
    /// Whether there are semantic tokens beside the codes.
    pub semantic: bool,
    /// Shards in all, whoever makes them.
    pub shards: usize,
    /// SHA-256 of the names of all files, in hexadecimal.
    pub inputs_sha256: String,
}

/// One file's codes in a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The file.
    pub file: String,
    /// Its frames.
    pub frames: usize,
    /// What is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Who speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// Other fields of the manifest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

impl Entry {
    /// A field of the manifest by its name.
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "file" => Some(&self.file),
            "text" => self.text.as_deref(),
            "speaker" => self.speaker.as_deref(),
            _ => self.fields.get(name).map(String::as_str),
        }
    }
}

/// A file that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
}

/// What a shard holds. A shard is finished when its index is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardIndex {
    /// Its number, from 0.
    pub shard: usize,
    /// SHA-256 of the file of codes, in hexadecimal.
    pub sha256: String,
    /// The files whose codes it holds, in the order of their tensors.
    pub entries: Vec<Entry>,
    /// The files that it would hold besides.
    pub skipped: Vec<Skipped>,
}

pub(super) fn info_path(dataset: &Path) -> PathBuf {
    dataset.join(INFO_FILE)
}

pub(super) fn index_path(dataset: &Path, shard: usize) -> PathBuf {
    dataset.join(format!("shard-{shard:05}.json"))
}

pub(super) fn codes_path(dataset: &Path, shard: usize) -> PathBuf {
    dataset.join(format!("shard-{shard:05}.safetensors"))
}

/// A file's tensor of codes in its shard.
pub(super) fn codes_name(entry: usize) -> String {
    format!("codes.{entry:05}")
}

/// A file's tensor of semantic tokens in its shard.
pub(super) fn semantic_name(entry: usize) -> String {
    format!("semantic.{entry:05}")
}

/// Reads JSON, or tells that there is none.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TrainError::io("read", path)(error)),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| TrainError::malformed(path, error))
}
