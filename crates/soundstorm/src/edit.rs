//! Editing: what of a row is kept, and what is generated anew between it.

use std::ops::Range;

use burn::tensor::{Bool, Int, Tensor, TensorData, backend::Backend};
use soundstorm_maskgit::step_noise;

use crate::generation::Task;
use crate::{Conditions, RowCodes, SoundStorm, SoundStormError};

/// Frames and levels of a row, both 0-based.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Frames.
    pub frames: Range<usize>,
    /// Levels.
    pub levels: Range<usize>,
}

/// A row of which some is kept and the rest generated anew.
///
/// While a level is generated, finer levels are hidden from the network from the first frame on
/// that is generated, also where they are kept: so it was trained. Frames before that are a prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EditRow {
    /// Its codes, `[levels][frames]`, of as many levels as the model has; where they are not kept
    /// they may be anything.
    pub codes: RowCodes,
    /// What is kept, `[levels][frames]`.
    pub keep: Vec<Vec<bool>>,
    /// Seed of the row's random stream.
    pub seed: u64,
    /// Semantic tokens of the whole row, for a model conditioned on them.
    pub semantic: Option<Vec<i64>>,
    /// What else it is conditioned on.
    pub conditions: Conditions,
}

/// An edit that cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The keep-mask is not of the codes' size.
    #[error("edit: expected a keep-mask of {expected} frames in each of {levels} levels, got {got}{}", at_level(.level))]
    Keep {
        /// Levels of the codes.
        levels: usize,
        /// Frames of the codes.
        expected: usize,
        /// The level that differs, 0-based; absent where the number of levels does.
        level: Option<usize>,
        /// Its frames, or the number of levels.
        got: usize,
    },
    /// A region that is empty, or outside the row.
    #[error("edit: expected {what} within 0..{limit}, got {}..{}", .got.start, .got.end)]
    Region {
        /// `frames` or `levels`.
        what: &'static str,
        /// How many there are.
        limit: usize,
        /// The range asked for.
        got: Range<usize>,
    },
    /// A strength outside `[0, 1]`.
    #[error("edit: expected a strength within [0, 1], got {got}")]
    Strength {
        /// The one asked for.
        got: f64,
    },
}

fn at_level(level: &Option<usize>) -> String {
    match level {
        Some(level) => format!(" in level {}", level + 1),
        None => " levels".into(),
    }
}

impl EditRow {
    /// A row of which all is kept.
    pub fn new(codes: RowCodes) -> Self {
        let keep = codes.iter().map(|level| vec![true; level.len()]).collect();
        Self {
            codes,
            keep,
            ..Self::default()
        }
    }

    /// Frames of the row.
    pub fn frames(&self) -> usize {
        self.codes.first().map_or(0, Vec::len)
    }

    /// Generates a region anew.
    ///
    /// # Errors
    /// A region that is empty or outside the row, and a keep-mask that does not fit the codes.
    pub fn regenerate(self, region: &Region) -> Result<Self, EditError> {
        self.vary(region, 1.0)
    }

    /// Generates some of a region anew: of its frames so large a share, rounded up, is drawn by the
    /// row's seed, and all of the region's levels are generated there. A smaller strength takes
    /// some of the frames of a larger one.
    ///
    /// # Errors
    /// As of [`Self::regenerate`], and a strength outside `[0, 1]`.
    pub fn vary(mut self, region: &Region, strength: f64) -> Result<Self, EditError> {
        self.check_keep()?;
        if !(0.0..=1.0).contains(&strength) {
            return Err(EditError::Strength { got: strength });
        }
        for (what, got, limit) in [
            ("frames", &region.frames, self.frames()),
            ("levels", &region.levels, self.codes.len()),
        ] {
            if got.is_empty() || got.end > limit {
                let got = got.clone();
                return Err(EditError::Region { what, limit, got });
            }
        }
        let uniforms = step_noise(self.seed, 0, NO_STEP, self.frames()).uniforms;
        let mut frames: Vec<usize> = region.frames.clone().collect();
        frames.sort_by(|&a, &b| uniforms[a].total_cmp(&uniforms[b]).then(a.cmp(&b)));
        frames.truncate((strength * frames.len() as f64 - 1e-9).ceil() as usize);
        for level in &mut self.keep[region.levels.clone()] {
            for &frame in &frames {
                level[frame] = false;
            }
        }
        Ok(self)
    }

