//! A data set in memory: all of its codes, checked against their hashes, 16 bits a code.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use soundstorm_hub::{SafetensorsSource, TensorSource, sha256_file};

use super::{
    CodecFacts, DatasetInfo, Entry, ShardIndex, Skipped,
    shard::{FORMAT, codes_name, codes_path, index_path, info_path, read_json, semantic_name},
};
use crate::{Result, TrainError};

/// One file's codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// What is known about it.
    pub entry: Entry,
    /// `[levels][frames]`, one level after another.
    codes: Vec<u16>,
    semantic: Option<Vec<i32>>,
}

impl Utterance {
    /// Codes of one level between two frames.
    pub fn codes(&self, level: usize, start: usize, frames: usize) -> impl Iterator<Item = i64> {
        let from = level * self.entry.frames + start;
        self.codes[from..from + frames]
            .iter()
            .map(|&code| code.into())
    }

    /// Its semantic tokens, at their own rate.
    pub fn semantic(&self) -> Option<&[i32]> {
        self.semantic.as_deref()
    }
}

/// The codes of a folder that [`prepare`](super::prepare) made.
#[derive(Clone, Debug)]
pub struct Dataset {
    path: PathBuf,
    info: DatasetInfo,
    utterances: Vec<Utterance>,
    skipped: Vec<Skipped>,
    sha256: String,
}

impl Dataset {
    /// Reads a data set: two bytes of memory for each code.
    ///
    /// # Errors
    /// A shard is missing, damaged, or not what its index says; or there are no codes.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let info: DatasetInfo =
            read_json(&info_path(path))?.ok_or_else(|| TrainError::Dataset {
                path: path.to_path_buf(),
                message: "there is no dataset.json in it; `soundstorm prepare` makes one".into(),
            })?;
        if info.format != FORMAT {
            return Err(TrainError::Dataset {
                path: path.to_path_buf(),
                message: format!("expected format {FORMAT}, got {}", info.format),
            });
        }
        let mut dataset = Self {
            path: path.to_path_buf(),
            info,
            utterances: Vec::new(),
            skipped: Vec::new(),
            sha256: String::new(),
        };
        let missing: Vec<usize> = (0..dataset.info.shards)
            .filter(|&shard| !index_path(path, shard).exists())
            .collect();
        if let Some(first) = missing.first() {
            return Err(dataset.error(format!(
                "{} of {} shards are not finished, the first is {first}",
                missing.len(),
                dataset.info.shards
            )));
        }
        let mut hash = Sha256::new();
        for shard in 0..dataset.info.shards {
            hash.update(dataset.read_shard(shard)?.as_bytes());
        }
        dataset.sha256 = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        if dataset.utterances.is_empty() {
            return Err(TrainError::EmptySet {
                path: path.to_path_buf(),
                message: "there are no codes in it".into(),
            });
        }
        Ok(dataset)
    }

    fn error(&self, message: String) -> TrainError {
        TrainError::Dataset {
            path: self.path.clone(),
            message,
        }
    }

    /// Reads a shard, and returns its SHA-256.
    fn read_shard(&mut self, shard: usize) -> Result<String> {
        let (index_path, path) = (index_path(&self.path, shard), codes_path(&self.path, shard));
        let index: ShardIndex = read_json(&index_path)?
            .ok_or_else(|| self.error(format!("shard {shard} is not finished")))?;
        if sha256_file(&path)? != index.sha256 {
            return Err(TrainError::malformed(
                path,
                "its SHA-256 is not the one in its index; prepare it again",
            ));
        }
        let source = SafetensorsSource::open(&path)?;
        let (levels, codes) = (self.info.codec.levels, self.info.codec.codebook_size);
        for (number, entry) in index.entries.into_iter().enumerate() {
            let name = codes_name(number);
            let (shape, expected) = (&source.info(&name)?.shape, [levels, entry.frames]);
            if shape.as_slice() != expected {
                let message = format!("{name}: expected {expected:?}, got {shape:?}");
                return Err(TrainError::malformed(path, message));
            }
            let narrow = |code: i64| u16::try_from(code).ok().filter(|&c| usize::from(c) < codes);
            let values = source.read_i64(&name)?;
            let values = values.into_iter().map(narrow).collect::<Option<Vec<_>>>();
            let values = values.ok_or_else(|| {
                TrainError::malformed(&path, format!("{name}: a code is not below {codes}"))
            })?;
            let semantic = match self.info.semantic {
                false => None,
                true => {
                    let tokens = source.read_i64(&semantic_name(number))?;
                    // Stored in 32 bits.
                    Some(tokens.into_iter().map(|token| token as i32).collect())
                }
            };
            self.utterances.push(Utterance {
                entry,
                codes: values,
                semantic,
            });
        }
        self.skipped.extend(index.skipped);
        Ok(index.sha256)
    }

    /// What all shards have in common.
    pub fn info(&self) -> &DatasetInfo {
        &self.info
    }

    /// The codec of the codes.
    pub fn codec(&self) -> &CodecFacts {
        &self.info.codec
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the hashes of all shards, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Every file's codes, in the order of the list that they were made from.
    pub fn utterances(&self) -> &[Utterance] {
        &self.utterances
    }

    /// Files that could not be used.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Frames of all files.
    pub fn frames(&self) -> usize {
        self.utterances.iter().map(|u| u.entry.frames).sum()
    }
}

#[cfg(test)]
impl Dataset {
    /// A data set of one file, `[levels][frames]`, with its semantic tokens.
    pub(crate) fn of(codes: &[Vec<u16>], semantic: Option<Vec<i32>>) -> Self {
        let frames = codes[0].len();
        Self {
            path: PathBuf::new(),
            info: DatasetInfo {
                format: FORMAT,
                codec: CodecFacts {
                    name: "none".into(),
                    sample_rate: 24_000,
                    hop: 320,
                    levels: codes.len(),
                    codebook_size: usize::from(u16::MAX),
                    weights_sha256: String::new(),
                },
                semantic: semantic.is_some(),
                shards: 1,
                inputs_sha256: String::new(),
            },
            utterances: vec![Utterance {
                entry: Entry {
                    file: "a.wav".into(),
                    frames,
                    text: None,
                    speaker: None,
                    fields: Default::default(),
                },
                codes: codes.concat(),
                semantic,
            }],
            skipped: Vec::new(),
            sha256: String::new(),
        }
    }
}
