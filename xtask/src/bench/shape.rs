//! What a run did, as the side itself says, and whether two sides did the same.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

/// What a run did.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    /// Of the network.
    pub(super) passes: u64,
    pub(super) levels: u64,
    pub(super) frames: u64,
    pub(super) parameters: u64,
}

impl Shape {
    /// From everything that a side has said.
    pub(super) fn read(said: &Map<String, Value>) -> Result<Self> {
        let count = |key: &str| {
            let value = said.get(key).and_then(Value::as_u64);
            value.with_context(|| format!("`{key}` is missing"))
        };
        Ok(Self {
            passes: count("passes")?,
            levels: count("levels")?,
            frames: count("frames")?,
            parameters: count("parameters")?,
        })
    }

    /// Names and numbers.
    pub(super) fn counts(&self) -> [(&'static str, u64); 4] {
        [
            ("passes", self.passes),
            ("levels", self.levels),
            ("frames", self.frames),
            ("parameters", self.parameters),
        ]
    }
}

/// An error that names what differs.
pub(super) fn same_work(ours: &str, a: &Shape, theirs: &str, b: &Shape) -> Result<()> {
    for ((what, a), (_, b)) in a.counts().into_iter().zip(b.counts()) {
        if a != b {
            bail!("{what}: {a} in {ours}, {b} in {theirs}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SHAPE: Shape = Shape {
        passes: 27,
        levels: 12,
        frames: 500,
        parameters: 365_615_104,
    };

    #[test]
    fn different_work_is_an_error() {
        assert!(same_work("a", &SHAPE, "b", &SHAPE).is_ok());
        let error = |b: Shape| same_work("a", &SHAPE, "b", &b).unwrap_err().to_string();
        let passes = Shape {
            passes: 28,
            ..SHAPE
        };
        assert_eq!(error(passes), "passes: 27 in a, 28 in b");
        let levels = Shape { levels: 8, ..SHAPE };
        assert_eq!(error(levels), "levels: 12 in a, 8 in b");
        let frames = Shape { frames: 1, ..SHAPE };
        assert_eq!(error(frames), "frames: 500 in a, 1 in b");
        let parameters = Shape {
            parameters: 7,
            ..SHAPE
        };
        assert_eq!(error(parameters), "parameters: 365615104 in a, 7 in b");
    }
}
