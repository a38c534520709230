//! The folder of a run's checkpoints: publishing, finding the newest that is whole, keeping some.

use std::{
    fs,
    path::{Path, PathBuf},
};

use soundstorm_hub::{AtomicFolder, read_json, write_file, write_json};

use super::{State, manifest};
use crate::{Result, TrainConfig, TrainError};

/// The weights' folder in a checkpoint.
pub(crate) const MODEL: &str = "model";
/// The running mean's.
pub(crate) const AVERAGE: &str = "ema";
/// The moments' file.
pub(crate) const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
const CONFIG: &str = "config.toml";
const STEP: &str = "step-";
/// What is half written or half deleted when a process dies.
const LEFT_OVERS: [&str; 2] = [".part-", ".old-"];

/// A checkpoint that was found whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Its folder.
    pub path: PathBuf,
    /// Where the run was.
    pub state: State,
}

impl Checkpoint {
    /// Opens a checkpoint after comparing all of its files with its manifest.
    ///
    /// # Errors
    /// [`TrainError::Damaged`] says what differs.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let damaged = |message: String| TrainError::Damaged {
            path: path.to_path_buf(),
            message,
        };
        let step = step_of(path).ok_or_else(|| damaged("it is not named step-NUMBER".into()))?;
        manifest::verify(path, step).map_err(damaged)?;
        let state: State = read_json(path.join(STATE), "state of a checkpoint")
            .map_err(|error| damaged(error.to_string()))?;
        Ok(Self {
            path: path.to_path_buf(),
            state,
        })
    }

    /// The model folder to generate with: the running mean, or the weights where none is kept.
    pub fn model(&self) -> PathBuf {
        let average = self.path.join(AVERAGE);
        match average.is_dir() {
            true => average,
            false => self.path.join(MODEL),
        }
    }
}

/// All checkpoints of a run.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    path: PathBuf,
}

impl Folders {
    /// Opens or makes the folder and removes what a process that died left half done.
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        fs::create_dir_all(&path).map_err(TrainError::io("create", &path))?;
        let folders = Self { path };
        for (name, path) in folders.list()? {
            if LEFT_OVERS.iter().any(|prefix| name.starts_with(prefix)) {
                fs::remove_dir_all(&path).map_err(TrainError::io("remove", &path))?;
            }
        }
        Ok(folders)
    }

    fn list(&self) -> Result<Vec<(String, PathBuf)>> {
        let folder = &self.path;
        let entries = fs::read_dir(folder).map_err(TrainError::io("list", folder))?;
        entries
            .map(|entry| {
                let entry = entry.map_err(TrainError::io("list", folder))?;
                Ok((
                    entry.file_name().to_string_lossy().into_owned(),
                    entry.path(),
                ))
            })
            .collect()
    }

    /// Steps that there are checkpoints of, the newest first.
    fn steps(&self) -> Result<Vec<u64>> {
        let list = self.list()?.into_iter();
        let mut steps: Vec<u64> = list.filter_map(|(_, path)| step_of(&path)).collect();
        steps.sort_unstable_by(|a, b| b.cmp(a));
        Ok(steps)
    }

    fn of(&self, step: u64) -> PathBuf {
        self.path.join(format!("{STEP}{step:09}"))
    }

    /// The newest checkpoint that is whole. Damaged ones are told and put aside.
    pub(crate) fn newest(
        &self,
        mut damaged: impl FnMut(&Path, &str),
    ) -> Result<Option<Checkpoint>> {
        let mut reasons = Vec::new();
        let mut aside: Vec<(PathBuf, String)> = Vec::new();
        for step in self.steps()? {
            match Checkpoint::open(self.of(step)) {
                Ok(checkpoint) => {
                    // Only now: where none is whole, they stay where they are.
                    for (path, message) in aside {
                        damaged(&path, &message);
                        put_aside(&path)?;
                    }
                    return Ok(Some(checkpoint));
                }
                Err(TrainError::Damaged { path, message }) => {
                    reasons.push(format!("step {step}: {message}"));
                    aside.push((path, message));
                }
                Err(other) => return Err(other),
            }
        }
        match reasons.is_empty() {
            true => Ok(None),
            false => Err(TrainError::NoCheckpoint {
                folder: self.path.clone(),
                reasons,
            }),
        }
    }

    /// Publishes a checkpoint of what `write` puts into its folder.
    pub(crate) fn publish(
        &self,
        config: &TrainConfig,
        state: &State,
        write: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Checkpoint> {
        let path = self.of(state.step);
        // One of this step may be there, published by a run that was then put back behind it.
        let part = AtomicFolder::create(&path, true)?;
        write(part.path())?;
        write_json(part.path().join(STATE), state)?;
        write_file(part.path().join(CONFIG), config.to_toml()?.as_bytes())?;
        manifest::write(part.path(), state.step)?;
        part.commit()?;
        Ok(Checkpoint {
            path,
            state: state.clone(),
        })
    }

    /// Removes all but the newest `keep` and the best.
    pub(crate) fn prune(&self, keep: usize, best: Option<u64>) -> Result<()> {
        let old = self.steps()?.into_iter().skip(keep);
        for step in old.filter(|&step| Some(step) != best) {
            let path = self.of(step);
            // Never seen half deleted under its own name.
            let aside = self.path.join(format!("{}{STEP}{step:09}", LEFT_OVERS[1]));
            fs::rename(&path, &aside).map_err(TrainError::io("rename", &path))?;
            fs::remove_dir_all(&aside).map_err(TrainError::io("remove", &aside))?;
        }
        Ok(())
    }
}

fn step_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix(STEP)?.parse().ok()
}

/// Renames a damaged checkpoint, so that it is not looked at again and can still be looked into.
fn put_aside(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut number = 0;
    let aside = loop {
        let aside = path.with_file_name(format!("damaged-{number}-{name}"));
        if !aside.exists() {
            break aside;
        }
        number += 1;
    };
    fs::rename(path, aside).map_err(TrainError::io("rename", path))
}
