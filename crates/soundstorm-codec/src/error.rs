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
    /// A piece of a stream has more or fewer levels than those before it.
    #[error("decode: the stream has {expected} level(s), this piece of it has {got}")]
    StreamLevels {
        /// Levels of the pieces before.
        expected: usize,
        /// Levels of this piece.
        got: usize,
    },
    /// A codec whose configuration needs all of the audio at once.
    #[error("{operation}: {codec} cannot be streamed: {reason}")]
    NotStreamed {
        /// `encode` or `decode`.
        operation: &'static str,
        /// The codec's name.
        codec: String,
        /// What in it looks further than a stream can.
        reason: &'static str,
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
    /// More levels of one group than of another.
    #[error(
        "{operation}: {codec} has {groups} groups of levels: expected a multiple of {groups}, got {got}"
    )]
    GroupLevels {
        /// `encode` or `decode`.
        operation: &'static str,
        /// The codec's name.
        codec: String,
        /// Groups of the codec.
        groups: usize,
        /// Levels asked for or given, of all groups together.
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
    /// Chunks of no frames, which would never end.
    #[error("{operation}: chunks of 0 frames, expected at least 1")]
    EmptyChunk {
        /// `encode` or `decode`.
        operation: &'static str,
    },
    /// A bandwidth that the codec was not trained for.
    #[error("{codec} has no bandwidth of {got} kbps, only {}", kbps(available))]
    Bandwidth {
        /// The codec's name.
        codec: String,
        /// The codec's bandwidths in kilobits per second.
        available: Vec<f64>,
        /// What was asked for.
        got: f64,
    },
    /// Scales for a codec that encodes audio at its own loudness.
    #[error("decode: {codec} has no scales, got [batch, chunks] = {got:?}")]
    NoScales {
        /// The codec's name.
        codec: String,
        /// `[batch, chunks]` of the scales.
        got: [usize; 2],
    },
    /// More or fewer scales than the codes have rows and chunks.
    #[error("decode: expected scales [batch, chunks] = {expected:?}, got {got:?}")]
    Scales {
        /// `[batch, chunks]` of the codes.
        expected: [usize; 2],
        /// `[batch, chunks]` of the scales.
        got: [usize; 2],
    },
    /// A scale is NaN or infinite.
    #[error("decode: a scale is not a finite number")]
    ScaleNotFinite,
    /// A number of frames that audio in chunks never has.
    #[error(
        "decode: no audio in chunks of {length} samples, {stride} apart, has {frames} frames in all"
    )]
    ChunkFrames {
        /// Frames of the codes.
        frames: usize,
        /// Samples of a chunk.
        length: usize,
        /// Samples from one chunk's start to the next one's.
        stride: usize,
    },
}

fn kbps(bandwidths: &[f64]) -> String {
    let bandwidths: Vec<String> = bandwidths.iter().map(f64::to_string).collect();
    bandwidths.join(", ")
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
