//! Folders of models and codecs: `config.json` beside `model.safetensors`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use soundstorm::SoundStormConfig;
use soundstorm_codec::CodecConfig;

use crate::{HubError, Imported, atomic::write_file, import::read_hub_config};

/// The configuration's name in a folder.
pub const CONFIG_FILE: &str = "config.json";
/// The weights' name in a folder.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The `model_type` of a SoundStorm model.
pub const MODEL_TYPE: &str = "soundstorm";
/// The largest configuration that is read, in bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// The key under which a folder's origin stands.
const IMPORTED: &str = "imported";

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
    serde_json::from_slice(&text).map_err(|error| invalid(path, expected, error))
}

/// Writes a value as readable JSON, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write_json<T: Serialize>(path: impl AsRef<Path>, value: &T) -> Result<(), HubError> {
    let path = path.as_ref();
    let mut text =
        serde_json::to_vec_pretty(value).map_err(|error| invalid(path, "configuration", error))?;
    text.push(b'\n');
    write_file(path, &text)
}

fn invalid(path: &Path, expected: &'static str, message: impl ToString) -> HubError {
    HubError::Config {
        path: path.to_path_buf(),
        expected,
        message: message.to_string(),
    }
}

/// A model folder's `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelFolder {
    model_type: &'static str,
    /// The model's configuration.
    #[serde(flatten)]
    pub config: SoundStormConfig,
    /// Where the weights come from, when they were imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
}

/// A codec folder's `config.json`: ours, or that of a codec on the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodecFolder {
    /// The codec's configuration, with its `model_type`.
    #[serde(flatten)]
    pub config: CodecConfig,
    /// Where the weights come from, when they were imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
    /// Whether the folder is the hub's, whose tensors have other names.
    #[serde(skip)]
    pub(crate) is_hubs: bool,
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Folder {
    /// A SoundStorm model.
    Model(ModelFolder),
    /// A codec.
    Codec(CodecFolder),
}

impl ModelFolder {
    /// A model that was not imported.
    pub fn new(config: SoundStormConfig) -> Self {
        Self {
            model_type: MODEL_TYPE,
            config,
            imported: None,
        }
    }

    pub(crate) fn with_imported(self, imported: Imported) -> Self {
        let imported = Some(imported);
        Self { imported, ..self }
    }
}

impl CodecFolder {
    /// A codec that was not imported.
    pub fn new(config: CodecConfig) -> Self {
        Self {
            config,
            imported: None,
            is_hubs: false,
        }
    }

    pub(crate) fn with_imported(self, imported: Imported) -> Self {
        let imported = Some(imported);
        Self { imported, ..self }
    }
}

impl Folder {
    /// Reads a folder's configuration. Unknown keys are refused in ours, and ignored in the hub's.
    ///
    /// # Errors
    /// There is none, or it is not one of a model or codec that is known.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self, HubError> {
        let path = config_path(folder);
        let mut map: Map<String, Value> = read_json(&path, "configuration")?;
        let imported = match map.remove(IMPORTED) {
            None => None,
            Some(value) => {
                let imported = Imported::deserialize(value);
                Some(imported.map_err(|error| invalid(&path, "configuration", error))?)
            }
        };
        let kind = match map.get("model_type") {
            Some(Value::String(kind)) => kind.clone(),
            _ => return Err(invalid(&path, "configuration", "`model_type` is missing")),
        };
        // Ours says `sample_rate`.
        if map.contains_key("sampling_rate") {
            let config = read_hub_config(&kind, &path)?;
            return Ok(Self::Codec(CodecFolder {
                is_hubs: true,
                ..CodecFolder::new(config)
            }));
        }
        if kind != MODEL_TYPE {
            let config: CodecConfig = serde_json::from_value(Value::Object(map))
                .map_err(|error| invalid(&path, "codec configuration", error))?;
            return Ok(Self::Codec(CodecFolder {
                imported,
                ..CodecFolder::new(config)
            }));
        }
        map.remove("model_type");
        let config: SoundStormConfig = serde_json::from_value(Value::Object(map))
            .map_err(|error| invalid(&path, "model configuration", error))?;
        config
            .validate()
            .map_err(|error| invalid(&path, "model configuration", error))?;
        Ok(Self::Model(ModelFolder {
            imported,
            ..ModelFolder::new(config)
        }))
    }

    /// Reads a model folder's configuration.
    ///
    /// # Errors
    /// See [`Self::read`]; a codec is an error too.
    pub fn read_model(folder: impl AsRef<Path>) -> Result<ModelFolder, HubError> {
        let folder = folder.as_ref();
        match Self::read(folder)? {
            Self::Model(model) => Ok(model),
            Self::Codec(codec) => Err(invalid(
                &config_path(folder),
                "model configuration",
                format!("it is of the codec {}", codec.config.spec().name),
            )),
        }
    }

    /// Reads a codec folder's configuration.
    ///
    /// # Errors
    /// See [`Self::read`]; a model is an error too.
    pub fn read_codec(folder: impl AsRef<Path>) -> Result<CodecFolder, HubError> {
        let folder = folder.as_ref();
        match Self::read(folder)? {
            Self::Codec(codec) => Ok(codec),
            Self::Model(_) => Err(invalid(
                &config_path(folder),
                "codec configuration",
                "it is of a SoundStorm model",
            )),
        }
    }
}
