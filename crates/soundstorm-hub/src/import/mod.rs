//! Foreign checkpoints into folders of ours: opened, understood from their names and shapes, and
//! converted tensor by tensor.

mod codec;
mod soundstorm_pytorch;
mod soundstream;

pub(crate) use codec::{Translated, read_hub_config};

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use soundstorm::Preset;

use crate::{
    AtomicFolder, DType, HubError, Setting,
    folder::{CodecFolder, ModelFolder, config_path, weights_path, write_json},
    open_source, sha256_file,
    write::{Planned, write_safetensors},
};

/// Whose checkpoint it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportFrom {
    /// A model trained with soundstorm-pytorch 0.1 to 0.6 or the fork behind USLM and AnyGPT.
    SoundStormPytorch,
    /// A SpeechTokenizer codec.
    SpeechTokenizer,
    /// An EnCodec, by the names of the hub or of its own package.
    Encodec,
    /// A DAC, likewise.
    Dac,
    /// A Mimi, by the names of the hub or of moshi.
    Mimi,
    /// A SoundStream trained with audiolm-pytorch.
    SoundStream,
}

impl ImportFrom {
    /// Every kind that can be imported.
    pub const ALL: [Self; 6] = [
        Self::SoundStormPytorch,
        Self::SpeechTokenizer,
        Self::Encodec,
        Self::Dac,
        Self::Mimi,
        Self::SoundStream,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::SoundStormPytorch => "soundstorm-pytorch",
            Self::SpeechTokenizer => "speechtokenizer",
            Self::Encodec => "encodec",
            Self::Dac => "dac",
            Self::Mimi => "mimi",
            Self::SoundStream => "soundstream",
        }
    }
}

impl fmt::Display for ImportFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ImportFrom {
    type Err = HubError;

    fn from_str(name: &str) -> Result<Self, HubError> {
        let known = Self::ALL.into_iter().find(|from| from.name() == name);
        known.ok_or_else(|| HubError::Invalid {
            operation: "import",
            expected: Self::ALL.map(Self::name).join(" or "),
            got: name.into(),
        })
    }
}

/// What to import, and what its tensors cannot tell.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Whose checkpoint it is.
    pub from: ImportFrom,
    /// The checkpoint, or a folder with one checkpoint in it.
    pub source: PathBuf,
    /// The folder to make.
    pub destination: PathBuf,
    /// A configuration that the model is known to have.
    pub preset: Option<Preset>,
    /// Single values of the configuration; they override the preset's.
    pub settings: Vec<Setting>,
    /// The foreign configuration; looked for beside the checkpoint when not given.
    pub config: Option<PathBuf>,
    /// Replace a folder that is not empty.
    pub force: bool,
}

impl ImportOptions {
    /// An import without preset and settings.
    pub fn new(
        from: ImportFrom,
        source: impl Into<PathBuf>,
        destination: impl Into<PathBuf>,
    ) -> Self {
        Self {
            from,
            source: source.into(),
            destination: destination.into(),
            preset: None,
            settings: Vec::new(),
            config: None,
            force: false,
        }
    }
}

/// Where a folder's weights come from; kept in its `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// The layout that the checkpoint was in.
    pub layout: String,
    /// The checkpoint's name, without its folder.
    pub file: String,
    /// Tensors of it that were used.
    pub tensors: usize,
    /// Numbers in them.
    pub parameters: u64,
    /// SHA-256 of the checkpoint, in hexadecimal.
    pub sha256: String,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The checkpoint, as it is recorded in the folder.
    pub imported: Imported,
    /// Tensors that have no place in our model and were left out on purpose.
    pub skipped: Vec<String>,
    /// Other entries of the checkpoint: an optimizer's state, counters.
    pub ignored: Vec<String>,
    /// SHA-256 of the weights that were written.
    pub weights_sha256: String,
}

/// Makes the bytes of a planned tensor.
type Read<'a> = Box<dyn Fn(&str) -> Result<Vec<u8>, HubError> + 'a>;

