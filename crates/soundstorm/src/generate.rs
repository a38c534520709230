//! Generation: a batch of rows, each with its own length, prompt, semantic
//! tokens and seed, filled in level by level (SoundStorm, section 3.3).

use std::ops::ControlFlow;

use burn::tensor::backend::Backend;
use soundstorm_maskgit::{DecodeOptions, StepInfo};

use crate::generation::Task;
use crate::{Conditions, SoundStorm, SoundStormError};

/// The codes of one row, level by level: `[levels][frames]`.
pub type RowCodes = Vec<Vec<i64>>;

/// A row to generate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerateRow {
    /// Frames to generate, without the prompt. When absent, as many as the
    /// semantic tokens cover, or as the context lasts, by its durations or by
    /// those that the model predicts.
    pub frames: Option<usize>,
    /// Seed of the row's random stream; with it the row is the same in any batch.
    pub seed: u64,
    /// The row's semantic tokens, without the prompt's.
    pub semantic: Option<Vec<i64>>,
    /// What the row continues.
    pub prompt: Option<Prompt>,
    /// What else it is conditioned on, prompt and all.
    pub conditions: Conditions,
}

/// What a row continues: a voice, mostly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its codes, `[levels][frames]`, of as many levels as the model has.
    pub codes: RowCodes,
    /// Its semantic tokens, for a model conditioned on them.
    pub semantic: Option<Vec<i64>>,
}

impl Prompt {
    /// Frames of the prompt.
    pub fn frames(&self) -> usize {
        self.codes.first().map_or(0, Vec::len)
    }
}

impl<B: Backend> SoundStorm<B> {
    /// Generates a batch. A row gets what it would get alone, whatever the
    /// lengths of the others.
    ///
    /// `observe` is called after every pass through the network.
    ///
    /// # Returns
    /// Each row's codes, `[levels][frames]`, without its prompt.
    ///
    /// # Errors
    /// Rows that do not fit the model, options that make no sense, and logits
    /// that are not finite.
    pub fn generate(
        &self,
        rows: &[GenerateRow],
        options: &DecodeOptions,
        mut observe: impl FnMut(&StepInfo),
    ) -> Result<Vec<RowCodes>, SoundStormError> {
        let generated = self
            .generation(options)
            .with_observer(|pass| {
                observe(pass.info());
                ControlFlow::Continue(())
            })
            .generate(rows)?;
        Ok(generated.codes)
    }

    /// Checks a row, and joins it to its prompt.
    pub(crate) fn plan(&self, row: &GenerateRow) -> Result<Task, SoundStormError> {
        let dropped = row.prompt.as_ref().map_or(0, Prompt::frames);
        if let Some(prompt) = &row.prompt {
            self.check_row("prompt", &prompt.codes, |_, _| true)?;
        }
        let own = row.semantic.as_ref().or(row.conditions.semantic.as_ref());
        let semantic = match (&self.semantic, own, &row.prompt) {
            (None, None, _) => None,
            (None, Some(_), _) => {
                return Err(SoundStormError::Semantic(
                    "the model is not conditioned on them",
                ));
            }
            (Some(_), None, _) => {
                return Err(SoundStormError::Semantic(
                    "the model is conditioned on them, and none are given",
                ));
            }
            (Some(_), Some(own), None) => Some(own.clone()),
            (Some(_), Some(own), Some(prompt)) => {
                let mut tokens = prompt.semantic.clone().ok_or(SoundStormError::Semantic(
                    "the model is conditioned on them, and the prompt has none",
                ))?;
                tokens.extend(own);
                Some(tokens)
            }
        };
        let covered = semantic
            .as_ref()
            .map(|tokens| self.acoustic_frames(tokens.len()));
        let conditions = row.conditions.with_semantic(semantic);
        let frames = match (row.frames, covered) {
            (Some(frames), _) => dropped + frames,
            (None, Some(covered)) => covered,
            (None, None) => self.lasts(&conditions)?,
        };
        if frames <= dropped {
            return Err(SoundStormError::Empty("generation"));
        }
        let mut tokens = vec![vec![self.mask_id() as i64; frames]; self.levels()];
        for (level, codes) in row.prompt.iter().flat_map(|p| p.codes.iter().enumerate()) {
            tokens[level][..codes.len()].copy_from_slice(codes);
        }
        Ok(Task {
            tokens,
            conditions,
            seed: row.seed,
            dropped,
            edited: false,
        })
    }

    /// How many frames a row's context lasts.
    fn lasts(&self, conditions: &Conditions) -> Result<usize, SoundStormError> {
        match (&conditions.context, &conditions.durations) {
            (None, _) => Err(SoundStormError::Empty("generation")),
            (Some(_), Some(durations)) => Ok(durations.iter().sum()),
            (Some(_), None) => {
                let predicted = self.predict_frames(std::slice::from_ref(conditions))?;
                Ok(predicted.into_iter().sum())
            }
        }
    }

    fn acoustic_frames(&self, tokens: usize) -> usize {
        self.semantic
            .as_ref()
            .map_or(tokens, |semantic| semantic.acoustic_frames(tokens))
    }

    /// Whether codes, `[levels][frames]`, fit the model, where they count.
    pub(crate) fn check_row(
        &self,
        what: &'static str,
        levels: &RowCodes,
        counts: impl Fn(usize, usize) -> bool,
    ) -> Result<(), SoundStormError> {
        if levels.len() != self.levels() {
            return Err(SoundStormError::Levels {
                what,
                expected: self.levels(),
                got: levels.len(),
            });
        }
        let frames = levels.first().map_or(0, Vec::len);
        let limit = self.codebook_size() as i64 - 1;
        for (level, codes) in levels.iter().enumerate() {
            if codes.len() != frames {
                return Err(SoundStormError::Shape {
                    what,
                    expected: format!("{frames} frames in every level"),
                    got: format!("{} in level {}", codes.len(), level + 1),
                });
            }
            let mut bad = codes
                .iter()
                .enumerate()
                .filter(|(frame, code)| !(0..=limit).contains(*code) && counts(level, *frame));
            if let Some((frame, &got)) = bad.next() {
                return Err(SoundStormError::Token {
                    what: format!("{what} of level {}", level + 1),
                    frame,
                    got,
                    limit,
                });
            }
        }
        Ok(())
    }
}
