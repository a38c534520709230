//! What can go wrong with audio, kept apart so that a program can say which.

use std::io;

/// This crate's result.
pub type Result<T, E = AudioError> = std::result::Result<T, E>;

/// An audio error. `input` is a path, or the name that the caller gave to a reader.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// There is no such file.
    #[error("{input}: no such file")]
    NotFound {
        /// The path.
        input: String,
    },
    /// The system refused to read or write.
    #[error("{input}: cannot {operation}: {source}")]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// The path or the reader's name.
        input: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The data contradicts its own format, or its checksum.
    #[error("{input}: malformed {format}: {detail}")]
    Malformed {
        /// The path or the reader's name.
        input: String,
        /// What the data claims to be.
        format: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The data ends before it should.
    #[error("{input}: truncated {format}: {detail}")]
    Truncated {
        /// The path or the reader's name.
        input: String,
        /// What the data claims to be.
        format: &'static str,
        /// What was expected and what was there.
        detail: String,
    },
    /// A format, codec or feature that is not read here.
    #[error("{input}: unsupported audio: {detail}")]
    Unsupported {
        /// The path or the reader's name.
        input: String,
        /// What is not supported.
        detail: String,
    },
    /// One of the [`Limits`](crate::Limits) is exceeded.
    #[error("{input}: {what} is {got}, over the limit of {limit}")]
    OverLimit {
        /// The path or the reader's name.
        input: String,
        /// Which quantity.
        what: &'static str,
        /// How much there is (at least).
        got: String,
        /// How much is allowed.
        limit: String,
    },
    /// A file name whose ending stands for no format that is written here.
    #[error("{path}: cannot tell what to write by the ending {ending:?}, {known} are known")]
    UnknownEnding {
        /// The path.
        path: String,
        /// What it ends in, without the dot; empty where there is nothing.
        ending: String,
        /// The endings that are known.
        known: &'static str,
    },
    /// A picture that cannot be drawn.
    #[error("cannot draw {what}: {detail}")]
    Picture {
        /// What of the audio.
        what: &'static str,
        /// The reason.
        detail: String,
    },
    /// There is not one sample.
    #[error("{input}: holds no audio samples")]
    Empty {
        /// The path or the reader's name.
        input: String,
    },
    /// A sample is NaN or infinite.
    #[error("{input}: sample {index} of channel {channel} is {value}, not a finite number")]
    NonFinite {
        /// The path or the reader's name.
        input: String,
        /// The channel, from 0.
        channel: usize,
        /// The sample's index in its channel, from 0.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// The decoder broke down: a bug in it, met by this input.
    #[error("{input}: the decoder failed on this input: {detail}")]
    Decoder {
        /// The path or the reader's name.
        input: String,
        /// The panic's message.
        detail: String,
    },
    /// An [`Audio`](crate::Audio) that does not hold together, or a rate that makes no sense.
    #[error("cannot {operation}: {detail}")]
    Invalid {
        /// What was attempted.
        operation: &'static str,
        /// What is wrong.
        detail: String,
    },
}
