//! The file beside an output that tells what made it, and making it again.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use soundstorm::{Guidance, maskgit::DecodeOptions};
use soundstorm_hub::{Location, config_path, read_json, sha256_file, weights_path, write_json};

use super::{load, sampling::Asked};
use crate::{args::Common, usage::usage};

/// What made an output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sidecar {
    /// The program's version.
    version: String,
    /// What the program was called with, without where results go.
    arguments: Vec<String>,
    /// The seed.
    seed: u64,
    /// The options of decoding, the model's and the call's together.
    options: DecodeOptions,
    /// The guidance.
    guidance: Option<Guidance>,
    /// Passes through the network.
    passes: usize,
    /// SHA-256 of each file that was read.
    inputs: BTreeMap<String, String>,
    /// SHA-256 of each file that was written.
    outputs: BTreeMap<String, String>,
}

/// Options that only say where results go or what is said on the way, with a value or without.
const WITH_VALUE: [&str; 4] = ["--output", "-o", "--trace-picture", FROM];
const ALONE: [&str; 8] = [
    "--sidecar",
    "--json",
    "--quiet",
    "-q",
    "--verbose",
    "-v",
    "-vv",
    "-vvv",
];
const FROM: &str = "--from-sidecar";
const DEVICE: &str = "--device";
/// Commands that write such files.
const COMMANDS: [&str; 3] = ["generate", "convert", "edit"];

/// What is read for an output: folders of a model and a codec, and other files.
#[derive(Default)]
pub(crate) struct Inputs {
    files: Vec<PathBuf>,
}

impl Inputs {
    /// A model's or codec's folder.
    pub(crate) fn folder(mut self, location: &Location, common: &Common) -> Result<Self> {
        let folder = load::folder(location, common)?;
        self.files.push(config_path(&folder));
        self.files.push(weights_path(&folder));
        Ok(self)
    }

    /// A file, where there is one.
    pub(crate) fn file(mut self, path: Option<&Path>) -> Self {
        self.files.extend(path.map(Path::to_path_buf));
        self
    }
}

/// Writes the file beside an output.
pub(crate) fn write(
    output: &Path,
    written: &[PathBuf],
    inputs: Inputs,
    common: &Common,
    asked: &Asked,
    passes: usize,
) -> Result<()> {
    let hashes = |paths: &[PathBuf]| -> Result<BTreeMap<String, String>> {
        let hash = |path: &PathBuf| Ok((path.display().to_string(), sha256_file(path)?));
        paths.iter().map(hash).collect()
    };
    let sidecar = Sidecar {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        arguments: lasting(&expand(std::env::args_os().collect())?)?,
        seed: common.seed,
        options: asked.options.clone(),
        guidance: asked.guidance,
        passes,
        inputs: hashes(&inputs.files)?,
        outputs: hashes(written)?,
    };
    write_json(path(output), &sidecar).context("file beside the output")
}

/// Where it stands: `out.wav.json` for `out.wav`.
fn path(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

/// Whether one can be written, before the work is done.
pub(crate) fn check(sidecar: bool, output: &Path) -> Result<()> {
    match sidecar && output == Path::new("-") {
        true => Err(usage(
            "--sidecar needs a file to stand beside, not standard output",
        )),
        false => Ok(()),
    }
}

/// Whether what a file was made from is as it was.
pub(crate) fn verify(path: Option<&Path>) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let sidecar = read(path)?;
    if sidecar.version != env!("CARGO_PKG_VERSION") {
        tracing::warn!("{}: made by version {}", path.display(), sidecar.version);
    }
    for (input, expected) in &sidecar.inputs {
        let got = sha256_file(input)?;
        ensure!(
            got == *expected,
            "{}: {input} has changed: expected SHA-256 {expected}, got {got}",
            path.display()
        );
    }
    Ok(())
}

fn read(path: &Path) -> Result<Sidecar> {
    read_json(path, "file beside an output").context("file beside an output")
}

