//! Requests to the hub and to the storage that it sends us to.

use std::{
    io::{self, Read},
    thread,
    time::Duration,
};

use ureq::{
    Agent, Body,
    http::{Response, StatusCode, header},
};

use super::{
    Meta, RemoteError, Reply, endpoint::Endpoint, meta::Trail, part::Part, settings::Token,
};
use crate::{HubError, HubName, Transfer};

/// What we call ourselves.
const USER_AGENT: &str = concat!("soundstorm/", env!("CARGO_PKG_VERSION"));
/// Redirections that are followed.
const MAX_REDIRECTIONS: usize = 8;
/// Attempts in a row that may bring nothing.
const ATTEMPTS: u32 = 5;
/// The pause before the second attempt.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the other side may say nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// A client of one hub.
pub(super) struct Client {
    agent: Agent,
    endpoint: Endpoint,
    token: Option<Token>,
    /// The pause before the second attempt, which doubles from there.
    pub(super) pause: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Head,
    /// From a byte on.
    Get(u64),
}

/// Why there is no answer to use.
enum Failure {
    Connection(String),
    Status {
        status: StatusCode,
        /// What the hub calls it.
        code: Option<String>,
        /// Whether the hub itself says so, and not its storage.
        from_hub: bool,
    },
    Protocol(&'static str),
}

/// Why a download stopped.
enum Stop {
    /// It may go on.
    Broken(String),
    Failed(HubError),
}

impl From<HubError> for Stop {
    fn from(error: HubError) -> Self {
        Self::Failed(error)
    }
}

impl Client {
    pub(super) fn new(endpoint: Endpoint, token: Option<Token>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Followed here: the headers of a redirection matter, and a token stays with the hub.
            .max_redirects(0)
            .user_agent(USER_AGENT)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build();
        Self {
            agent: config.new_agent(),
            endpoint,
            token,
            pause: PAUSE,
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks after a file.
    pub(super) fn meta(
        &self,
        name: &HubName,
        revision: &str,
        file: &'static str,
    ) -> Result<Reply, RemoteError> {
        let url = self.endpoint.file(name.repository(), revision, file);
        let mut attempt = 1;
        let (_, trail) = loop {
            match self.request(Method::Head, &url) {
                Ok(answer) => break answer,
                Err(Failure::Status { status, .. }) if is_busy(status) && attempt < ATTEMPTS => {
                    self.wait(attempt);
                    attempt += 1;
                }
                Err(failure) => {
                    return match self.error(name, file, failure) {
                        RemoteError::MissingFile { .. } => Ok(Reply::Absent),
                        error => Err(error),
                    };
                }
            }
        };
        let meta = trail.into_meta();
        meta.map(Reply::Found)
            .map_err(|message| self.protocol(name, message))
    }

    /// Downloads a file into `part`, from where that is, checks it, and tells its SHA-256.
    pub(super) fn download(
        &self,
        name: &HubName,
        file: &'static str,
        meta: &Meta,
        part: &mut Part,
        progress: &mut dyn FnMut(Transfer<'_>),
    ) -> Result<String, HubError> {
        let url = self.endpoint.file(name.repository(), &meta.commit, file);
        let mut idle = 0;
        loop {
            let before = part.done();
            match self.stream(name, file, &url, meta.size, part, progress) {
                Ok(()) => {}
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Broken(cause)) => {
                    idle = if part.done() > before { 1 } else { idle + 1 };
                    if idle == ATTEMPTS {
                        part.keep();
                        return Err(RemoteError::Interrupted {
                            name: name.clone(),
                            file,
                            done: part.done(),
                            attempts: ATTEMPTS,
                            cause,
                        }
                        .into());
                    }
                    tracing::debug!("{file} broke off at byte {}: {cause}", part.done());
                    self.wait(idle);
                    continue;
                }
            }
            let got = part.sha256();
            match meta.sha256() {
                Some(expected) if expected != got && part.leftover() => {
                    tracing::warn!("{file}: what an earlier download left is damaged, once more");
                    part.restart()?;
                }
                Some(expected) if expected != got => {
                    return Err(RemoteError::Hash {
                        name: name.clone(),
                        file,
                        expected: expected.to_owned(),
                        got,
                    }
                    .into());
                }
                _ => return Ok(got),
            }
        }
    }

    /// One attempt to bring what a part lacks.
    fn stream(
        &self,
        name: &HubName,
        file: &'static str,
        url: &str,
        size: Option<u64>,
        part: &mut Part,
        progress: &mut dyn FnMut(Transfer<'_>),
    ) -> Result<(), Stop> {
        let from = part.done();
        if size == Some(from) {
            return Ok(());
        }
        let response = match self.request(Method::Get(from), url) {
            Ok((response, _)) => response,
            Err(Failure::Connection(cause)) => return Err(Stop::Broken(cause)),
            Err(Failure::Status { status, .. }) if is_busy(status) => {
                return Err(Stop::Broken(format!("status {}", status.as_u16())));
            }
            Err(Failure::Status { status, .. }) if status == StatusCode::RANGE_NOT_SATISFIABLE => {
                part.restart()?;
                return Err(Stop::Broken("the rest is refused".into()));
            }
            Err(failure) => return Err(HubError::from(self.error(name, file, failure)).into()),
        };
        if from > 0 && starts_at(&response) != Some(from) {
            // The whole file comes again.
            part.restart()?;
            if response.status() == StatusCode::PARTIAL_CONTENT {
                return Err(Stop::Broken("another part came than was asked for".into()));
            }
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 17];
        loop {
            let bytes = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => &buffer[..n],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Stop::Broken(error.to_string())),
            };
            if let Some(expected) = size
                && part.done() + bytes.len() as u64 > expected
            {
                let name = name.clone();
                let error = RemoteError::TooLong {
                    name,
                    file,
                    expected,
                };
                return Err(HubError::from(error).into());
            }
            part.write(bytes)?;
            progress(Transfer {
                file,
                done: part.done(),
                total: size,
            });
        }
        match size {
            Some(size) if part.done() < size => {
                Err(Stop::Broken("the connection was closed".into()))
            }
            _ => Ok(()),
        }
    }

    /// Sends a request and follows where it leads. A question stops where the answers can tell no
    /// more: storage has nothing to add, and may not answer such questions.
    fn request(&self, method: Method, url: &str) -> Result<(Response<Body>, Trail), Failure> {
        let mut url = url.to_owned();
        let mut trail = Trail::default();
        for _ in 0..=MAX_REDIRECTIONS {
            let response = self.send(method, &url)?;
            let status = response.status();
            let from_hub = self.endpoint.owns(&url);
            let header = |name: &str| response.headers().get(name)?.to_str().ok();
            if status.is_client_error() || status.is_server_error() {
                let code = header("x-error-code").map(str::to_owned);
                return Err(Failure::Status {
                    status,
                    code,
                    from_hub,
                });
            }
            trail.add(response.headers(), status.is_redirection());
            if !status.is_redirection() {
                return Ok((response, trail));
            }
            let target = header("location")
                .and_then(|location| Endpoint::redirected(&url, location))
                .ok_or(Failure::Protocol("a redirection leads nowhere"))?;
            let enough = trail.is_complete() || !self.endpoint.owns(&target);
            if method == Method::Head && enough {
                return Ok((response, trail));
            }
            url = target;
        }
        Err(Failure::Protocol("there are too many redirections"))
    }

    fn send(&self, method: Method, url: &str) -> Result<Response<Body>, Failure> {
        let mut request = match method {
            Method::Head => self.agent.head(url),
            Method::Get(_) => self.agent.get(url),
        };
        // Lengths and hashes are those of the file, not of something packed.
        request = request.header(header::ACCEPT_ENCODING, "identity");
        if let Method::Get(from) = method
            && from > 0
        {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = &self.token
            && self.endpoint.owns(url)
        {
            request = request.header(header::AUTHORIZATION, token.header());
        }
        request.call().map_err(|error| match error {
            // Its text would show an address of the storage, which may hold a signature.
            ureq::Error::BadUri(_) => Failure::Protocol("a redirection leads to no address"),
            error => Failure::Connection(error.to_string()),
        })
    }

    fn wait(&self, attempt: u32) {
        thread::sleep(self.pause * 2_u32.pow(attempt - 1));
    }

    /// What a failure means to a user.
    fn error(&self, name: &HubName, file: &'static str, failure: Failure) -> RemoteError {
        let (status, code, from_hub) = match failure {
            Failure::Connection(cause) => {
                return RemoteError::NoConnection {
                    name: name.clone(),
                    endpoint: self.endpoint.as_str().to_owned(),
                    cause,
                    cached: None,
                };
            }
            Failure::Protocol(message) => return self.protocol(name, message),
            Failure::Status {
                status,
                code,
                from_hub,
            } => (status.as_u16(), code, from_hub),
        };
        let name = name.clone();
        let token = self.token.is_some();
        match (status, code.as_deref()) {
            _ if !from_hub => RemoteError::Server { name, status },
            (_, Some("EntryNotFound")) => RemoteError::MissingFile { name, file },
            (_, Some("RevisionNotFound")) => RemoteError::NoRevision { name },
            // The hub says 401 to strangers of what does not exist, so as not to tell what does.
            (_, Some("RepoNotFound")) | (404, _) => RemoteError::NotFound { name, token },
            (401 | 403, _) => RemoteError::Denied {
                page: format!("{}/{}", self.endpoint.as_str(), name.repository()),
                name,
                status,
                token,
            },
            _ => RemoteError::Server { name, status },
        }
    }

    fn protocol(&self, name: &HubName, message: impl Into<String>) -> RemoteError {
        RemoteError::Protocol {
            name: name.clone(),
            endpoint: self.endpoint.as_str().to_owned(),
            message: message.into(),
        }
    }
}

/// Whether a status passes if one waits.
fn is_busy(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

/// The byte at which a partial answer starts.
fn starts_at(response: &Response<Body>) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let range = response.headers().get(header::CONTENT_RANGE)?;
    let (from, _) = range
        .to_str()
        .ok()?
        .strip_prefix("bytes ")?
        .split_once('-')?;
    from.parse().ok()
}
