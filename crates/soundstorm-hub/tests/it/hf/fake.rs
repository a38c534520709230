//! A hub of our own: its answers as the real one gives them, and all that can go wrong on demand.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use sha2::{Digest, Sha256};
use soundstorm_hub::{Fetched, Hub, HubError, HubName, RemoteError, Transfer};

use super::server::{Reply, Request, Server};

/// The repository that it has.
pub(super) const REPOSITORY: &str = "owner/some_codec";
/// Its commits, and what it has of each.
pub(super) const FIRST: &str = "1111111111aaaaaaaaaa1111111111aaaaaaaaaa";
pub(super) const SECOND: &str = "2222222222bbbbbbbbbb2222222222bbbbbbbbbb";
/// A prime, and more than a client reads in one go.
pub(super) const WEIGHTS: usize = 300_007;

/// What a hub has, and how it behaves.
#[derive(Default)]
pub(super) struct State {
    /// Files of each commit.
    pub(super) commits: BTreeMap<&'static str, BTreeMap<&'static str, Vec<u8>>>,
    /// Branches and tags.
    pub(super) refs: BTreeMap<&'static str, &'static str>,
    /// The token that it wants.
    pub(super) token: Option<&'static str>,
    /// Where large files lie, if not on the hub itself.
    pub(super) storage: Option<String>,
    /// Bytes after which the storage's next answers break off.
    pub(super) breaks: VecDeque<usize>,
    /// The storage sends whole files only.
    pub(super) no_ranges: bool,
    /// Bytes that the storage appends.
    pub(super) appended: usize,
    /// The storage changes a byte.
    pub(super) damaged: bool,
    /// Requests that are answered with a status before others are served.
    pub(super) refused: VecDeque<u16>,
    /// What does not exist is answered without the hub's own words.
    pub(super) terse: bool,
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Weights that differ from commit to commit.
pub(super) fn weights(seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..WEIGHTS).map(|_| next()).collect()
}

/// A configuration, of which the hub has git's hash only.
pub(super) fn config(seed: u32) -> Vec<u8> {
    format!("{{\"seed\": {seed}}}").into_bytes()
}

/// A hub with two commits of a repository, and a cache.
pub(super) struct Fake {
    state: Arc<Mutex<State>>,
    pub(super) server: Server,
    home: tempfile::TempDir,
}

