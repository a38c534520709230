//! The section `global` of a configuration: one vector for a whole row, such as a speaker's.

use serde::{Deserialize, Serialize};

/// Conditioning on one vector for each row, which modulates the norms of every block. It is the
/// sum of what the row gives: its speaker's entry in a table, an embedding from elsewhere, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalConfig {
    /// Channels of the vector.
    pub dim: usize,
    /// Speakers of the table; none, if 0.
    #[serde(default)]
    pub speakers: usize,
    /// Channels of a given embedding; none is taken, if 0.
    #[serde(default)]
    pub embedding: usize,
}

impl GlobalConfig {
    /// A table of so many speakers.
    pub fn speakers(dim: usize, speakers: usize) -> Self {
        Self {
            dim,
            speakers,
            embedding: 0,
        }
    }

    pub(crate) fn problem(&self) -> Option<String> {
        if self.dim == 0 {
            return Some("global.dim is 0".into());
        }
        (self.speakers == 0 && self.embedding == 0)
            .then(|| "global has neither speakers nor an embedding".into())
    }
}
