//! What an observer is told after each pass.

use burn::tensor::{Bool, Int, Tensor, backend::Backend};

use crate::confidence::log_probability;

/// Where a decode stands after a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepInfo {
    /// The level, 0-based.
    pub level: usize,
    /// The number of levels.
    pub levels: usize,
    /// The step of the level just done, 1-based.
    pub step: usize,
    /// The number of steps of the level; where rows have options of their own, the largest.
    pub steps: usize,
    /// How many real frames of each row are still masked in the level.
    pub masked: Vec<usize>,
    /// Passes through the network done so far.
    pub passes_done: usize,
    /// Passes through the network that the whole decode takes, known exactly from the start; with
    /// an entropy budget the most that it may take.
    pub passes: usize,
}

/// A pass just done. Its tensors stay on the device: what is not asked for is neither computed nor
/// read.
pub struct Pass<'a, B: Backend> {
    pub(crate) info: &'a StepInfo,
    pub(crate) tokens: &'a Tensor<B, 3, Int>,
    pub(crate) before: &'a Tensor<B, 2, Int>,
    pub(crate) logits: &'a Tensor<B, 3>,
    pub(crate) codes: &'a Tensor<B, 2, Int>,
    pub(crate) masked: &'a Tensor<B, 2, Bool>,
}

impl<B: Backend> Pass<'_, B> {
    /// Where the decode stands.
    pub fn info(&self) -> &StepInfo {
        self.info
    }

    /// The tokens after the pass, `[batch, levels, frames]`.
    pub fn tokens(&self) -> Tensor<B, 3, Int> {
        self.tokens.clone()
    }

    /// The frames of the level that were masked before the pass, and so had a candidate:
    /// `[batch, frames]`.
    pub fn candidates(&self) -> Tensor<B, 2, Bool> {
        self.masked.clone()
    }

    /// The candidates' codes, anything at other frames: `[batch, frames]`.
    pub fn codes(&self) -> Tensor<B, 2, Int> {
        self.codes.clone()
    }

    /// The log-probability of each candidate under the softmax of the logits as they are, without
    /// noise, and 0 at other frames: `[batch, frames]`. Whatever frames were ranked by, this is how
    /// sure the network was.
    pub fn log_probability(&self) -> Tensor<B, 2> {
        log_probability(self.logits.clone(), self.codes.clone())
            .mask_fill(self.masked.clone().bool_not(), 0.0)
    }

    /// The frames that the pass filled, `[batch, frames]`.
    pub fn kept(&self) -> Tensor<B, 2, Bool> {
        self.before
            .clone()
            .not_equal(self.level())
            .bool_and(self.masked.clone())
    }

    /// The frames that the pass masked again, `[batch, frames]`.
    pub fn remasked(&self) -> Tensor<B, 2, Bool> {
        let changed = self.before.clone().not_equal(self.level());
        changed.bool_and(self.masked.clone().bool_not())
    }

    /// The tokens of the level after the pass.
    fn level(&self) -> Tensor<B, 2, Int> {
        let [batch, _, frames] = self.tokens.dims();
        let level = self.info.level;
        self.tokens
            .clone()
            .slice([0..batch, level..level + 1, 0..frames])
            .squeeze_dim(1)
    }
}
