//! What can go wrong in training: what was being done, what was expected there, what was found.

use std::{io, path::PathBuf};

use soundstorm::SoundStormError;
use soundstorm_hub::HubError;

/// This crate's result.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

/// An error of training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The system refused an operation on a file or folder.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was being done, an infinitive such as `open`.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        source: io::Error,
    },
    /// A file of ours does not have the form that it should.
    #[error("{} is malformed: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The configuration cannot be read, or makes no sense.
    #[error("configuration: {0}")]
    Config(String),
    /// A `key=value` setting that cannot be applied.
    #[error("setting `{setting}`: {message}")]
    Setting {
        /// The setting, as typed.
        setting: String,
        /// Why it was not accepted.
        message: String,
    },
    /// The model's configuration and the codes that it is to be trained on disagree.
    #[error("{what}: the model has {model}, the data set's codec {codec} has {data}")]
    Contradiction {
        /// Which number.
        what: &'static str,
        /// The model's.
        model: String,
        /// The codec's name.
        codec: String,
        /// The data set's.
        data: String,
    },
    /// A run was begun with another configuration than it is to be continued with.
    #[error(
        "{} was begun with another configuration: `{key}` was {was} and is {is}; give another folder, or the old value",
        run.display()
    )]
    Changed {
        /// The run's folder.
        run: PathBuf,
        /// The key, with its tables.
        key: String,
        /// The value that the run was begun with.
        was: String,
        /// The value now.
        is: String,
    },
    /// There is no audio to prepare, or no codes to train on.
    #[error("{}: {message}", path.display())]
    EmptySet {
        /// The folder, manifest or data set.
        path: PathBuf,
        /// What is missing in it.
        message: String,
    },
    /// A data set does not fit what is asked of it.
    #[error("data set {}: {message}", path.display())]
    Dataset {
        /// The data set.
        path: PathBuf,
        /// What does not fit.
        message: String,
    },
    /// A batch has more rows than an epoch has windows.
    #[error(
        "a batch of {batch} rows is larger than the set: an epoch has {windows} windows of {files} files"
    )]
    BatchTooLarge {
        /// Rows of a batch.
        batch: usize,
        /// Windows of an epoch.
        windows: usize,
        /// Files to train on.
        files: usize,
    },
    /// The loss or the gradient is no number any more.
    #[error(
        "step {step}: the {what} is {value}; nothing of this step was kept, {}",
        match checkpoint {
            Some(path) => format!("the last checkpoint is {}", path.display()),
            None => "there is no checkpoint yet".into(),
        }
    )]
    NotFinite {
        /// The step, counted from 1.
        step: u64,
        /// What is not finite.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The newest checkpoint, which was made before.
        checkpoint: Option<PathBuf>,
    },
    /// Every checkpoint of a run is damaged.
    #[error("none of the checkpoints in {} can be used: {}", folder.display(), reasons.join("; "))]
    NoCheckpoint {
        /// The folder of checkpoints.
        folder: PathBuf,
        /// What is wrong with each.
        reasons: Vec<String>,
    },
    /// A checkpoint that is not what its manifest says.
    #[error("checkpoint {} is damaged: {message}", path.display())]
    Damaged {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        message: String,
    },
    /// Another process is training in the same folder.
    #[error("another process is training in {}", run.display())]
    Locked {
        /// The run's folder.
        run: PathBuf,
    },
    /// Folders, weights and files of codes.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The model refused a batch.
    #[error(transparent)]
    Model(#[from] SoundStormError),
}

impl TrainError {
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

    pub(crate) fn malformed(path: impl Into<PathBuf>, message: impl ToString) -> Self {
        Self::Malformed {
            path: path.into(),
            message: message.to_string(),
        }
    }
}
