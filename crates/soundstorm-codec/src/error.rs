//! What can go wrong with a codec: its input, its codes, its configuration.

/// Why a codec could not encode or decode.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// No sample to encode.
    #[error("encode: the audio is empty: [batch, channels, samples] is {shape:?}")]
    EmptyAudio {
        /// `[batch, channels, samples]`
        shape: [usize; 3],
    },
    /// The audio has more or fewer channels than the codec.
    #[error("encode: {codec} takes {expected} channel(s) of audio, got {got}")]
    Channels {
        /// The codec's name.
        codec: String,
        /// Channels of the codec.
        expected: usize,
        /// Channels of the audio.
        got: usize,
    },
    /// A sample is NaN or infinite.
    #[error("encode: the audio holds a sample that is not a finite number")]
    NotFinite,
    /// A piece of a stream has more or fewer rows than those before it.
    #[error("{operation}: the stream has {expected} row(s), this piece of it has {got}")]
    StreamRows {
        /// `encode` or `decode`.
        operation: &'static str,
        /// Rows of the pieces before.
        expected: usize,
        /// Rows of this piece.
        got: usize,
    },
    /// No code to decode.
    #[error("decode: there are no codes: [batch, quantizers, frames] is {shape:?}")]
    EmptyCodes {
        /// `[batch, quantizers, frames]`
        shape: [usize; 3],
    },
    /// Zero levels, or more than the codec has.
    #[error("{operation}: {codec} has 1 to {available} levels, got {got}")]
    Levels {
        /// `encode` or `decode`.
        operation: &'static str,
        /// The codec's name.
        codec: String,
        /// Levels of the codec.
        available: usize,
        /// Levels asked for or given.
        got: usize,
    },
    /// A code that is no row of its codebook; the mask id counts as one.
    #[error(
        "decode: codes are 0 to {}, got {got} at row {row}, level {}, frame {frame}",
        codebook_size - 1,
        level + 1
    )]
    CodeOutOfRange {
        /// Entries in a codebook.
        codebook_size: usize,
        /// The code.
        got: i64,
        /// Its row in the batch, from 0.
        row: usize,
        /// Its level, from 0, the coarsest.
        level: usize,
        /// Its frame, from 0.
        frame: usize,
    },
}

/// Why a configuration cannot be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value that makes no network.
    #[error("{codec} configuration: {key}: expected {expected}, got {got}")]
    Invalid {
        /// The codec's name.
        codec: &'static str,
        /// The key in the configuration.
        key: &'static str,
        /// What would be accepted.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// A value that the reference accepts and this crate does not implement.
    #[error("{codec} configuration: {key} = {got} is not supported, only {supported}")]
    Unsupported {
        /// The codec's name.
        codec: &'static str,
        /// The key in the configuration.
        key: &'static str,
        /// What is supported.
        supported: &'static str,
        /// What was given.
        got: String,
    },
}
