//! What can go wrong: bad options, bad inputs, a network that fails or gives no distribution.

use thiserror::Error;

/// Options that make no sense, found by [`DecodeOptions::validate`](crate::DecodeOptions::validate).
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The list of steps per level is empty.
    #[error("steps: expected at least one number of steps, got an empty list")]
    NoSteps,
    /// A level would run no step and so never be filled.
    #[error("steps: expected at least 1 step a level, got 0 at position {position}")]
    ZeroSteps {
        /// Index in the list.
        position: usize,
    },
    /// More steps than [`MAX_STEPS`](crate::MAX_STEPS).
    #[error("steps: expected at most {limit} steps a level, got {got} at position {position}")]
    TooManySteps {
        /// Index in the list.
        position: usize,
        /// The number asked for.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// A temperature that is negative, above 1e30 or NaN.
    #[error("temperature: expected a number within 0..=1e30, got {got}")]
    Temperature {
        /// The temperature asked for.
        got: f64,
    },
    /// A top-k that keeps nothing.
    #[error("top_k: expected at least 1, got 0")]
    TopK,
    /// A confidence noise that is negative, above 1e30 or NaN.
    #[error("confidence_noise: expected a number within 0..=1e30, got {got}")]
    ConfidenceNoise {
        /// The scale asked for.
        got: f64,
    },
    /// A share that is 0, negative, above 1 or NaN: it would leave no code to draw, or mean nothing.
    #[error("{option}: expected a share within (0, 1], got {got}")]
    Share {
        /// `top_p` or `typical`.
        option: &'static str,
        /// The share asked for.
        got: f64,
    },
    /// Spans of no frame.
    #[error("span: expected at least 1 frame, got 0")]
    Span,
    /// An entropy budget that is negative, too large or NaN.
    #[error("entropy_budget: expected nats within 0..={limit}, got {got}")]
    EntropyBudget {
        /// The budget asked for.
        got: f64,
        /// The limit.
        limit: f64,
    },
    /// A strength of re-masking outside `[0, 1]`.
    #[error("remask: expected an eta within [0, 1], got {got}")]
    Remask {
        /// The eta asked for.
        got: f64,
    },
    /// Two options that cannot hold together.
    #[error("options: {option} and {other} contradict each other")]
    Contradiction {
        /// The one.
        option: &'static str,
        /// The other.
        other: &'static str,
    },
    /// A custom schedule rises: frames that have been filled would be masked again.
    #[error("schedule: expected at most {before} at progress {progress}, as before it, got {got}")]
    ScheduleRises {
        /// The argument, in `(0, 1)`.
        progress: f64,
        /// What the schedule returned for the step before.
        before: f64,
        /// What the schedule returned.
        got: f64,
    },
    /// A custom schedule gave a ratio outside `[0, 1]`.
    #[error("schedule: expected a ratio within [0, 1] at progress {progress}, got {got}")]
    Schedule {
        /// The argument, in `(0, 1)`.
        progress: f64,
        /// What the schedule returned.
        got: f64,
    },
}

