//! What can go wrong in the model: shapes, ranges and combinations that do not
//! fit it.

use soundstorm_maskgit::{DecodeError, OptionsError, TrainingMaskError};

/// An error of the model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SoundStormError {
    /// A configuration that no model can have.
    #[error("configuration: {0}")]
    Config(String),
    /// A tensor or list of another size than needed.
    #[error("{what}: expected {expected}, got {got}")]
    Shape {
        /// What was given.
        what: &'static str,
        /// What is needed.
        expected: String,
        /// What it was.
        got: String,
    },
    /// Another number of levels than the model's.
    #[error("{what}: the model has {expected} levels, got {got}")]
    Levels {
        /// What was given.
        what: &'static str,
        /// The model's levels.
        expected: usize,
        /// The given ones.
        got: usize,
    },
    /// A token outside the codebook or vocabulary.
    #[error("{what}: token {got} at frame {frame} is not within 0 and {limit}")]
    Token {
        /// Which tokens.
        what: String,
        /// Frame of the first bad one.
        frame: usize,
        /// The token.
        got: i64,
        /// The largest token allowed.
        limit: i64,
    },
    /// Semantic tokens are missing, or given to a model that takes none.
    #[error("semantic tokens: {0}")]
    Semantic(&'static str),
    /// A condition that the model takes and a row does not give.
    #[error("row {row}: the model is conditioned on {what}, and there is none")]
    Missing {
        /// The condition.
        what: &'static str,
        /// The row.
        row: usize,
    },
    /// A condition that a row gives and the model does not take.
    #[error("row {row}: the model is not conditioned on {what}")]
    Unused {
        /// The condition.
        what: &'static str,
        /// The row.
        row: usize,
    },
    /// A speaker that is not in the table.
    #[error("row {row}: there is no speaker {got}, the last is {limit}")]
    Speaker {
        /// The row.
        row: usize,
        /// The speaker.
        got: usize,
        /// The last in the table.
        limit: usize,
    },
    /// A part that the model does not have.
    #[error("the model has no {0}")]
    Absent(&'static str),
    /// Nothing to generate or to score.
    #[error("{0}: there are no frames")]
    Empty(&'static str),
    /// Guidance that makes no sense, or that the model cannot be given.
    #[error(transparent)]
    Guidance(#[from] crate::GuidanceError),
    /// An edit that cannot be made.
    #[error(transparent)]
    Edit(#[from] crate::EditError),
    /// Decoding failed.
    #[error(transparent)]
    Decode(#[from] DecodeError<Box<SoundStormError>>),
    /// Options of decoding that make no sense.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A training mask could not be drawn.
    #[error(transparent)]
    TrainingMask(#[from] TrainingMaskError),
}
