//! Which files are held out: drawn by a hash of the seed and the file's name, or of a field's
//! value, so that it does not depend on the order of the files.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::Dataset;
use crate::{Result, TrainError, config::ValidationConfig};

/// Files by their numbers in a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// To train on.
    pub training: Vec<usize>,
    /// Held out.
    pub validation: Vec<usize>,
}

/// Splits a data set.
///
/// # Errors
/// A file without the field that `by` names, a value that no file has, or nothing left to train on.
pub fn split(dataset: &Dataset, config: &ValidationConfig, seed: u64) -> Result<Split> {
    let error = |message: String| TrainError::Dataset {
        path: dataset.path().to_path_buf(),
        message,
    };
    let by = config.by.as_deref().unwrap_or("file");
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, utterance) in dataset.utterances().iter().enumerate() {
        let entry = &utterance.entry;
        let value = entry.field(by).ok_or_else(|| {
            error(format!(
                "{} has no field {by}, by which files are to be held out",
                entry.file
            ))
        })?;
        groups.entry(value).or_default().push(number);
    }
    let held: BTreeSet<&str> = match config.values.is_empty() {
        false => config.values.iter().map(String::as_str).collect(),
        true => draw(groups.keys().copied(), config.fraction, seed),
    };
    if let Some(value) = held.iter().find(|value| !groups.contains_key(*value)) {
        return Err(error(format!(
            "no file's {by} is {value:?}, which is to be held out"
        )));
    }
    let side = |wanted: bool| {
        let groups = groups
            .iter()
            .filter(|(value, _)| held.contains(*value) == wanted);
        let mut files: Vec<usize> = groups.flat_map(|(_, files)| files.clone()).collect();
        files.sort_unstable();
        files
    };
    let (training, validation) = (side(false), side(true));
    if training.is_empty() {
        return Err(error(
            "every file is held out, none is left to train on".into(),
        ));
    }
    Ok(Split {
        training,
        validation,
    })
}

/// A share of the values, but at least one of several, and never all.
fn draw<'a>(
    values: impl ExactSizeIterator<Item = &'a str>,
    fraction: f64,
    seed: u64,
) -> BTreeSet<&'a str> {
    let all = values.len();
    if fraction == 0.0 || all < 2 {
        return BTreeSet::new();
    }
    let count = (fraction * all as f64).round() as usize;
    let mut ranked: Vec<_> = values.map(|value| (rank(value, seed), value)).collect();
    ranked.sort_unstable();
    let drawn = ranked.into_iter().take(count.clamp(1, all - 1));
    drawn.map(|(_, value)| value).collect()
}

fn rank(value: &str, seed: u64) -> [u8; 32] {
    let hash = Sha256::new().chain_update(seed.to_le_bytes());
    hash.chain_update(value.as_bytes()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_has_its_share_and_depends_on_the_seed() {
        let names: Vec<String> = (0..101).map(|i| format!("file {i}")).collect();
        let of = |fraction, seed| draw(names.iter().map(String::as_str), fraction, seed);
        assert_eq!(of(0.3, 7).len(), 30);
        assert_eq!(of(0.3, 7), of(0.3, 7));
        assert_ne!(of(0.3, 7), of(0.3, 8));
        // More is held out beside what was, not instead.
        assert!(of(0.3, 7).is_subset(&of(0.5, 7)));
        assert_eq!(of(0.0, 7).len(), 0);
        assert_eq!(of(0.0001, 7).len(), 1);
        assert_eq!(of(0.9999, 7).len(), 100);
        assert!(draw(["a"].into_iter(), 0.5, 7).is_empty());
    }
}
