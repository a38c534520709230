//! Integration tests: real files, whole ways through the crate.
#![allow(clippy::unwrap_used)]

mod codes_file;
mod module;
mod pytorch;
mod safetensors;

use std::path::{Path, PathBuf};

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
