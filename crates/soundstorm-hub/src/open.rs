//! Folders into modules, and modules into folders: open, init, inspect.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::backend::Backend;
use serde::Serialize;
use soundstorm::{SoundStorm, SoundStormConfig};
use soundstorm_codec::{AnyCodec, CodecConfig};

use crate::{
    AtomicFolder, Folder, HubError, Imported, SafetensorsSource, TensorSource, config_path,
    folder::{CodecFolder, ModelFolder},
    import::Translated,
    load_module, save_module, sha256_file, weights_path, write_json,
};

/// A model with its weights.
#[derive(Debug)]
pub struct Model<B: Backend> {
    /// How it is built and meant to be used.
    pub config: SoundStormConfig,
    /// The network.
    pub model: SoundStorm<B>,
    /// Where its weights come from, when they were imported.
    pub imported: Option<Imported>,
}

/// Opens a model folder.
///
/// # Errors
/// A file is missing or damaged, the configuration is invalid, or the tensors are not those that
/// it describes (all that differ are named).
pub fn open_model<B: Backend>(
    folder: impl AsRef<Path>,
    device: &B::Device,
) -> Result<Model<B>, HubError> {
    let folder = folder.as_ref();
    let ModelFolder {
        config, imported, ..
    } = Folder::read_model(folder)?;
    let model = config
        .init::<B>(device)
        .map_err(|error| bad_config(folder, "model configuration", error))?;
    let model = load_module(model, &SafetensorsSource::open(weights_path(folder))?)?;
    Ok(Model {
        config,
        model,
        imported,
    })
}

/// Opens a codec folder.
///
/// # Errors
/// As [`open_model`]'s.
pub fn open_codec<B: Backend>(
    folder: impl AsRef<Path>,
    device: &B::Device,
) -> Result<AnyCodec<B>, HubError> {
    let folder = folder.as_ref();
    let CodecFolder {
        config, is_hubs, ..
    } = Folder::read_codec(folder)?;
    let codec = config
        .init::<B>(device)
        .map_err(|error| bad_config(folder, "codec configuration", error))?;
    let source = SafetensorsSource::open(weights_path(folder))?;
    let source: Box<dyn TensorSource> = match is_hubs {
        true => Box::new(Translated::new(source, &config)?),
        false => Box::new(source),
    };
    let source = source.as_ref();
    Ok(match codec {
        // A file holds the codec's own names, without that of the enum's variant.
        AnyCodec::SpeechTokenizer(codec) => AnyCodec::SpeechTokenizer(load_module(codec, source)?),
        AnyCodec::Encodec(codec) => AnyCodec::Encodec(load_module(codec, source)?),
        AnyCodec::Dac(codec) => AnyCodec::Dac(load_module(codec, source)?),
        AnyCodec::Mimi(codec) => AnyCodec::Mimi(load_module(codec, source)?),
        AnyCodec::SoundStream(codec) => AnyCodec::SoundStream(load_module(codec, source)?),
        AnyCodec::Spectral(codec) => AnyCodec::Spectral(load_module(codec, source)?),
        other => {
            let name = format!("{:?}", other.config());
            return Err(bad_config(folder, "codec configuration", name));
        }
    })
}

fn bad_config(folder: &Path, expected: &'static str, message: impl ToString) -> HubError {
    HubError::Config {
        path: config_path(folder),
        expected,
        message: message.to_string(),
    }
}

/// Makes a folder with an untrained model, for tests and benchmarks. Its weights are drawn from the
/// backend's generator, seeded here: equal seeds give equal files on one backend, as long as
/// nothing else draws from it meanwhile.
///
/// # Errors
/// The configuration is invalid, or the folder exists or cannot be written.
pub fn init_model<B: Backend>(
    config: &SoundStormConfig,
    folder: impl AsRef<Path>,
    seed: u64,
    force: bool,
    device: &B::Device,
) -> Result<(), HubError> {
    let folder = folder.as_ref();
    new_folder(
        folder,
        force,
        &ModelFolder::new(config.clone()),
        |weights| {
            B::seed(device, seed);
            let model = config
                .init::<B>(device)
                .map_err(|error| bad_config(folder, "model configuration", error))?;
            save_module(&model, weights, &untrained(seed))
        },
    )
}

/// Makes a folder with an untrained codec; see [`init_model`].
///
/// # Errors
/// As [`init_model`]'s.
pub fn init_codec<B: Backend>(
    config: &CodecConfig,
    folder: impl AsRef<Path>,
    seed: u64,
    force: bool,
    device: &B::Device,
) -> Result<(), HubError> {
    let folder = folder.as_ref();
    new_folder(
        folder,
        force,
        &CodecFolder::new(config.clone()),
        |weights| {
            B::seed(device, seed);
            let codec = config
                .init::<B>(device)
                .map_err(|error| bad_config(folder, "codec configuration", error))?;
            match codec {
                AnyCodec::SpeechTokenizer(codec) => save_module(&codec, weights, &untrained(seed)),
                AnyCodec::Encodec(codec) => save_module(&codec, weights, &untrained(seed)),
                AnyCodec::Dac(codec) => save_module(&codec, weights, &untrained(seed)),
                AnyCodec::Mimi(codec) => save_module(&codec, weights, &untrained(seed)),
                AnyCodec::SoundStream(codec) => save_module(&codec, weights, &untrained(seed)),
                AnyCodec::Spectral(codec) => save_module(&codec, weights, &untrained(seed)),
                other => {
                    let name = format!("{:?}", other.config());
                    Err(bad_config(folder, "codec configuration", name))
                }
            }
        },
    )
}

/// A folder that appears when its configuration and what `save` writes are there.
fn new_folder(
    folder: &Path,
    force: bool,
    config: &impl Serialize,
    save: impl FnOnce(PathBuf) -> Result<String, HubError>,
) -> Result<(), HubError> {
    let part = AtomicFolder::create(folder, force)?;
    save(weights_path(part.path()))?;
    write_json(config_path(part.path()), config)?;
    part.commit()
}

/// The metadata of untrained weights.
fn untrained(seed: u64) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("format".to_owned(), "soundstorm".to_owned()),
        ("seed".to_owned(), seed.to_string()),
    ])
}

/// What is to be known of a folder without loading it.
#[derive(Debug, Clone, PartialEq)]
pub struct FolderInfo {
    /// Its configuration.
    pub folder: Folder,
    /// The weights' file.
    pub weights: PathBuf,
    /// Tensors in it.
    pub tensors: usize,
    /// Numbers in them.
    pub parameters: u64,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Text stored with the weights, such as the seed of an untrained model.
    pub metadata: BTreeMap<String, String>,
}

/// Looks into a folder without loading it.
///
/// # Errors
/// A file is missing or damaged.
pub fn inspect(folder: impl AsRef<Path>) -> Result<FolderInfo, HubError> {
    let weights = weights_path(&folder);
    let folder = Folder::read(folder)?;
    let source = SafetensorsSource::open(&weights)?;
    let tensors = source.tensors();
    let bytes = std::fs::metadata(&weights).map_err(HubError::io("inspect", &weights))?;
    Ok(FolderInfo {
        folder,
        tensors: tensors.len(),
        parameters: tensors.values().map(|info| info.elements() as u64).sum(),
        bytes: bytes.len(),
        sha256: sha256_file(&weights)?,
        metadata: source.metadata().clone(),
        weights,
    })
}