    /// Puts frames that are generated before and after the row. Its semantic tokens are those of
    /// the longer row: give them after.
    #[must_use]
    pub fn extend(mut self, before: usize, after: usize) -> Self {
        for level in &mut self.codes {
            *level = [vec![0; before], std::mem::take(level), vec![0; after]].concat();
        }
        for level in &mut self.keep {
            *level = [
                vec![false; before],
                std::mem::take(level),
                vec![false; after],
            ]
            .concat();
        }
        self
    }

    /// The keep-mask is of the codes' size.
    pub(crate) fn check_keep(&self) -> Result<(), EditError> {
        let (levels, expected) = (self.codes.len(), self.frames());
        let wrong = |level, got| EditError::Keep {
            levels,
            expected,
            level,
            got,
        };
        if self.keep.len() != levels {
            return Err(wrong(None, self.keep.len()));
        }
        match self.keep.iter().position(|keep| keep.len() != expected) {
            Some(level) => Err(wrong(Some(level), self.keep[level].len())),
            None => Ok(()),
        }
    }
}

impl<B: Backend> SoundStorm<B> {
    /// Checks an edit, and masks what it does not keep.
    pub(crate) fn plan_edit(&self, row: &EditRow) -> Result<Task, SoundStormError> {
        row.check_keep()?;
        self.check_row("row to edit", &row.codes, |level, frame| {
            row.keep[level][frame]
        })?;
        if row.frames() == 0 {
            return Err(SoundStormError::Empty("row to edit"));
        }
        let mask = self.mask_id() as i64;
        let levels = row.codes.iter().zip(&row.keep);
        let tokens = levels.map(|(codes, keep)| {
            let frames = codes.iter().zip(keep);
            frames
                .map(|(&code, &keep)| if keep { code } else { mask })
                .collect()
        });
        Ok(Task {
            tokens: tokens.collect(),
            conditions: row.conditions.with_semantic(row.semantic.clone()),
            seed: row.seed,
            dropped: 0,
            edited: true,
        })
    }
}

/// What an edit hides: levels finer than the one that is generated, from the first frame on that is.
/// So the network sees what it saw in training, where nothing finer is known after a prompt.
pub(crate) struct Hidden<B: Backend> {
    /// `[batch, 1, frames]`, true from each row's first masked frame on; absent where nothing kept
    /// lies behind it.
    from: Option<Tensor<B, 3, Bool>>,
    mask: i64,
}

impl<B: Backend> Hidden<B> {
    pub(crate) fn new(tasks: &[Task], frames: usize, mask: usize, device: &B::Device) -> Self {
        let mask = mask as i64;
        let edited = tasks.iter().any(|task| task.edited);
        let from = edited.then(|| {
            let mut hidden = vec![false; tasks.len() * frames];
            for (row, task) in tasks.iter().enumerate() {
                let masked = |codes: &Vec<i64>| codes.iter().position(|&code| code == mask);
                let first = task.tokens.iter().filter_map(masked).min();
                for frame in first.unwrap_or(frames)..frames {
                    hidden[row * frames + frame] = true;
                }
            }
            Tensor::from_data(TensorData::new(hidden, [tasks.len(), 1, frames]), device)
        });
        Self { from, mask }
    }

