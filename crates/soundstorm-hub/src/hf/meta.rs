//! What the hub says of a file before it is fetched: headers, collected along redirections.

use ureq::http::HeaderMap;

use super::cache::is_sha256;
use crate::location::is_commit;

/// The longest name that a blob gets.
const MAX_ETAG: usize = 128;

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meta {
    /// The commit that was asked for.
    pub(super) commit: String,
    /// The name of its content; fit to be the name of a file.
    pub(super) etag: String,
    /// Its length in bytes.
    pub(super) size: Option<u64>,
}

/// The answer to a question after a file.
#[derive(Debug)]
pub(super) enum Reply {
    Found(Meta),
    /// The repository is there, the file is not.
    Absent,
}

impl Meta {
    /// The content's SHA-256, which is what the hub calls large files by. Small ones have git's hash.
    pub(super) fn sha256(&self) -> Option<&str> {
        is_sha256(&self.etag).then_some(&self.etag)
    }
}

/// Headers of one request's answers, the redirections on the way included.
#[derive(Debug, Default)]
pub(super) struct Trail {
    commit: Option<String>,
    etag: Option<String>,
    linked_etag: Option<String>,
    length: Option<u64>,
    linked_size: Option<u64>,
}

impl Trail {
    /// Adds an answer's headers. A redirection's own length and name say nothing of the file.
    pub(super) fn add(&mut self, headers: &HeaderMap, is_redirection: bool) {
        let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim().to_owned());
        let number = |name: &str| text(name)?.parse().ok();
        self.commit = self.commit.take().or_else(|| text("x-repo-commit"));
        self.linked_etag = self.linked_etag.take().or_else(|| text("x-linked-etag"));
        self.linked_size = self.linked_size.or_else(|| number("x-linked-size"));
        if !is_redirection {
            self.etag = text("etag");
            self.length = number("content-length");
        }
    }

    /// Whether further answers can add nothing.
    pub(super) fn is_complete(&self) -> bool {
        self.commit.is_some() && self.linked_etag.is_some() && self.linked_size.is_some()
    }

    /// What the headers say.
    ///
    /// # Errors
    /// What they lack, in words.
    pub(super) fn into_meta(self) -> Result<Meta, String> {
        let commit = self
            .commit
            .filter(|commit| is_commit(commit))
            .ok_or("the header X-Repo-Commit has no commit")?;
        let etag = self
            .linked_etag
            .or(self.etag)
            .ok_or("there is no header ETag")?;
        let etag = etag.strip_prefix("W/").unwrap_or(&etag).trim_matches('"');
        let fit = (1..=MAX_ETAG).contains(&etag.len())
            && !etag.starts_with('.')
            && etag
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !fit {
            return Err("the header ETag cannot be the name of a file".into());
        }
        Ok(Meta {
            commit,
            etag: etag.to_owned(),
            size: self.linked_size.or(self.length),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn trail(answers: &[(&[(&'static str, &str)], bool)]) -> Trail {
        let mut trail = Trail::default();
        for (headers, is_redirection) in answers {
            let headers = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            trail.add(&headers, *is_redirection);
        }
        trail
    }

    #[test]
    fn a_small_file_answers_itself() {
        let headers = [
            ("x-repo-commit", COMMIT),
            ("etag", "W/\"abc\""),
            ("content-length", "7"),
        ];
        let trail = trail(&[(&headers, false)]);
        assert!(!trail.is_complete());
        let meta = trail.into_meta().unwrap();
        assert_eq!(meta.sha256(), None);
        assert_eq!((meta.commit.as_str(), meta.etag.as_str()), (COMMIT, "abc"));
        assert_eq!(meta.size, Some(7));
    }

    #[test]
    fn a_large_file_is_described_by_its_redirection() {
        let sha256 = "5".repeat(64);
        let quoted = format!("\"{sha256}\"");
        let redirection = [
            ("x-repo-commit", COMMIT),
            ("x-linked-etag", quoted.as_str()),
            ("x-linked-size", "1234567"),
            ("etag", "\"of-the-redirection\""),
            ("content-length", "11"),
        ];
        let storage = [("etag", "\"storage\""), ("content-length", "13")];
        let whole = trail(&[(&redirection, true)]);
        assert!(whole.is_complete());
        for trail in [whole, trail(&[(&redirection, true), (&storage, false)])] {
            let meta = trail.into_meta().unwrap();
            assert_eq!(meta.sha256(), Some(sha256.as_str()));
            assert_eq!(meta.size, Some(1_234_567));
        }
    }

    #[test]
    fn what_is_no_hub_is_told_apart() {
        let commit = ("x-repo-commit", COMMIT);
        let etag = ("etag", "\"abc\"");
        for (headers, why) in [
            (&[etag][..], "X-Repo-Commit"),
            (&[etag, ("x-repo-commit", "main")], "X-Repo-Commit"),
            (&[etag, ("x-repo-commit", "../../../..")], "X-Repo-Commit"),
            (&[commit], "ETag"),
            (&[commit, ("etag", "\"\"")], "ETag"),
            (&[commit, ("etag", "\"../x\"")], "ETag"),
            (&[commit, ("etag", "\"..\"")], "ETag"),
            (&[commit, ("etag", "\"a:b\"")], "ETag"),
        ] {
            let error = trail(&[(headers, false)]).into_meta().unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
