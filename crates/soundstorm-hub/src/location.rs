//! Where a model or codec is: a folder here, or a name on the hub.

use std::{ffi::OsString, fmt, path::PathBuf, str::FromStr};

use crate::HubError;

/// What a name on the hub begins with.
const PREFIX: &str = "hf:";
/// The revision that stands for none.
const DEFAULT_REVISION: &str = "main";
/// The longest name of a repository that the hub gives, owner included.
const MAX_REPOSITORY: usize = 96;
/// The longest revision that is accepted: git's own limit is that of a file's name.
const MAX_REVISION: usize = 255;

/// A model or codec, as a user gives it.
///
/// Text that begins with `hf:` is a [`HubName`]; all else is a folder. A folder whose name begins
/// so is `./hf:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A repository on the hub.
    Hub(HubName),
}

impl FromStr for Location {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.starts_with(PREFIX) {
            true => text.parse().map(Self::Hub),
            false => Ok(Self::Folder(text.into())),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Hub(name) => name.fmt(f),
        }
    }
}

impl TryFrom<OsString> for Location {
    type Error = NameError;

    /// As from text; a folder's name need not be text.
    fn try_from(given: OsString) -> Result<Self, NameError> {
        match given.to_str() {
            Some(text) => text.parse(),
            None => Ok(Self::Folder(given.into())),
        }
    }
}

/// How far the download of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer<'a> {
    /// The file's name in its repository.
    pub file: &'a str,
    /// Bytes that are here.
    pub done: u64,
    /// Bytes that it has, where the hub tells.
    pub total: Option<u64>,
}

/// The local folder of a location: itself, or what was fetched from the hub with the settings of
/// the environment (see `Hub::from_env`, with the feature `hf`).
///
/// # Errors
/// The name cannot be fetched, or this build lacks the feature `hf`. Whether the folder exists is
/// for those to say who open it.
pub fn resolve(
    location: &Location,
    progress: &mut dyn FnMut(Transfer<'_>),
) -> Result<PathBuf, HubError> {
    match location {
        Location::Folder(folder) => Ok(folder.clone()),
        Location::Hub(name) => fetch(name, progress),
    }
}

#[cfg(feature = "hf")]
fn fetch(name: &HubName, progress: &mut dyn FnMut(Transfer<'_>)) -> Result<PathBuf, HubError> {
    Ok(crate::Hub::from_env()?.fetch(name, progress)?.folder)
}

#[cfg(not(feature = "hf"))]
fn fetch(name: &HubName, _: &mut dyn FnMut(Transfer<'_>)) -> Result<PathBuf, HubError> {
    Err(HubError::Invalid {
        operation: "fetch a name of the hub",
        expected: "a folder, as this build lacks the feature `hf`".into(),
        got: name.to_string(),
    })
}

/// A repository on the hub and its revision, written `hf:owner/name` or `hf:owner/name@revision`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HubName {
    repository: String,
    revision: Option<String>,
}

impl HubName {
    /// `owner/name`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The branch, tag or commit; `main` where none was given.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }

    /// The revision, where it is a whole commit hash and so always means the same.
    pub fn commit(&self) -> Option<&str> {
        self.revision.as_deref().filter(|text| is_commit(text))
    }
}

/// Whether text is a whole commit hash.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_hex(text)
}

/// Whether text consists of hexadecimal digits as hashes are written: small ones.
pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.repository)?;
        match &self.revision {
            Some(revision) => write!(f, "@{revision}"),
            None => Ok(()),
        }
    }
}

/// Text that is no name of a repository on the hub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no name on the hub: expected hf:owner/name or hf:owner/name@revision, {why}")]
pub struct NameError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl FromStr for HubName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = |why| NameError {
            text: text.to_owned(),
            why,
        };
        let rest = text
            .strip_prefix(PREFIX)
            .ok_or_else(|| wrong("which begins with `hf:`"))?;
        let (repository, revision) = match rest.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision)),
            None => (rest, None),
        };
        check_repository(repository).map_err(wrong)?;
        if let Some(revision) = revision {
            check_revision(revision).map_err(wrong)?;
        }
        Ok(Self {
            repository: repository.to_owned(),
            revision: revision.map(str::to_owned),
        })
    }
}

/// The hub's rules for names; they also keep a name from leaving the cache's folder.
fn check_repository(repository: &str) -> Result<(), &'static str> {
    let mut parts = repository.split('/');
    let (Some(owner), Some(name), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err("with one slash between owner and name");
    };
    for part in [owner, name] {
        if part.is_empty() {
            return Err("with an owner and a name");
        }
        if !part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        {
            return Err("of letters, digits, `-`, `_` and `.`");
        }
        if part.starts_with(['-', '.']) || part.ends_with(['-', '.']) {
            return Err("whose parts do not begin or end with `-` or `.`");
        }
        if part.contains("--") || part.contains("..") {
            return Err("without `--` and `..`");
        }
    }
    if name.ends_with(".git") {
        return Err("whose name does not end with `.git`");
    }
    if repository.len() > MAX_REPOSITORY {
        return Err("of at most 96 characters");
    }
    Ok(())
}

