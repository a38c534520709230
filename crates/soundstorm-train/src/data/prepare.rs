//! Audio to a data set: files in a fixed order, so many a shard, each shard written whole and then
//! its index. Which shard a file is in depends on nothing but the list, so workers may share them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    num::NonZeroUsize,
    path::PathBuf,
    str::FromStr,
};

use burn::tensor::backend::Backend;
use sha2::{Digest, Sha256};
use soundstorm_audio::Limits;
use soundstorm_codec::Codec;
use soundstorm_hub::{DType, TensorInfo, sha256_file, write_json, write_safetensors};

use super::{
    CodecFacts, DatasetInfo, Entry, Input, ShardIndex, Skipped,
    codes::{Coded, encode},
    list_inputs,
    shard::{FORMAT, codes_name, codes_path, index_path, info_path, read_json, semantic_name},
};
use crate::{Result, TrainError};

/// Which of the shards to make: every `of`-th, from `index` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 0.
    pub index: usize,
    /// Workers.
    pub of: usize,
}

impl Default for Part {
    fn default() -> Self {
        Self { index: 0, of: 1 }
    }
}

impl FromStr for Part {
    type Err = String;

    /// Parses `i/n`, `i` counted from 0.
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(index, of)| {
            let (index, of) = (index.parse().ok()?, of.parse().ok()?);
            (index < of).then_some(Self { index, of })
        });
        parsed.ok_or_else(|| format!("expected i/n with i below n, such as 0/4, got {text:?}"))
    }
}

/// What to prepare.
#[derive(Clone, Debug)]
pub struct PrepareOptions {
    /// A folder of audio, or a manifest.
    pub input: PathBuf,
    /// A folder with a codes file of semantic tokens for each recording.
    pub semantic: Option<PathBuf>,
    /// The data set's folder.
    pub output: PathBuf,
    /// Levels to encode; all of the codec's, when absent.
    pub levels: Option<usize>,
    /// Files of one shard.
    pub files_per_shard: NonZeroUsize,
    /// The shards to make.
    pub part: Part,
    /// SHA-256 of the codec's weights.
    pub weights_sha256: String,
    /// Longest recording that is encoded, in seconds; longer ones are skipped.
    pub max_seconds: f64,
}

impl PrepareOptions {
    /// All shards of 256 files each, of recordings of up to ten minutes.
    pub fn new(
        input: impl Into<PathBuf>,
        output: impl Into<PathBuf>,
        weights_sha256: impl Into<String>,
    ) -> Self {
        Self {
            input: input.into(),
            semantic: None,
            output: output.into(),
            levels: None,
            files_per_shard: const { NonZeroUsize::new(256).unwrap() },
            part: Part::default(),
            weights_sha256: weights_sha256.into(),
            max_seconds: 600.0,
        }
    }
}

/// What happens while preparing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PrepareEvent<'a> {
    /// A shard was made by an earlier call, and is kept.
    Kept {
        /// The shard.
        shard: usize,
    },
    /// A file's codes are there, or it was skipped.
    File {
        /// Files done, with those of kept shards.
        done: usize,
        /// Files in all.
        of: usize,
        /// Why it was skipped, if it was.
        skipped: Option<&'a Skipped>,
    },
    /// A shard is finished.
    Shard {
        /// The shard.
        shard: usize,
        /// What it holds.
        index: &'a ShardIndex,
    },
}

/// What was prepared, by this call and by those before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PrepareReport {
    /// Shards that are finished, of this part.
    pub shards: usize,
    /// Those of them that were there already.
    pub kept: usize,
    /// Files with codes.
    pub files: usize,
    /// Frames in them.
    pub frames: usize,
    /// Their length in seconds.
    pub seconds: f64,
    /// Files that could not be used.
    pub skipped: Vec<Skipped>,
}

