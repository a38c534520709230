//! Many outputs by one model: what is to be made, a line of JSON each, and what became of it.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::generate::Call;
use crate::{
    args::{Common, Generate},
    audio_io,
    usage::usage,
};

/// One line: what differs from output to output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    output: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    semantic: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    speaker: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frames: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

/// What became of an item, a line each.
#[derive(Debug, Serialize, Deserialize)]
struct Status {
    /// The item as it stood.
    item: Item,
    /// Why it failed; absent where it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The calls that are still to be made.
pub(super) struct Manifest {
    calls: Vec<(Item, Call)>,
    skipped: usize,
    status: PathBuf,
}

/// How many items were made.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    done: usize,
    skipped: usize,
    failed: usize,
}

impl Report {
    /// An error where an item failed.
    pub(super) fn outcome(&self) -> Result<()> {
        match self.failed {
            0 => Ok(()),
            failed => bail!("{failed} of {} items failed", failed + self.done),
        }
    }
}

impl Manifest {
    /// Reads the items that are not done yet, and checks the calls that they make.
    pub(super) fn read(path: &Path, args: &Generate, common: &Common) -> Result<Self> {
        let mut status = path.as_os_str().to_owned();
        status.push(".status");
        let status = PathBuf::from(status);
        let done = done(&status)?;
        let text = fs::read_to_string(path)
            .with_context(|| format!("{}: cannot read the manifest", path.display()))?;
        let mut seen = HashSet::new();
        let mut calls = Vec::new();
        let mut skipped = 0;
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let at = || format!("{}, line {}", path.display(), number + 1);
            let item: Item =
                serde_json::from_str(line).map_err(|error| usage(format!("{}: {error}", at())))?;
            ensure!(
                seen.insert(item.output.clone()),
                "{}: {} is made by a line before",
                at(),
                item.output.display()
            );
            let rows = 0..args.batch;
            let mut outputs = rows.map(|row| audio_io::row_path(&item.output, row, args.batch));
            let whole = item.output.exists() || outputs.all(|output| output.exists());
            if done.contains(&item) && whole {
                skipped += 1;
                continue;
            }
            let mut common = common.clone();
            common.seed = item.seed.unwrap_or(common.seed);
            let call = Call {
                output: item.output.clone(),
                args: Generate {
                    semantic: item.semantic.clone(),
                    text: item.text.clone(),
                    speaker: item.speaker.or(args.speaker),
                    prompt: item.prompt.clone(),
                    seconds: item.seconds,
                    frames: item.frames,
                    ..args.clone()
                },
                common,
            };
            call.check().with_context(at)?;
            calls.push((item, call));
        }
        Ok(Self {
            calls,
            skipped,
            status,
        })
    }

    /// Makes one after the other, and goes on after one that failed.
    pub(super) fn run(self, mut make: impl FnMut(&Call) -> Result<Value>) -> Result<Report> {
        let mut report = Report {
            done: 0,
            skipped: self.skipped,
            failed: 0,
        };
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.status)
            .with_context(|| format!("{}: cannot write", self.status.display()))?;
        for (item, call) in self.calls {
            let error = make(&call).err().map(|error| format!("{error:#}"));
            match &error {
                None => report.done += 1,
                Some(error) => {
                    report.failed += 1;
                    tracing::error!("{}: {error}", item.output.display());
                }
            }
            // A whole line at once, so that a program that is stopped leaves no half of one.
            let mut line = serde_json::to_string(&Status { item, error })?;
            line.push('\n');
            file.write_all(line.as_bytes())
                .with_context(|| format!("{}: cannot write", self.status.display()))?;
        }
        Ok(report)
    }
}

/// The items whose last status is that they are done. Lines that are none are from a program that
/// was stopped, and tell nothing.
fn done(path: &Path) -> Result<Vec<Item>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let mut done: Vec<Item> = Vec::new();
    for line in text.lines() {
        let Ok(Status { item, error }) = serde_json::from_str(line) else {
            continue;
        };
        done.retain(|other| other.output != item.output);
        if error.is_none() {
            done.push(item);
        }
    }
    Ok(done)
}
