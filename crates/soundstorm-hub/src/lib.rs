#![doc = include_str!("../README.md")]

mod atomic;
mod codes_file;
mod dtype;
mod error;
mod folder;
mod module;
mod source;
mod write;

pub use atomic::{AtomicFile, AtomicFolder, sha256_file, write_file};
pub use codes_file::{Array, CodesFile, CodesMetadata};
pub use dtype::DType;
pub use error::{HubError, Misshaped, TensorReport};
pub use folder::{CONFIG_FILE, WEIGHTS_FILE, config_path, read_json, weights_path, write_json};
pub use module::{load_module, save_module, shapes};
pub use source::{PytorchSource, SafetensorsSource, TensorInfo, TensorSource, open_source};
pub use write::{Planned, write_safetensors};
