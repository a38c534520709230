//! What can go wrong between here and the hub, and what to do about it.

use std::{io, path::PathBuf};

use crate::{HubError, HubName};

/// Why a repository could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// A variable of the environment has a value that cannot be used.
    #[error("{variable}: {message}")]
    Setting {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The hub cannot be reached.
    #[error(
        "{name}: no connection to {endpoint} ({cause}); give a folder, or set HF_ENDPOINT to a mirror{}",
        offline_hint(cached.as_ref())
    )]
    NoConnection {
        /// What was to be fetched.
        name: HubName,
        /// The hub's address.
        endpoint: String,
        /// What failed.
        cause: String,
        /// The cache, where it has this name from an earlier time.
        cached: Option<PathBuf>,
    },
    /// The repository does not exist, or is hidden.
    #[error(
        "{name}: the hub has no such repository or revision, or it is private: check the name, {}",
        token_hint(*token)
    )]
    NotFound {
        /// What was to be fetched.
        name: HubName,
        /// Whether a token was sent.
        token: bool,
    },
    /// The repository exists, its revision does not.
    #[error(
        "{name}: the repository has no revision `{}`; a branch, a tag and a whole commit hash are revisions",
        name.revision()
    )]
    NoRevision {
        /// What was to be fetched.
        name: HubName,
    },
    /// The hub refuses access.
    #[error(
        "{name}: the hub refuses access (status {status}): accept the repository's conditions at {page}, {}",
        token_hint(*token)
    )]
    Denied {
        /// What was to be fetched.
        name: HubName,
        /// The HTTP status.
        status: u16,
        /// The repository's page.
        page: String,
        /// Whether a token was sent.
        token: bool,
    },
    /// The repository lacks a file.
    #[error(
        "{name}: the repository has no {file}, and only config.json and model.safetensors are fetched; a checkpoint of another kind can be downloaded by hand and given to `soundstorm import`"
    )]
    MissingFile {
        /// What was to be fetched.
        name: HubName,
        /// The file.
        file: &'static str,
    },
    /// The weights are split over several files.
    #[error(
        "{name}: the weights are split over several files, which is not supported; save them as one model.safetensors and give its folder"
    )]
    Sharded {
        /// What was to be fetched.
        name: HubName,
    },
    /// The network is switched off, and the cache does not help.
    #[error(
        "{name}: HF_HUB_OFFLINE is set, and the cache {} has {lacks}; unset it, or give a folder",
        cache.display()
    )]
    Offline {
        /// What was to be fetched.
        name: HubName,
        /// The cache.
        cache: PathBuf,
        /// What it lacks: `no such repository or revision`, or a file.
        lacks: String,
    },
    /// What came is not what the hub says that it has.
    #[error(
        "{name}: {file} came damaged: expected SHA-256 {expected}, got {got}; nothing was kept, try again"
    )]
    Hash {
        /// What was to be fetched.
        name: HubName,
        /// The file.
        file: &'static str,
        /// The hub's hash.
        expected: String,
        /// That of what came.
        got: String,
    },
    /// More came than the hub says that there is.
    #[error("{name}: {file} is longer than announced: expected {expected} bytes; nothing was kept")]
    TooLong {
        /// What was to be fetched.
        name: HubName,
        /// The file.
        file: &'static str,
        /// Bytes that were announced.
        expected: u64,
    },
    /// The connection broke again and again.
    #[error(
        "{name}: {file} broke off at byte {done} ({cause}), {attempts} times in a row; what came is kept, try again to continue"
    )]
    Interrupted {
        /// What was to be fetched.
        name: HubName,
        /// The file.
        file: &'static str,
        /// Bytes that are here.
        done: u64,
        /// How often in a row.
        attempts: u32,
        /// What failed last.
        cause: String,
    },
    /// There is no room for a file.
    #[error("the disk is full: no room at {} for {file}{}; free some, or set HF_HOME to another disk", path.display(), size_hint(*bytes))]
    DiskFull {
        /// The cache's file.
        path: PathBuf,
        /// The repository's file.
        file: &'static str,
        /// Its length in bytes, where it is known.
        bytes: Option<u64>,
        /// The system's own error.
        source: io::Error,
    },
    /// The hub answers with an error of its own.
    #[error("{name}: the hub answers with status {status}; try again later")]
    Server {
        /// What was to be fetched.
        name: HubName,
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not as a hub answers.
    #[error("{name}: {endpoint} does not answer as a hub does: {message}")]
    Protocol {
        /// What was to be fetched.
        name: HubName,
        /// The hub's address.
        endpoint: String,
        /// What is wrong with the answer.
        message: String,
    },
}

impl RemoteError {
    pub(super) fn missing(name: &HubName, file: &'static str) -> Self {
        let name = name.clone();
        Self::MissingFile { name, file }
    }
}

impl From<RemoteError> for HubError {
    fn from(error: RemoteError) -> Self {
        Self::Remote(Box::new(error))
    }
}

fn offline_hint(cached: Option<&PathBuf>) -> String {
    cached.map_or_else(String::new, |cache| {
        let cache = cache.display();
        format!(", or set HF_HUB_OFFLINE=1 to take what the cache {cache} has")
    })
}

fn token_hint(token: bool) -> &'static str {
    match token {
        true => "or set HF_TOKEN to a token that may read it",
        false => "or set HF_TOKEN",
    }
}

fn size_hint(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| format!(" ({bytes} bytes)"))
}