impl Fake {
    pub(super) fn start() -> Self {
        let files = |seed| {
            BTreeMap::from([
                ("config.json", config(seed)),
                ("model.safetensors", weights(seed)),
                ("pytorch_model.bin", b"a pickle".to_vec()),
            ])
        };
        let state = Arc::new(Mutex::new(State {
            commits: BTreeMap::from([(FIRST, files(1)), (SECOND, files(2))]),
            refs: BTreeMap::from([("main", FIRST), ("refs/pr/3", SECOND)]),
            ..State::default()
        }));
        let server = serve(&state);
        Self {
            state,
            server,
            home: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A second server, to which large files move.
    pub(super) fn move_storage(&self) -> Server {
        let storage = serve(&self.state);
        self.state().storage = Some(storage.url());
        storage
    }

    /// A client whose environment has these variables too.
    pub(super) fn hub(&self, variables: &[(&str, &str)]) -> Hub {
        self.hub_at(&self.server.url(), variables)
    }

    pub(super) fn hub_at(&self, url: &str, variables: &[(&str, &str)]) -> Hub {
        Hub::from_variables(|name| match name {
            "HF_ENDPOINT" => Some(url.into()),
            "HF_HOME" => Some(self.home.path().into()),
            name => {
                let found = variables.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| value.into())
            }
        })
        .unwrap()
        .with_pause(Duration::ZERO)
    }

    pub(super) fn fetch(&self, revision: &str) -> Result<Fetched, HubError> {
        self.hub(&[]).fetch(&name(revision), &mut |_| ())
    }

    /// Fetches, and expects that it fails.
    pub(super) fn fails(&self, revision: &str) -> RemoteError {
        remote(self.fetch(revision).unwrap_err())
    }

    /// Fetches without a network.
    pub(super) fn offline(&self, revision: &str) -> Result<Fetched, RemoteError> {
        self.server.requests();
        let hub = self.hub(&[("HF_HUB_OFFLINE", "1")]);
        let fetched = hub.fetch(&name(revision), &mut |_: Transfer<'_>| ());
        assert!(self.server.requests().is_empty(), "offline is offline");
        fetched.map_err(remote)
    }

    /// The repository's folder in the cache.
    pub(super) fn folder(&self) -> PathBuf {
        self.home.path().join("hub/models--owner--some_codec")
    }

    pub(super) fn blob(&self, name: &str) -> PathBuf {
        self.folder().join("blobs").join(name)
    }

    /// Where a blob is while it grows.
    pub(super) fn part(&self, name: &str) -> PathBuf {
        self.blob(&format!("{name}.soundstorm-part"))
    }

    /// The names of all blobs, and of what may become one.
    pub(super) fn blobs(&self) -> Vec<String> {
        crate::names(&self.folder().join("blobs"))
    }

    /// Requests since the last call, as `METHOD path`.
    pub(super) fn requests(&self) -> Vec<String> {
        lines(&self.server.requests())
    }
}

pub(super) fn lines(requests: &[Request]) -> Vec<String> {
    let line = |request: &Request| format!("{} {}", request.method, request.path);
    requests.iter().map(line).collect()
}

/// The repository at a revision; none for an empty one.
pub(super) fn name(revision: &str) -> HubName {
    let at = if revision.is_empty() { "" } else { "@" };
    format!("hf:{REPOSITORY}{at}{revision}").parse().unwrap()
}

pub(super) fn remote(error: HubError) -> RemoteError {
    match error {
        HubError::Remote(error) => *error,
        other => panic!("{other}"),
    }
}

/// A file of a snapshot.
pub(super) fn read(folder: &Path, file: &str) -> Vec<u8> {
    std::fs::read(folder.join(file)).unwrap()
}

fn serve(state: &Arc<Mutex<State>>) -> Server {
    let state = state.clone();
    Server::start(move |request| answer(&mut state.lock().unwrap(), request))
}

fn answer(state: &mut State, request: &Request) -> Reply {
    if let Some(status) = state.refused.pop_front() {
        return Reply {
            status,
            ..Reply::default()
        };
    }
    match request.path.strip_prefix("/storage/") {
        Some(hash) => stored(state, request, hash.split('?').next().unwrap()),
        None => resolve(state, request),
    }
}

/// The hub's part: what a file is, and where.
fn resolve(state: &State, request: &Request) -> Reply {
    let refuse = |status, code: &str| Reply {
        status,
        headers: match state.terse {
            true => vec![],
            false => vec![("X-Error-Code", code.to_owned())],
        },
        ..Reply::default()
    };
    let parts = request
        .path
        .strip_prefix(&format!("/{REPOSITORY}/resolve/"));
    let Some((revision, file)) = parts.and_then(|rest| rest.split_once('/')) else {
        // What it says to strangers of a repository that does not exist.
        return refuse(if state.terse { 404 } else { 401 }, "RepoNotFound");
    };
    if let Some(token) = state.token {
        match request.header("authorization") {
            None => return refuse(401, "GatedRepo"),
            Some(given) if given != format!("Bearer {token}") => return refuse(403, "GatedRepo"),
            Some(_) => {}
        }
    }
    let revision = revision.replace("%2F", "/");
    let commit = state.refs.get(revision.as_str()).copied();
    let commit = commit.unwrap_or(revision.as_str());
    let Some(files) = state.commits.get(commit) else {
        return refuse(404, "RevisionNotFound");
    };
    let Some(content) = files.get(file) else {
        return refuse(404, "EntryNotFound");
    };
    let hash = sha256(content);
    let commit = ("X-Repo-Commit", commit.to_owned());
    if file.ends_with(".json") {
        return Reply {
            status: 200,
            headers: vec![commit, ("ETag", format!("\"{}\"", &hash[..40]))],
            body: content.clone(),
            breaks: None,
        };
    }
    let storage = state.storage.as_deref().unwrap_or_default();
    Reply {
        status: 302,
        headers: vec![
            commit,
            ("X-Linked-Etag", format!("\"{hash}\"")),
            ("X-Linked-Size", content.len().to_string()),
            ("Location", format!("{storage}/storage/{hash}?signature=x")),
        ],
        ..Reply::default()
    }
}

/// The storage's part: content by its hash, whole or from a byte on.
fn stored(state: &mut State, request: &Request, hash: &str) -> Reply {
    let all = state.commits.values().flat_map(BTreeMap::values);
    let Some(content) = all.into_iter().find(|content| sha256(content) == hash) else {
        return Reply {
            status: 403,
            ..Reply::default()
        };
    };
    let mut body = content.clone();
    body.extend(vec![7; state.appended]);
    if state.damaged {
        body[WEIGHTS / 2] ^= 1;
    }
    let range = request.header("range").filter(|_| !state.no_ranges);
    let from = range.map(|range| {
        let from = range
            .strip_prefix("bytes=")
            .and_then(|r| r.strip_suffix('-'));
        from.unwrap().parse::<usize>().unwrap()
    });
    let mut headers = vec![("ETag", "\"of the storage\"".to_owned())];
    if let Some(from) = from {
        let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
        headers.push(("Content-Range", range));
        body.drain(..from);
    }
    Reply {
        status: if from.is_some() { 206 } else { 200 },
        headers,
        body,
        breaks: state.breaks.pop_front(),
    }
}