    pub(crate) fn from(&self, tokens: Tensor<B, 3, Int>, level: usize) -> Tensor<B, 3, Int> {
        let [batch, levels, frames] = tokens.dims();
        match &self.from {
            Some(from) if level + 1 < levels => {
                let finer = [0..batch, level + 1..levels, 0..frames];
                let shape = [batch, levels - level - 1, frames];
                let masked = tokens
                    .clone()
                    .slice(finer.clone())
                    .mask_fill(from.clone().expand(shape), self.mask);
                tokens.slice_assign(finer, masked)
            }
            _ => tokens,
        }
    }
}

/// The step whose random numbers choose what is varied: decoding counts its own from 1.
const NO_STEP: usize = 0;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row() -> EditRow {
        EditRow {
            seed: 5,
            ..EditRow::new(vec![vec![3; 37]; 5])
        }
    }

    fn region() -> Region {
        Region {
            frames: 7..30,
            levels: 2..5,
        }
    }

    #[test]
    fn a_region_is_let_go_and_nothing_else() {
        let edited = row().regenerate(&region()).unwrap();
        for (level, keep) in edited.keep.iter().enumerate() {
            for (frame, &keep) in keep.iter().enumerate() {
                let inside = (2..5).contains(&level) && (7..30).contains(&frame);
                assert_eq!(keep, !inside);
            }
        }
        assert_eq!(edited.codes, row().codes);
    }

    /// 23 frames: a fifth of them is 4.6.
    #[test]
    fn a_share_is_varied_and_smaller_shares_are_part_of_it() {
        let let_go = |strength: f64, seed: u64| -> Vec<bool> {
            let row = EditRow { seed, ..row() };
            let edited = row.vary(&region(), strength).unwrap();
            assert!(edited.keep[..2].iter().flatten().all(|&keep| keep));
            assert_eq!(edited.keep[2], edited.keep[4]);
            edited.keep[3].iter().map(|&keep| !keep).collect()
        };
        let count = |let_go: &[bool]| let_go.iter().filter(|&&gone| gone).count();
        let mut before = vec![false; 37];
        for (strength, frames) in [(0.0, 0), (0.2, 5), (0.5, 12), (1.0, 23)] {
            let now = let_go(strength, 5);
            assert_eq!(count(&now), frames);
            assert!(
                before
                    .iter()
                    .zip(&now)
                    .all(|(&before, &now)| now || !before)
            );
            before = now;
        }
        assert_ne!(let_go(0.5, 5), let_go(0.5, 6));
        assert_eq!(let_go(0.5, 5), let_go(0.5, 5));
    }

    #[test]
    fn a_row_grows_at_both_ends() {
        let edited = row().extend(2, 3);
        assert_eq!(edited.frames(), 42);
        for (codes, keep) in edited.codes.iter().zip(&edited.keep) {
            assert_eq!(codes[2..39], [3; 37]);
            assert!(keep[2..39].iter().all(|&keep| keep));
            assert!(keep[..2].iter().chain(&keep[39..]).all(|&keep| !keep));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let vary = |frames: Range<usize>, levels: Range<usize>, strength| {
            let region = Region { frames, levels };
            row().vary(&region, strength).unwrap_err()
        };
        let error = vary(7..38, 0..5, 1.0);
        let (what, limit, got) = ("frames", 37, 7..38);
        assert_eq!(error, EditError::Region { what, limit, got });
        assert_eq!(
            error.to_string(),
            "edit: expected frames within 0..37, got 7..38"
        );
        assert!(matches!(
            vary(7..7, 0..5, 1.0),
            EditError::Region { what: "frames", .. }
        ));
        assert!(matches!(
            vary(0..3, 0..6, 1.0),
            EditError::Region { what: "levels", .. }
        ));
        assert_eq!(vary(0..3, 0..5, 1.5), EditError::Strength { got: 1.5 });
        let mut short = row();
        short.keep[3].pop();
        let error = short.regenerate(&region()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("37 frames in each of 5 levels, got 36 in level 4")
        );
        let mut few = row();
        few.keep.pop();
        let error = few.regenerate(&region()).unwrap_err();
        assert!(error.to_string().contains("got 4 levels"), "{error}");
    }
}