/// The program's arguments, with those of a file that `--from-sidecar` names in their place.
pub(crate) fn expand(given: Vec<OsString>) -> Result<Vec<OsString>> {
    let Some(sidecar) = named(&given) else {
        return Ok(given);
    };
    let mut stored = read(Path::new(&sidecar))?.arguments;
    let (program, given) = given.split_first().context("the program has no name")?;
    let is_command = |argument: &&String| COMMANDS.contains(&argument.as_str());
    let command = stored.iter().find(is_command);
    let command = command.context("the file beside an output names no command")?;
    let Some(at) = given
        .iter()
        .position(|argument| argument == command.as_str())
    else {
        return Err(usage(format!(
            "{}: made by soundstorm {command}, so call that with {FROM}",
            Path::new(&sidecar).display()
        )));
    };
    // Where to compute may be asked for anew; another device may round otherwise.
    if given
        .iter()
        .any(|argument| is_option(argument.to_str(), DEVICE))
    {
        stored = without(stored, DEVICE);
    }
    let mut expanded = vec![program.clone()];
    expanded.extend(stored.iter().map(OsString::from));
    let others = given.iter().enumerate().filter(|(place, _)| *place != at);
    expanded.extend(others.map(|(_, argument)| argument.clone()));
    Ok(expanded)
}

/// Whether an argument is an option, with its value attached or not.
fn is_option(argument: Option<&str>, name: &str) -> bool {
    let rest = argument.and_then(|argument| argument.strip_prefix(name));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// Arguments without an option and its value.
fn without(arguments: Vec<String>, name: &str) -> Vec<String> {
    let mut left = Vec::with_capacity(arguments.len());
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if !is_option(Some(&argument), name) {
            left.push(argument);
        } else if argument == name {
            arguments.next();
        }
    }
    left
}

/// The file that the arguments name.
fn named(arguments: &[OsString]) -> Option<OsString> {
    let equals = format!("{FROM}=");
    arguments.iter().enumerate().find_map(|(place, argument)| {
        if argument == FROM {
            return arguments.get(place + 1).cloned();
        }
        let value = argument.to_str()?.strip_prefix(&equals)?;
        Some(value.into())
    })
}

/// Arguments without the program's name and without what says where results go.
fn lasting(arguments: &[OsString]) -> Result<Vec<String>> {
    let mut lasting = Vec::new();
    for argument in arguments.iter().skip(1) {
        let Some(text) = argument.to_str() else {
            return Err(usage(format!(
                "--sidecar holds text, and {} is none",
                Path::new(argument).display()
            )));
        };
        lasting.push(text.to_owned());
    }
    for name in WITH_VALUE {
        lasting = without(lasting, name);
    }
    // As -oFILE.
    lasting.retain(|text| !ALONE.contains(&text.as_str()) && !text.starts_with("-o"));
    Ok(lasting)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn arguments(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn where_results_go_is_left_out() {
        let lasting = |line: &str| lasting(&arguments(line)).unwrap().join(" ");
        assert_eq!(
            lasting("soundstorm --json generate --model m -o x.wav --seed 3 --sidecar"),
            "generate --model m --seed 3"
        );
        assert_eq!(
            lasting("soundstorm edit --output=x --trace-picture p.png -q --in -oy"),
            "edit --in"
        );
    }

    #[test]
    fn a_stored_call_takes_the_place_of_the_given_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.json");
        let sidecar = Sidecar {
            version: "1".into(),
            arguments: ["generate", "--model", "m"].map(str::to_owned).to_vec(),
            seed: 1,
            options: DecodeOptions::default(),
            guidance: None,
            passes: 3,
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
        };
        write_json(&file, &sidecar).unwrap();
        for how in ["--from-sidecar ", "--from-sidecar="] {
            let line = format!("soundstorm generate {how}{} -o y", file.display());
            let expected = format!("soundstorm generate --model m {how}{} -o y", file.display());
            assert_eq!(expand(arguments(&line)).unwrap(), arguments(&expected));
        }
        let line = format!("soundstorm generate --from-sidecar {} -o y", file.display());
        let on_device = |device: &str| {
            let sidecar = Sidecar {
                arguments: format!("generate {device} --model m")
                    .split(' ')
                    .map(str::to_owned)
                    .collect(),
                ..read(&file).unwrap()
            };
            write_json(&file, &sidecar).unwrap();
            let expanded = expand(arguments(&format!("{line} --device cpu"))).unwrap();
            expanded[1..4].to_vec()
        };
        for device in ["--device cuda", "--device=cuda"] {
            assert_eq!(on_device(device), arguments("generate --model m"));
        }
        let other = format!("soundstorm edit --from-sidecar {}", file.display());
        expand(arguments(&other)).unwrap_err();
        let plain = arguments("soundstorm generate -o y");
        assert_eq!(expand(plain.clone()).unwrap(), plain);
    }
}