/// Git's rules for references, and a little stricter: a revision becomes a path in the cache.
fn check_revision(revision: &str) -> Result<(), &'static str> {
    if revision.is_empty() {
        return Err("with a revision behind `@`");
    }
    if revision.len() > MAX_REVISION {
        return Err("with a revision of at most 255 characters");
    }
    if !revision
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.+/".contains(&b))
    {
        return Err("with a revision of letters, digits, `-`, `_`, `.`, `+` and `/`");
    }
    let path = |part: &str| {
        part.is_empty() || part.starts_with('.') || part.ends_with('.') || part.contains("..")
    };
    if revision.split('/').any(path) {
        return Err("with a revision that is a branch, a tag or a commit");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn name(text: &str) -> HubName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_taken_apart() {
        let plain = name("hf:facebook/encodec_24khz");
        assert_eq!(plain.repository(), "facebook/encodec_24khz");
        assert_eq!(plain.revision(), "main");
        assert_eq!(plain.commit(), None);

        let tagged = name("hf:a-b/c.d_e@refs/pr/7");
        assert_eq!(tagged.repository(), "a-b/c.d_e");
        assert_eq!(tagged.revision(), "refs/pr/7");
        assert_eq!(tagged.commit(), None);

        let commit = "0123456789abcdef0123456789abcdef01234567";
        let pinned = name(&format!("hf:o/n@{commit}"));
        assert_eq!(pinned.commit(), Some(commit));
        // A branch may look like most of a commit.
        for text in [&commit[1..], &commit.to_uppercase()] {
            assert_eq!(name(&format!("hf:o/n@{text}")).commit(), None);
        }
    }

    #[test]
    fn names_are_written_as_they_were_given() {
        for text in ["hf:o/n", "hf:o/n@main", "hf:o/n@v1.0+b"] {
            assert_eq!(name(text).to_string(), text);
            let location: Location = text.parse().unwrap();
            assert_eq!(location, Location::Hub(name(text)));
            assert_eq!(location.to_string(), text);
        }
    }

    #[test]
    fn all_else_is_a_folder() {
        for text in ["models/a", "./hf:o/n", "HF:o/n", "o/n@main", "hf"] {
            let location: Location = text.parse().unwrap();
            assert_eq!(location, Location::Folder(text.into()));
            assert_eq!(location.to_string(), text);
            assert_eq!(
                resolve(&location, &mut |_| ()).unwrap(),
                PathBuf::from(text)
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_need_not_be_text() {
        use std::os::unix::ffi::OsStringExt;
        let given = OsString::from_vec(b"hf:\xff".to_vec());
        let location = Location::try_from(given.clone()).unwrap();
        assert_eq!(location, Location::Folder(given.into()));
        let named = Location::try_from(OsString::from("hf:o/n"));
        assert_eq!(named.unwrap(), Location::Hub(name("hf:o/n")));
    }

    #[test]
    fn malformed_names_say_what_is_wrong() {
        let long = format!("hf:o/{}", "n".repeat(95));
        let longer = format!("hf:o/n@{}", "r".repeat(256));
        for (text, why) in [
            ("hf:", "one slash"),
            ("hf:encodec_24khz", "one slash"),
            ("hf:a/b/c", "one slash"),
            ("hf:/n", "an owner"),
            ("hf:o/", "a name"),
            ("hf:o/n m", "letters"),
            ("hf:o/ñ", "letters"),
            ("hf:o/n?x", "letters"),
            ("hf:../n", "begin or end"),
            ("hf:o/.n", "begin or end"),
            ("hf:o/n-", "begin or end"),
            ("hf:o/a..b", "`..`"),
            ("hf:o/a--b", "`--`"),
            ("hf:o/n.git", ".git"),
            (long.as_str(), "96"),
            ("hf:o/n@", "behind `@`"),
            ("hf:o/n@a@b", "revision of letters"),
            ("hf:o/n@a b", "revision of letters"),
            ("hf:o/n@../../x", "a branch, a tag"),
            ("hf:o/n@/etc", "a branch, a tag"),
            ("hf:o/n@a//b", "a branch, a tag"),
            ("hf:o/n@a/", "a branch, a tag"),
            ("hf:o/n@a/.b", "a branch, a tag"),
            (longer.as_str(), "255"),
        ] {
            let error = text.parse::<Location>().unwrap_err();
            assert_eq!(error.text, text);
            assert!(error.to_string().contains(why), "{why}: {error}");
        }
        let error = "o/n".parse::<HubName>().unwrap_err();
        assert!(error.why.contains("hf:"), "{error}");
    }
}