/// Encodes audio into a data set. Shards that are finished and whole are kept, so that a call that
/// was broken off goes on where it was.
///
/// # Errors
/// There is no audio, no file of it can be used, the folder holds another data set, or something
/// cannot be written. A file that cannot be read is no error: it is skipped.
pub fn prepare<B: Backend, C: Codec<B>>(
    codec: &C,
    options: &PrepareOptions,
    device: &B::Device,
    mut observe: impl FnMut(&PrepareEvent<'_>),
) -> Result<PrepareReport> {
    let inputs = list_inputs(&options.input, options.semantic.as_deref())?;
    let shards: Vec<&[Input]> = inputs.chunks(options.files_per_shard.get()).collect();
    let spec = codec.spec();
    let levels = spec
        .check_levels("encode", options.levels)
        .map_err(|error| TrainError::Config(error.to_string()))?;
    let info = DatasetInfo {
        format: FORMAT,
        codec: CodecFacts::new(&spec, levels, options.weights_sha256.clone()),
        semantic: inputs.iter().any(|input| input.semantic.is_some()),
        shards: shards.len(),
        inputs_sha256: names_sha256(&inputs),
    };
    begin(options, &info, &inputs)?;

    let limits = Limits::default().with_max_seconds(options.max_seconds);
    let own = |shard: &usize| shard % options.part.of == options.part.index;
    let total = (0..shards.len()).filter(own).map(|s| shards[s].len()).sum();
    let mut report = PrepareReport::default();
    let mut done = 0;
    for shard in (0..shards.len()).filter(own) {
        let index = match finished(options, shard)? {
            Some(index) => {
                done += shards[shard].len();
                report.kept += 1;
                observe(&PrepareEvent::Kept { shard });
                index
            }
            None => {
                let mut coded = Vec::new();
                let mut skipped = Vec::new();
                for input in shards[shard] {
                    done += 1;
                    let result = encode(codec, input, levels, &limits, device)
                        .and_then(|coded| check(coded, input, &info));
                    let before = skipped.len();
                    match result {
                        Ok(ready) => coded.push((input, ready)),
                        Err(reason) => skipped.push(Skipped {
                            file: input.name.clone(),
                            reason,
                        }),
                    }
                    observe(&PrepareEvent::File {
                        done,
                        of: total,
                        skipped: skipped.get(before),
                    });
                }
                let index = write(options, &info, shard, &coded, skipped)?;
                let event = PrepareEvent::Shard {
                    shard,
                    index: &index,
                };
                observe(&event);
                index
            }
        };
        report.shards += 1;
        report.files += index.entries.len();
        report.frames += index.entries.iter().map(|e| e.frames).sum::<usize>();
        report.skipped.extend(index.skipped);
    }
    report.seconds = info.codec.seconds(report.frames);
    if report.files == 0 && report.shards > 0 {
        let first = report.skipped.first();
        let why = first.map_or(String::new(), |s| format!(": {}: {}", s.file, s.reason));
        return Err(TrainError::EmptySet {
            path: options.input.clone(),
            message: format!(
                "none of its {} files can be used{why}",
                report.skipped.len()
            ),
        });
    }
    Ok(report)
}

fn names_sha256(inputs: &[Input]) -> String {
    let mut hash = Sha256::new();
    for input in inputs {
        hash.update(input.name.as_bytes());
        hash.update([0]);
    }
    let bytes = hash.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the description, or compares it with the one that is there.
fn begin(options: &PrepareOptions, info: &DatasetInfo, inputs: &[Input]) -> Result<()> {
    let mut names = BTreeSet::new();
    if let Some(twice) = inputs.iter().find(|input| !names.insert(&input.name)) {
        return Err(TrainError::malformed(
            &options.input,
            format!("{} is in it twice", twice.name),
        ));
    }
    let folder = &options.output;
    fs::create_dir_all(folder).map_err(TrainError::io("create", folder))?;
    let path = info_path(folder);
    match read_json::<DatasetInfo>(&path)? {
        None => Ok(write_json(&path, info)?),
        Some(was) if was == *info => Ok(()),
        Some(was) => {
            let what = match () {
                () if was.codec != info.codec => "by another codec, or of other levels",
                () if was.inputs_sha256 != info.inputs_sha256 => "from another list of files",
                () => "with other options",
            };
            Err(TrainError::Dataset {
                path: folder.clone(),
                message: format!("it was made {what}; give another folder"),
            })
        }
    }
}

/// The index of a shard that is finished and whole.
fn finished(options: &PrepareOptions, shard: usize) -> Result<Option<ShardIndex>> {
    let Ok(Some(index)) = read_json::<ShardIndex>(&index_path(&options.output, shard)) else {
        return Ok(None);
    };
    let codes = codes_path(&options.output, shard);
    let whole = codes.is_file() && sha256_file(&codes)? == index.sha256;
    Ok(whole.then_some(index))
}

/// Reasons not to use a file's codes that are found only when they are there.
fn check(coded: Coded, input: &Input, info: &DatasetInfo) -> Result<Coded, String> {
    if coded.frames == 0 {
        return Err("it has no frames".into());
    }
    if info.semantic && coded.semantic.is_none() {
        return Err("it has no semantic tokens, and others have".into());
    }
    let (codes, semantic) = (&coded.codes, coded.semantic.as_deref());
    let out = |value: &&i64| i32::try_from(**value).is_err();
    match codes.iter().chain(semantic.unwrap_or_default()).find(out) {
        Some(value) => Err(format!("{}: token {value} is out of range", input.name)),
        None => Ok(coded),
    }
}

fn write(
    options: &PrepareOptions,
    info: &DatasetInfo,
    shard: usize,
    coded: &[(&Input, Coded)],
    skipped: Vec<Skipped>,
) -> Result<ShardIndex> {
    let levels = info.codec.levels;
    let mut planned = Vec::new();
    let mut tensors: BTreeMap<String, &[i64]> = BTreeMap::new();
    let mut plan = |name: String, shape: Vec<usize>, values| {
        let dtype = DType::I32;
        planned.push((name.clone(), TensorInfo { dtype, shape }));
        tensors.insert(name, values);
    };
    for (number, (_, ready)) in coded.iter().enumerate() {
        let shape = vec![levels, ready.frames];
        plan(codes_name(number), shape, ready.codes.as_slice());
        if let Some(semantic) = &ready.semantic {
            plan(semantic_name(number), vec![semantic.len()], semantic);
        }
    }
    let metadata = BTreeMap::from([("codec".to_owned(), info.codec.name.clone())]);
    let path = codes_path(&options.output, shard);
    let sha256 = write_safetensors(path, &metadata, &planned, |name| {
        let values = tensors.get(name).copied().unwrap_or_default();
        // In range: `check` has seen to it.
        Ok(values
            .iter()
            .flat_map(|&v| (v as i32).to_le_bytes())
            .collect())
    })?;
    let entries = coded.iter().map(|(input, ready)| Entry {
        file: input.name.clone(),
        frames: ready.frames,
        text: input.text.clone(),
        speaker: input.speaker.clone(),
        fields: input.fields.clone(),
    });
    let index = ShardIndex {
        shard,
        sha256,
        entries: entries.collect(),
        skipped,
    };
    write_json(index_path(&options.output, shard), &index)?;
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_from_nought() {
        let part = |index, of| Ok(Part { index, of });
        assert_eq!("0/1".parse(), part(0, 1));
        assert_eq!("3/7".parse(), part(3, 7));
        for text in ["", "1", "1/1", "2/1", "-1/2", "a/b", "0/0"] {
            assert!(text.parse::<Part>().is_err(), "{text}");
        }
    }
}
