//! Before a run's first step: one process a folder, and one configuration.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    path::Path,
};

use soundstorm_hub::write_file;
use toml::{Table, Value};

use crate::{Result, TrainConfig, TrainError};

const CONFIG: &str = "config.toml";
const LOCK: &str = ".lock";
/// What may change between two parts of a run, by the beginning of its key: none of it changes what
/// was learnt so far. The data may have moved; what it holds is compared by its hashes.
const FREE: [&str; 6] = [
    "steps",
    "checkpoint.",
    "log.",
    "validation.every",
    "data.path",
    "init",
];

/// Makes the folder, and keeps other processes out of it for as long as the file is held.
pub(super) fn lock(run: &Path) -> Result<File> {
    fs::create_dir_all(run).map_err(TrainError::io("create", run))?;
    let path = run.join(LOCK);
    let file = File::create(&path).map_err(TrainError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TrainError::Locked {
            run: run.to_path_buf(),
        }),
        Err(TryLockError::Error(error)) => Err(TrainError::io("lock", &path)(error)),
    }
}

/// Writes the configuration, after comparing it with the one that the run was begun with.
pub(super) fn configuration(run: &Path, config: &TrainConfig) -> Result<()> {
    let path = run.join(CONFIG);
    let text = config.to_toml()?;
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(TrainError::io("read", &path)(error)),
        Ok(was) => {
            let flat = |text: &str| {
                let table: Table = text
                    .parse()
                    .map_err(|error| TrainError::malformed(&path, error))?;
                let mut leaves = BTreeMap::new();
                flatten("", Value::Table(table), &mut leaves);
                Ok::<_, TrainError>(leaves)
            };
            let (was, is) = (flat(&was)?, flat(&text)?);
            let none = || "absent".to_owned();
            let changed = was.keys().chain(is.keys()).find(|key| {
                was.get(*key) != is.get(*key) && !FREE.iter().any(|free| key.starts_with(free))
            });
            if let Some(key) = changed {
                return Err(TrainError::Changed {
                    run: run.to_path_buf(),
                    key: key.clone(),
                    was: was.get(key).cloned().unwrap_or_else(none),
                    is: is.get(key).cloned().unwrap_or_else(none),
                });
            }
        }
    }
    Ok(write_file(path, text.as_bytes())?)
}

fn flatten(prefix: &str, value: Value, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let key = match prefix {
                    "" => key,
                    prefix => format!("{prefix}.{key}"),
                };
                flatten(&key, value, leaves);
            }
        }
        leaf => {
            leaves.insert(prefix.to_owned(), leaf.to_string());
        }
    }
}
