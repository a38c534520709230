//! The one error type of this crate: what was being done, to which file, what was expected there and what was found.

use std::{fmt, io, path::PathBuf};

/// Anything that can go wrong between a file on disk and a model in memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The operating system refused an operation on a file or folder.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was being done, an infinitive such as `open`.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// The file ends before what it announces.
    #[error("{} is truncated: expected {expected} bytes, got {got}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// How many bytes the file's own header or index asks for.
        expected: u64,
        /// How many there are.
        got: u64,
    },
    /// The file breaks the rules of its format.
    #[error("{} is malformed: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The file is well formed, but uses something that this crate does not read.
    #[error("{} is not supported: {message}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not supported.
        message: String,
    },
    /// A size in the file is above what this crate is willing to allocate.
    #[error("{}: {what} is over the limit: at most {limit}, got {got}", path.display())]
    OverLimit {
        /// The file.
        path: PathBuf,
        /// Which size.
        what: String,
        /// The largest value that is accepted.
        limit: u64,
        /// The value in the file.
        got: u64,
    },
    /// A pickle names something other than plain tensors and containers. Loading it with Python
    /// would run code; nothing was run here.
    #[error(
        "{} is refused: its pickle asks for `{global}`, which is not a tensor, a storage or a plain container (nothing was executed)",
        path.display()
    )]
    Refused {
        /// The checkpoint.
        path: PathBuf,
        /// The forbidden object, as `module.name`.
        global: String,
    },
    /// The tensors of a file are not those that were asked for.
    #[error("{}: {report}", path.display())]
    Tensors {
        /// The file.
        path: PathBuf,
        /// Every tensor that is missing, extra, misshaped or of the wrong kind.
        report: Box<TensorReport>,
    },
    /// A configuration file cannot be read as what it should be.
    #[error("{} is not a valid {expected}: {message}", path.display())]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// What it should have been.
        expected: &'static str,
        /// The parser's or the validation's message.
        message: String,
    },
    /// Two sources of truth disagree about a size: the tensors, a configuration, a preset or a setting.
    #[error(transparent)]
    Contradiction(Box<Contradiction>),
    /// An option that tensors cannot tell was not given.
    #[error("{}: {message}", path.display())]
    Undetermined {
        /// The checkpoint.
        path: PathBuf,
        /// What is open, and how to say it.
        message: String,
    },
    /// A `key=value` setting that does not exist or cannot have that value.
    #[error("setting `{key}={value}`: {message}")]
    Setting {
        /// The leaf name.
        key: String,
        /// The text given for it.
        value: String,
        /// Why it was not accepted.
        message: String,
    },
    /// A code lies outside the codebook.
    #[error(
        "{}: {what} out of range at row {row}, level {level}, frame {frame}: expected 0..={}, got {got}",
        path.display(),
        size.saturating_sub(1)
    )]
    CodeRange {
        /// The codes file.
        path: PathBuf,
        /// `codes` or `semantic`.
        what: &'static str,
        /// Row of the batch, from 0.
        row: usize,
        /// Level as users count them, from 1.
        level: usize,
        /// Frame, from 0.
        frame: usize,
        /// Number of codes.
        size: usize,
        /// The value found.
        got: i64,
    },
    /// The destination holds something already.
    #[error("{} exists already; give another destination or force the overwrite", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// A value given by the caller is not acceptable.
    #[error("cannot {operation}: expected {expected}, got {got}")]
    Invalid {
        /// What was being done.
        operation: &'static str,
        /// What would have been fine.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A repository of the hub cannot be fetched.
    #[cfg(feature = "hf")]
    #[error(transparent)]
    Remote(Box<crate::RemoteError>),
}

impl HubError {
    /// Wraps a system error, for `map_err`.
    pub(crate) fn io(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }

    pub(crate) fn malformed(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.into(),
            message: message.into(),
        }
    }

    pub(crate) fn unsupported(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Unsupported {
            path: path.into(),
            message: message.into(),
        }
    }
}

/// A value that two sources of truth disagree about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: `{key}` is contradicted: expected {expected} ({expected_by}), got {got} ({got_by})", path.display())]
pub struct Contradiction {
    /// The file whose tensors were looked at.
    pub path: PathBuf,
    /// The name of the size or option.
    pub key: String,
    /// The first value.
    pub expected: String,
    /// Who states it.
    pub expected_by: String,
    /// The second value.
    pub got: String,
    /// Who states that.
    pub got_by: String,
}

/// How the tensors of a file differ from those expected: all of them, not only the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorReport {
    /// Expected, not in the file.
    pub missing: Vec<String>,
    /// In the file, expected by nothing.
    pub extra: Vec<String>,
    /// In both, with other shapes.
    pub misshaped: Vec<Misshaped>,
    /// In both, but the file's element type cannot stand for the expected kind: `(name, message)`.
    pub mistyped: Vec<(String, String)>,
}

/// A tensor with another shape than expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshaped {
    /// The tensor.
    pub name: String,
    /// The shape it should have.
    pub expected: Vec<usize>,
    /// The shape it has.
    pub got: Vec<usize>,
}

impl TensorReport {
    /// True when nothing differs.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
            && self.extra.is_empty()
            && self.misshaped.is_empty()
            && self.mistyped.is_empty()
    }

    /// `Ok` when nothing differs, otherwise the error for this file.
    ///
    /// # Errors
    /// [`HubError::Tensors`] with the whole report.
    pub fn into_result(self, path: impl Into<PathBuf>) -> Result<(), HubError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(HubError::Tensors {
                path: path.into(),
                report: Box::new(self),
            })
        }
    }
}

impl fmt::Display for TensorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            parts.push(format!("missing tensors: {}", self.missing.join(", ")));
        }
        if !self.extra.is_empty() {
            parts.push(format!("unexpected tensors: {}", self.extra.join(", ")));
        }
        if !self.misshaped.is_empty() {
            let list: Vec<_> = self
                .misshaped
                .iter()
                .map(|m| format!("{} (expected {:?}, got {:?})", m.name, m.expected, m.got))
                .collect();
            parts.push(format!("misshaped tensors: {}", list.join(", ")));
        }
        if !self.mistyped.is_empty() {
            let list: Vec<_> = self
                .mistyped
                .iter()
                .map(|(name, message)| format!("{name} ({message})"))
                .collect();
            parts.push(format!("tensors of the wrong type: {}", list.join(", ")));
        }
        f.write_str(&parts.join("; "))
    }
}
