//! Addresses: where the hub is, and which of the addresses that it sends us to are its own.

/// The hub itself.
const DEFAULT: &str = "https://huggingface.co";

/// The address of a hub, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint(String);

impl Default for Endpoint {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

impl Endpoint {
    /// An address that someone gave; `None` if it is none of a server.
    pub(super) fn new(text: &str) -> Option<Self> {
        let text = text.trim_end_matches('/');
        let uri: ureq::http::Uri = text.parse().ok()?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        // A name and password in an address would show up in messages.
        let plain = uri
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'));
        (known && plain && uri.query().is_none()).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of a file of a repository.
    pub(super) fn file(&self, repository: &str, revision: &str, file: &str) -> String {
        // Slashes would end the revision; its other characters stand for themselves.
        let revision = revision.replace('/', "%2F").replace('+', "%2B");
        format!("{}/{repository}/resolve/{revision}/{file}", self.0)
    }

    /// Whether an address is this hub's: the same scheme, host and port. Only there does a token go.
    pub(super) fn owns(&self, url: &str) -> bool {
        origin(url).eq_ignore_ascii_case(origin(&self.0))
    }

    /// Where a redirection leads from `url`; `None` if that is no address, or one that gives up
    /// encryption.
    pub(super) fn redirected(url: &str, location: &str) -> Option<String> {
        let scheme = url.split_once("://")?.0;
        let target = if let Some(rest) = location.strip_prefix("//") {
            format!("{scheme}://{rest}")
        } else if location.starts_with('/') {
            format!("{}{location}", origin(url))
        } else {
            location.to_owned()
        };
        let (to, _) = target.split_once("://")?;
        let fine = match to.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => scheme.eq_ignore_ascii_case("http"),
            _ => false,
        };
        fine.then_some(target)
    }
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']);
    end.map_or(url, |end| &url[..host + end])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_of_files() {
        let hub = Endpoint::default();
        assert_eq!(
            hub.file("o/n", "main", "config.json"),
            "https://huggingface.co/o/n/resolve/main/config.json"
        );
        let mirror = Endpoint::new("http://mirror:8080/hub//").unwrap();
        assert_eq!(
            mirror.file("o/n", "refs/pr/1+a", "x"),
            "http://mirror:8080/hub/o/n/resolve/refs%2Fpr%2F1%2Ba/x"
        );
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            "",
            "huggingface.co",
            "ftp://a",
            "https://",
            "https://a b",
            "https://user:word@a",
            "https://a?x=1",
        ] {
            assert_eq!(Endpoint::new(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_same_origin_is_the_hubs() {
        let hub = Endpoint::new("https://hub.org/base").unwrap();
        for (url, own) in [
            ("https://hub.org/x", true),
            ("https://HUB.org", true),
            ("https://hub.org?x", true),
            ("http://hub.org/x", false),
            ("https://hub.org:81/x", false),
            ("https://hub.org.evil/x", false),
            ("https://hub.org@evil/x", false),
            ("https://cdn.hub.org/x", false),
        ] {
            assert_eq!(hub.owns(url), own, "{url}");
        }
    }

    #[test]
    fn redirections_lead_where_they_say() {
        let from = "https://hub.org/a/b";
        for (location, to) in [
            ("/c?d=1", Some("https://hub.org/c?d=1")),
            ("//cdn.org/c", Some("https://cdn.org/c")),
            ("https://cdn.org/c", Some("https://cdn.org/c")),
            ("http://cdn.org/c", None),
            ("file:///etc/passwd", None),
            ("c", None),
        ] {
            assert_eq!(
                Endpoint::redirected(from, location).as_deref(),
                to,
                "{location}"
            );
        }
        let plain = Endpoint::redirected("http://a/b", "http://c/d");
        assert_eq!(plain.as_deref(), Some("http://c/d"));
    }
}
