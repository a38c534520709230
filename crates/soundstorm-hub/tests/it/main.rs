//! Integration tests: real files, whole ways through the crate.
#![allow(clippy::unwrap_used)]

mod codecs;
mod codes_file;
mod critic;
mod folder;
mod full_size;
#[cfg(feature = "hf")]
mod hf;
mod import_errors;
mod module;
mod parity;
mod pytorch;
mod safetensors;
mod soundstream;
mod spectral;
mod speechtokenizer;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use soundstorm_hub::{TensorInfo, TensorSource, write_safetensors};

/// A committed fixture.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// The first `length` bytes of a file, in a file of their own.
fn cut(path: &Path, length: usize, dir: &Path) -> PathBuf {
    let bytes = std::fs::read(path).unwrap();
    let cut = dir.join(path.file_name().unwrap());
    std::fs::write(&cut, &bytes[..length]).unwrap();
    cut
}

/// The names in a folder, to see that nothing was left behind.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Tensors of a file, in memory, to be changed and written again.
type Tensors = BTreeMap<String, (TensorInfo, Vec<u8>)>;

fn read_all(source: &dyn TensorSource) -> Tensors {
    let tensors = source.tensors().iter();
    tensors
        .map(|(name, info)| {
            let bytes = source.read_bytes(name).unwrap();
            (name.clone(), (info.clone(), bytes))
        })
        .collect()
}

fn write_all(path: &Path, tensors: &Tensors) {
    let planned: Vec<_> = tensors
        .iter()
        .map(|(name, (info, _))| (name.clone(), info.clone()))
        .collect();
    write_safetensors(path, &BTreeMap::new(), &planned, |name| {
        Ok(tensors[name].1.clone())
    })
    .unwrap();
}

/// Gives a tensor one more element along its first axis; a scalar gets two.
fn lengthen(tensors: &mut Tensors, name: &str) {
    let (info, bytes) = tensors.get_mut(name).unwrap();
    match info.shape.first_mut() {
        Some(first) => *first += 1,
        None => info.shape.push(2),
    }
    bytes.resize(info.elements() * info.dtype.size(), 0);
}

/// Backends have one random stream for the whole process: who needs it for himself takes this.
fn random_stream() -> MutexGuard<'static, ()> {
    static STREAM: Mutex<()> = Mutex::new(());
    STREAM.lock().unwrap_or_else(PoisonError::into_inner)
}
