//! Models and codecs from the Hugging Face hub: fetched once, kept where its Python library keeps
//! them, and pinned to a commit.

mod cache;
mod client;
mod endpoint;
mod error;
mod meta;
mod part;
mod settings;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

pub use error::RemoteError;

use self::{
    cache::{Cache, Snapshot},
    client::Client,
    meta::{Meta, Reply},
    settings::Settings,
};
use crate::{CONFIG_FILE, HubError, HubName, Transfer, WEIGHTS_FILE, sha256_file};

/// What tells that weights are split over several files.
const INDEX_FILE: &str = "model.safetensors.index.json";

/// Access to the hub, and the cache of what was fetched from it.
pub struct Hub {
    client: Client,
    cache: Cache,
    offline: bool,
}

/// A repository that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The folder with `config.json` and `model.safetensors`. It belongs to the cache: others may
    /// read it too, and nobody writes there.
    pub folder: PathBuf,
    /// `owner/name`.
    pub repo: String,
    /// The commit that the revision meant.
    pub commit: String,
    /// SHA-256 of the weights, in hexadecimal. It was compared with the hub's when they were
    /// fetched here; of weights that were in the cache it is what the cache calls them by, or, where
    /// that is no SHA-256, taken from the file.
    pub sha256: String,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client holds a token.
        f.debug_struct("Hub")
            .field("endpoint", &self.client.endpoint().as_str())
            .field("cache", &self.cache.root())
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// The hub as the environment describes it, by the variables that Python's `huggingface_hub`
    /// knows: `HF_ENDPOINT`; `HF_HUB_CACHE`, or `hub` below `HF_HOME`; `HF_TOKEN`, or the file
    /// `HF_TOKEN_PATH`, or `token` below `HF_HOME`; `HF_HUB_OFFLINE`.
    ///
    /// # Errors
    /// A variable has a value that cannot be used, or there is no home for the cache.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// As [`Self::from_env`], with the variables that `get` tells.
    ///
    /// # Errors
    /// As [`Self::from_env`]'s.
    pub fn from_variables(
        get: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self, HubError> {
        let settings = Settings::new(&get)?;
        Ok(Self {
            client: Client::new(settings.endpoint, settings.token),
            cache: Cache::new(settings.cache),
            offline: settings.offline,
        })
    }

    /// The pause before the second attempt of a request that failed on its way, which doubles with
    /// every further one; half a second unless this says otherwise.
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.client.pause = pause;
        self
    }

    /// The folder that holds every repository's files.
    pub fn cache(&self) -> &Path {
        self.cache.root()
    }

    /// Brings a repository's `config.json` and `model.safetensors` here, unless the cache has them.
    /// Nothing else is ever fetched: pickles in particular are not.
    ///
    /// A branch or tag is looked up on the hub at every call, and the commit that it means is
    /// logged; a whole commit hash needs no network once it is here. A file appears in the cache
    /// when it is complete and its hash is right; a download that stops half-way is continued by
    /// the next call.
    ///
    /// # Errors
    /// [`HubError::Remote`] with what to do about it, or a file of the cache cannot be written.
    pub fn fetch(
        &self,
        name: &HubName,
        progress: &mut dyn FnMut(Transfer<'_>),
    ) -> Result<Fetched, HubError> {
        if self.offline {
            let snapshot = self.cache.find(name)?;
            return self.finish(name, snapshot, None);
        }
        if let Some(commit) = name.commit() {
            let snapshot = self.cache.snapshot(name, commit);
            if snapshot.missing().is_none() {
                return self.finish(name, snapshot, None);
            }
        }
        let config = match self.client.meta(name, name.revision(), CONFIG_FILE) {
            Ok(Reply::Found(meta)) => meta,
            Ok(Reply::Absent) => {
                return Err(RemoteError::missing(name, CONFIG_FILE).into());
            }
            Err(error) => return Err(self.with_hint(name, error)),
        };
        let commit = config.commit.clone();
        tracing::info!("{name} is commit {commit}");
        let snapshot = self.cache.snapshot(name, &commit);
        let mut sha256 = None;
        if let Some(file) = snapshot.missing() {
            tracing::debug!("{name}: {file} is not in the cache");
            // Asked for before anything is fetched: without weights the rest is of no use.
            let weights = self.weights(name, &commit)?;
            self.bring(name, &snapshot, CONFIG_FILE, &config, progress)?;
            sha256 = Some(self.bring(name, &snapshot, WEIGHTS_FILE, &weights, progress)?);
        }
        self.cache.refer(name, &commit)?;
        self.finish(name, snapshot, sha256)
    }

    /// What the hub says of the weights.
    fn weights(&self, name: &HubName, commit: &str) -> Result<Meta, HubError> {
        let ask = |file| match self.client.meta(name, commit, file) {
            // Not every mirror tells what is missing. The commit was there a moment ago.
            Err(RemoteError::NotFound { .. }) => Ok(Reply::Absent),
            reply => reply,
        };
        if let Reply::Found(meta) = ask(WEIGHTS_FILE)? {
            return Ok(meta);
        }
        Err(match ask(INDEX_FILE)? {
            Reply::Found(_) => RemoteError::Sharded { name: name.clone() },
            Reply::Absent => RemoteError::missing(name, WEIGHTS_FILE),
        }
        .into())
    }

    /// Puts one file into the cache, and tells its SHA-256.
    fn bring(
        &self,
        name: &HubName,
        snapshot: &Snapshot,
        file: &'static str,
        meta: &Meta,
        progress: &mut dyn FnMut(Transfer<'_>),
    ) -> Result<String, HubError> {
        let blob = self.cache.blob(name, &meta.etag);
        let sha256 = blob.fill(file, meta, |part| {
            tracing::info!("fetching {file} of {}", name.repository());
            self.client.download(name, file, meta, part, progress)
        })?;
        snapshot.link(file, &blob)?;
        match sha256.or_else(|| meta.sha256().map(str::to_owned)) {
            Some(sha256) => Ok(sha256),
            None => sha256_file(snapshot.path(file)),
        }
    }

    fn finish(
        &self,
        name: &HubName,
        snapshot: Snapshot,
        sha256: Option<String>,
    ) -> Result<Fetched, HubError> {
        let sha256 = match sha256 {
            Some(sha256) => sha256,
            None => snapshot.weights_sha256()?,
        };
        tracing::debug!("{name}: commit {}, weights {sha256}", snapshot.commit());
        Ok(Fetched {
            folder: snapshot.folder().to_path_buf(),
            repo: name.repository().to_owned(),
            commit: snapshot.commit().to_owned(),
            sha256,
        })
    }

    /// A failed connection is told together with what the cache could do instead.
    fn with_hint(&self, name: &HubName, mut error: RemoteError) -> HubError {
        if let RemoteError::NoConnection { cached, .. } = &mut error
            && self.cache.find(name).is_ok()
        {
            *cached = Some(self.cache.root().to_path_buf());
        }
        error.into()
    }
}