/// A checkpoint that was understood, ready to be converted one tensor at a time.
struct Converted<'a> {
    layout: String,
    tensors: usize,
    parameters: u64,
    skipped: Vec<String>,
    target: Target,
    planned: Vec<Planned>,
    read: Read<'a>,
}

#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Target {
    Model(ModelFolder),
    Codec(CodecFolder),
}

/// Converts a checkpoint into a folder, which appears whole or not at all. Memory is needed for the
/// largest tensor a few times over, not for the checkpoint.
///
/// # Errors
/// The checkpoint cannot be read, is refused, has missing, extra or misshaped tensors (all are
/// named), contradicts the preset or a setting, or leaves something open; or the folder exists.
pub fn import(options: &ImportOptions) -> Result<ImportReport, HubError> {
    import_observed(options, |_, _| {})
}

/// [`import`], telling `observe` after every tensor how many numbers are written, and of how many.
///
/// # Errors
/// See [`import`].
pub fn import_observed(
    options: &ImportOptions,
    mut observe: impl FnMut(u64, u64),
) -> Result<ImportReport, HubError> {
    let checkpoint = find_checkpoint(&options.source)?;
    let folder = AtomicFolder::create(&options.destination, options.force)?;
    let source = open_source(&checkpoint)?;
    let converted = match options.from {
        ImportFrom::SoundStormPytorch => soundstorm_pytorch::convert(source.as_ref(), options)?,
        _ => codec::convert(source.as_ref(), options)?,
    };
    let Converted {
        layout,
        tensors,
        parameters,
        skipped,
        target,
        planned,
        read,
    } = converted;
    if !skipped.is_empty() {
        tracing::warn!(
            "{} tensors have no place in the model and are left out, the first is {}",
            skipped.len(),
            skipped[0]
        );
    }
    let metadata = BTreeMap::from([("format".to_owned(), "soundstorm".to_owned())]);
    let weights = weights_path(folder.path());
    let total = planned.iter().map(|(_, info)| info.elements() as u64).sum();
    let mut done = 0;
    let weights_sha256 = write_safetensors(weights, &metadata, &planned, |name| {
        let bytes = read(name)?;
        done += (bytes.len() / DType::F32.size()) as u64;
        observe(done, total);
        Ok(bytes)
    })?;
    let name = checkpoint.file_name().unwrap_or_default();
    let imported = Imported {
        layout,
        file: name.to_string_lossy().into_owned(),
        tensors,
        parameters,
        sha256: sha256_file(&checkpoint)?,
    };
    let config = config_path(folder.path());
    match target {
        Target::Model(model) => write_json(config, &model.with_imported(imported.clone()))?,
        Target::Codec(codec) => write_json(config, &codec.with_imported(imported.clone()))?,
    }
    folder.commit()?;
    Ok(ImportReport {
        imported,
        skipped,
        ignored: source.ignored().to_vec(),
        weights_sha256,
    })
}

/// The checkpoint itself, or the only one in a folder.
fn find_checkpoint(source: &Path) -> Result<PathBuf, HubError> {
    let metadata = fs::metadata(source).map_err(HubError::io("open", source))?;
    if !metadata.is_dir() {
        return Ok(source.to_path_buf());
    }
    let endings = ["pt", "pth", "bin", "ckpt", "dev", "safetensors"];
    let mut found = Vec::new();
    for entry in fs::read_dir(source).map_err(HubError::io("list", source))? {
        let path = entry.map_err(HubError::io("list", source))?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_file() && ending.is_some_and(|ending| endings.contains(&ending)) {
            found.push(path);
        }
    }
    found.sort();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(HubError::unsupported(
            source,
            format!(
                "expected a checkpoint in the folder (.{})",
                endings.join(", .")
            ),
        )),
        _ => {
            let names: Vec<_> = found
                .iter()
                .filter_map(|p| p.file_name()?.to_str())
                .collect();
            Err(HubError::unsupported(
                source,
                format!(
                    "expected one checkpoint in the folder, got {}",
                    names.join(", ")
                ),
            ))
        }
    }
}