/// Why a decode stopped. `E` is the error of the closure that gives the logits.
///
/// Levels are 0-based in the fields and 1-based in the messages; steps are 1-based in both.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum DecodeError<E> {
    /// The options make no sense.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A dimension of the tokens is zero.
    #[error("decode: expected tokens [batch, levels, frames] without a zero, got {got:?}")]
    Empty {
        /// The shape of the tokens.
        got: [usize; 3],
    },
    /// There is not one [`DecodeRow`](crate::DecodeRow) for each row of the batch.
    #[error("decode: expected {expected} rows, one for each row of the batch, got {got}")]
    Rows {
        /// The batch of the tokens.
        expected: usize,
        /// The number of rows described.
        got: usize,
    },
    /// There are not options for each row of the batch.
    #[error(
        "decode: expected options of {expected} rows, one for each row of the batch, got {got}"
    )]
    RowOptions {
        /// The batch of the tokens.
        expected: usize,
        /// The number of options.
        got: usize,
    },
    /// The confidence is a critic's, and there is none.
    #[error("decode: the confidence is a critic's, and no critic was given")]
    NoCritic,
    /// A row is said to have more frames than the tokens.
    #[error("decode: expected at most {limit} frames in row {row}, got {got}")]
    RowFrames {
        /// The row.
        row: usize,
        /// The number of frames it is said to have.
        got: usize,
        /// The number of frames of the tokens.
        limit: usize,
    },
    /// The mask id, which is the codebook size, is 0 or beyond 2^31 - 1.
    #[error("decode: expected a mask id (the codebook size) within 1..=2147483647, got {got}")]
    MaskId {
        /// The mask id.
        got: usize,
    },
    /// A token is neither a code nor the mask id.
    #[error(
        "decode: expected tokens within 0..={mask_id}, got {got} in row {row}, level {}, frame {frame}",
        .level + 1
    )]
    Token {
        /// The row.
        row: usize,
        /// The level, 0-based.
        level: usize,
        /// The frame.
        frame: usize,
        /// The token found there.
        got: i64,
        /// The mask id, the largest token allowed.
        mask_id: usize,
    },
    /// The closure returned logits of another shape.
    #[error(
        "decode: expected logits [batch, frames, codebook] of {expected:?} at level {}, step {step}, got {got:?}",
        .level + 1
    )]
    Logits {
        /// The level, 0-based.
        level: usize,
        /// The step, 1-based.
        step: usize,
        /// The shape that fits the tokens.
        expected: [usize; 3],
        /// The shape that came back.
        got: [usize; 3],
    },
    /// The critic returned scores of another shape.
    #[error(
        "decode: expected a critic's scores [batch, frames] of {expected:?} at level {}, step {step}, got {got:?}",
        .level + 1
    )]
    Scores {
        /// The level, 0-based.
        level: usize,
        /// The step, 1-based.
        step: usize,
        /// The shape that fits the tokens.
        expected: [usize; 2],
        /// The shape that came back.
        got: [usize; 2],
    },
    /// The critic's score of a frame to be ranked is NaN or infinite.
    #[error(
        "decode: expected finite scores of the critic, got NaN or infinity at level {}, step {step}, row {row}",
        .level + 1
    )]
    ScoresNotFinite {
        /// The level, 0-based.
        level: usize,
        /// The first step at which it happened, 1-based.
        step: usize,
        /// The first row in which it happened at that step.
        row: usize,
    },
    /// The logits of a frame to be filled are all -inf: there is no code to draw.
    #[error(
        "decode: expected a code that can be drawn, got logits that are all -inf at level {}, step {step}, row {row}",
        .level + 1
    )]
    NoCode {
        /// The level, 0-based.
        level: usize,
        /// The first step at which it happened, 1-based.
        step: usize,
        /// The first row in which it happened at that step.
        row: usize,
    },
    /// The logits of a frame to be filled are no distribution: one is NaN or +inf.
    #[error(
        "decode: expected logits that give a distribution, got NaN or infinity at level {}, step {step}, row {row}",
        .level + 1
    )]
    NotFinite {
        /// The level, 0-based.
        level: usize,
        /// The first step at which it happened, 1-based.
        step: usize,
        /// The first row in which it happened at that step.
        row: usize,
    },
    /// The critic failed.
    #[error("decode: the critic failed at level {}, step {step}", .level + 1)]
    Critic {
        /// The level, 0-based.
        level: usize,
        /// The step, 1-based.
        step: usize,
        /// What the closure returned.
        source: E,
    },
    /// The closure failed.
    #[error("decode: the network failed at level {}, step {step}", .level + 1)]
    Net {
        /// The level, 0-based.
        level: usize,
        /// The step, 1-based.
        step: usize,
        /// What the closure returned.
        source: E,
    },
}

/// Why a training mask could not be drawn or applied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrainingMaskError {
    /// There is no row, no level or no frame.
    #[error(
        "training mask: expected at least one row, level and frame, got [batch, levels, frames] = {got:?}"
    )]
    Empty {
        /// Batch, levels and frames.
        got: [usize; 3],
    },
    /// A row has no real frame, or more than there are.
    #[error("training mask: expected 1..={limit} frames in row {row}, got {got}")]
    Length {
        /// The row.
        row: usize,
        /// Its length.
        got: usize,
        /// The number of frames.
        limit: usize,
    },
    /// A row that was not drawn as masks are.
    #[error(
        "training mask: expected row {row} to mask frames of its own after its prompt, at a level that there is"
    )]
    Row {
        /// The row.
        row: usize,
    },
    /// The tokens to mask have another shape than the mask.
    #[error("training mask: expected tokens [batch, levels, frames] of {expected:?}, got {got:?}")]
    Shape {
        /// The shape of the mask.
        expected: [usize; 3],
        /// The shape of the tokens; a flat slice gives its length alone.
        got: Vec<usize>,
    },
}
