//! Model folders: opening, importing foreign checkpoints, hashes, codes files.
#![doc = include_str!("../README.md")]

mod atomic;
mod codes_file;
mod dtype;
mod error;
mod folder;
#[cfg(feature = "hf")]
mod hf;
mod import;
mod location;
mod module;
mod open;
mod settings;
mod source;
mod write;

pub use atomic::{AtomicFile, AtomicFolder, sha256_file, write_file};
pub use codes_file::{Array, CodesFile, CodesMetadata};
pub use dtype::DType;
pub use error::{Contradiction, HubError, Misshaped, TensorReport};
pub use folder::{
    CONFIG_FILE, CodecFolder, Folder, MODEL_TYPE, ModelFolder, WEIGHTS_FILE, config_path,
    read_json, weights_path, write_json,
};
#[cfg(feature = "hf")]
pub use hf::{Fetched, Hub, RemoteError};
pub use import::{ImportFrom, ImportOptions, ImportReport, Imported, import, import_observed};
pub use location::{HubName, Location, NameError, Transfer, resolve};
pub use module::{load_module, save_module, shapes};
pub use open::{FolderInfo, Model, init_codec, init_model, inspect, open_codec, open_model};
pub use settings::{Setting, apply_settings};
pub use source::{PytorchSource, SafetensorsSource, TensorInfo, TensorSource, open_source};
pub use write::{Planned, write_safetensors};
