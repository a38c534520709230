//! The environment's variables, read as Python's `huggingface_hub` reads them.

use std::{
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use super::{RemoteError, endpoint::Endpoint};
use crate::HubError;

/// Values that switch something on, in capitals.
const TRUE: [&str; 4] = ["1", "ON", "YES", "TRUE"];

/// A secret that no message shows.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(String);

impl Token {
    /// The value of the header that sends it.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// How to reach the hub, and where to keep what comes.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) endpoint: Endpoint,
    /// The folder of all repositories.
    pub(super) cache: PathBuf,
    pub(super) token: Option<Token>,
    pub(super) offline: bool,
}

impl Settings {
    pub(super) fn new(get: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, HubError> {
        // A variable that is set to nothing is as good as none.
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let text = |name: &str| get(name).map(|value| value.to_string_lossy().into_owned());
        let switch = |name: &str| text(name).is_some_and(|value| is_true(&value));

        let endpoint = match text("HF_ENDPOINT") {
            None => Endpoint::default(),
            Some(address) => {
                Endpoint::new(&address).ok_or_else(|| RemoteError::Setting {
                    variable: "HF_ENDPOINT",
                    message: "expected the address of a server, such as https://huggingface.co, without a password".into(),
                })?
            }
        };

        let user = get("HOME")
            .or_else(|| get("USERPROFILE"))
            .map(PathBuf::from);
        let path = |name: &str| get(name).map(|value| expand(value.into(), user.as_deref()));
        let home = path("HF_HOME").or_else(|| {
            let caches = path("XDG_CACHE_HOME");
            let caches = caches.or_else(|| Some(user.as_ref()?.join(".cache")));
            Some(caches?.join("huggingface"))
        });
        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| Some(home.as_ref()?.join("hub")))
            .ok_or_else(|| RemoteError::Setting {
                variable: "HF_HOME",
                message: "there is no home folder for the cache; set this to a folder".into(),
            })?;

        let token = match switch("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            true => None,
            false => {
                let variables = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];
                let given = variables
                    .into_iter()
                    .find_map(|name| Some((name, text(name)?)));
                let file = path("HF_TOKEN_PATH").or_else(|| Some(home?.join("token")));
                match (given, file) {
                    (Some((name, value)), _) => token(name, &value)?,
                    (None, Some(file)) => match read_token(&file)? {
                        Some(value) => token("HF_TOKEN_PATH", &value)?,
                        None => None,
                    },
                    (None, None) => None,
                }
            }
        };
        Ok(Self {
            endpoint,
            cache,
            token,
            offline: switch("HF_HUB_OFFLINE") || switch("TRANSFORMERS_OFFLINE"),
        })
    }
}

fn is_true(value: &str) -> bool {
    TRUE.contains(&value.to_uppercase().as_str())
}

/// A path with `~` at its beginning replaced.
fn expand(path: PathBuf, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

fn read_token(path: &Path) -> Result<Option<String>, HubError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HubError::io("read", path)(error)),
    }
}

/// A token as it goes into a header; blanks around it are none of it.
fn token(variable: &'static str, text: &str) -> Result<Option<Token>, RemoteError> {
    let text = text.trim();
    match text {
        "" => Ok(None),
        text if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Some(Token(text.to_owned()))),
        _ => Err(RemoteError::Setting {
            variable,
            message: "the token has characters that no token has".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, HubError> {
        Settings::new(&|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_cache_is_where_python_has_it() {
        for (variables, cache) in [
            (&[("HOME", "/h")][..], "/h/.cache/huggingface/hub"),
            (&[("USERPROFILE", "/u")], "/u/.cache/huggingface/hub"),
            (
                &[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")],
                "/x/huggingface/hub",
            ),
            (&[("HF_HOME", "/hf"), ("XDG_CACHE_HOME", "/x")], "/hf/hub"),
            (&[("HOME", "/h"), ("HF_HOME", "~/hf")], "/h/hf/hub"),
            (
                &[("HOME", "/h"), ("HF_HOME", "")],
                "/h/.cache/huggingface/hub",
            ),
            (&[("HF_HOME", "/hf"), ("HUGGINGFACE_HUB_CACHE", "/o")], "/o"),
            (
                &[("HUGGINGFACE_HUB_CACHE", "/o"), ("HF_HUB_CACHE", "/c")],
                "/c",
            ),
        ] {
            assert_eq!(settings(variables).unwrap().cache, Path::new(cache));
        }
        let error = settings(&[]).unwrap_err().to_string();
        assert!(error.contains("HF_HOME"), "{error}");
    }

    #[test]
    fn switches_and_addresses() {
        let plain = settings(&[("HOME", "/h")]).unwrap();
        assert_eq!(plain.endpoint, Endpoint::default());
        assert!(!plain.offline);
        for (value, offline) in [("1", true), ("yes", true), ("0", false), ("off", false)] {
            for name in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
                let settings = settings(&[("HOME", "/h"), (name, value)]).unwrap();
                assert_eq!(settings.offline, offline, "{name}={value}");
            }
        }
        let mirror = settings(&[("HOME", "/h"), ("HF_ENDPOINT", "http://m:1/")]).unwrap();
        assert_eq!(mirror.endpoint.as_str(), "http://m:1");
        let error = settings(&[("HOME", "/h"), ("HF_ENDPOINT", "m")]).unwrap_err();
        assert!(error.to_string().contains("HF_ENDPOINT"), "{error}");
    }

    #[test]
    fn tokens_come_from_variables_or_files_and_are_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        let other = dir.path().join("other");
        let other = other.to_str().unwrap();
        let found = |variables: &[(&str, &str)]| {
            let variables = [&[("HF_HOME", home)][..], variables].concat();
            let token = settings(&variables).unwrap().token?;
            assert_eq!(format!("{token:?}"), "Token(..)");
            Some(token.header())
        };
        assert_eq!(found(&[]), None);
        fs::write(dir.path().join("token"), "in_home\n").unwrap();
        assert_eq!(found(&[]).unwrap(), "Bearer in_home");
        fs::write(other, " in_file\r\n").unwrap();
        assert_eq!(
            found(&[("HF_TOKEN_PATH", other)]).unwrap(),
            "Bearer in_file"
        );
        let both = [("HF_TOKEN_PATH", other), ("HF_TOKEN", "given")];
        assert_eq!(found(&both).unwrap(), "Bearer given");
        let old = [("HUGGING_FACE_HUB_TOKEN", "old")];
        assert_eq!(found(&old).unwrap(), "Bearer old");
        let disabled = [
            ("HF_TOKEN", "given"),
            ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"),
        ];
        assert_eq!(found(&disabled), None);

        let error = settings(&[("HF_HOME", home), ("HF_TOKEN", "se\ncret")]).unwrap_err();
        let error = format!("{error} {error:?}");
        assert!(
            error.contains("HF_TOKEN") && !error.contains("cret"),
            "{error}"
        );
    }
}
