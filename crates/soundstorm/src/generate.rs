//! Generation: a batch of rows, each with its own length, prompt, semantic
//! tokens and seed, filled in level by level (SoundStorm, section 3.3).

use std::convert::Infallible;

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use soundstorm_maskgit::{DecodeOptions, DecodeRow, StepInfo, decode};

use crate::{SoundStorm, SoundStormError};

/// The codes of one row, level by level: `[levels][frames]`.
pub type RowCodes = Vec<Vec<i64>>;

/// A row to generate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenerateRow {
    /// Frames to generate, without the prompt. When absent, as many as the
    /// semantic tokens cover.
    pub frames: Option<usize>,
    /// Seed of the row's random stream; with it the row is the same in any batch.
    pub seed: u64,
    /// The row's semantic tokens, without the prompt's.
    pub semantic: Option<Vec<i64>>,
    /// What the row continues.
    pub prompt: Option<Prompt>,
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

/// A row as the network sees it: the prompt and what follows it.
struct Plan {
    prompt_frames: usize,
    frames: usize,
    semantic: Option<Vec<i64>>,
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
        observe: impl FnMut(&StepInfo),
    ) -> Result<Vec<RowCodes>, SoundStormError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let plans = rows
            .iter()
            .map(|row| self.plan(row))
            .collect::<Result<Vec<_>, _>>()?;
        let longest = plans.iter().map(|plan| plan.frames).max().unwrap_or(0);
        let frames = self.padded(longest);
        let semantic: Option<Vec<Vec<i64>>> =
            plans.iter().map(|plan| plan.semantic.clone()).collect();
        let condition = self.condition(semantic.as_deref(), frames)?;
        let lengths: Vec<usize> = plans.iter().map(|plan| plan.frames).collect();

        let tokens = self.start(rows, frames);
        let decode_rows: Vec<DecodeRow> = rows
            .iter()
            .zip(&lengths)
            .map(|(row, &frames)| DecodeRow {
                frames,
                seed: row.seed,
            })
            .collect();
        let tokens = decode(
            tokens,
            &decode_rows,
            self.mask_id(),
            options,
            |tokens, level| -> Result<_, Infallible> {
                Ok(self.level_logits(tokens, condition.clone(), Some(&lengths), level))
            },
            observe,
        )?;

        let flat: Vec<i64> = tokens.into_data().iter::<i64>().collect();
        let row_codes = |(index, plan): (usize, &Plan)| -> RowCodes {
            (0..self.levels())
                .map(|level| {
                    let start = (index * self.levels() + level) * frames;
                    flat[start + plan.prompt_frames..start + plan.frames].to_vec()
                })
                .collect()
        };
        Ok(plans.iter().enumerate().map(row_codes).collect())
    }

    /// Checks a row, and joins it to its prompt.
    fn plan(&self, row: &GenerateRow) -> Result<Plan, SoundStormError> {
        let prompt_frames = row.prompt.as_ref().map_or(0, Prompt::frames);
        if let Some(prompt) = &row.prompt {
            self.check_prompt(prompt)?;
        }
        let semantic = match (&self.semantic, &row.semantic, &row.prompt) {
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
        let frames = match (row.frames, covered) {
            (Some(frames), _) => prompt_frames + frames,
            (None, Some(covered)) => covered,
            (None, None) => return Err(SoundStormError::Empty("generation")),
        };
        if frames <= prompt_frames {
            return Err(SoundStormError::Empty("generation"));
        }
        Ok(Plan {
            prompt_frames,
            frames,
            semantic,
        })
    }

    fn acoustic_frames(&self, tokens: usize) -> usize {
        self.semantic
            .as_ref()
            .map_or(tokens, |semantic| semantic.acoustic_frames(tokens))
    }

    fn check_prompt(&self, prompt: &Prompt) -> Result<(), SoundStormError> {
        if prompt.codes.len() != self.levels() {
            return Err(SoundStormError::Levels {
                what: "prompt",
                expected: self.levels(),
                got: prompt.codes.len(),
            });
        }
        let limit = self.codebook_size() as i64 - 1;
        for (level, codes) in prompt.codes.iter().enumerate() {
            if codes.len() != prompt.frames() {
                return Err(SoundStormError::Shape {
                    what: "prompt",
                    expected: format!("{} frames in every level", prompt.frames()),
                    got: format!("{} in level {}", codes.len(), level + 1),
                });
            }
            if let Some(frame) = codes.iter().position(|code| !(0..=limit).contains(code)) {
                return Err(SoundStormError::Token {
                    what: format!("prompt of level {}", level + 1),
                    frame,
                    got: codes[frame],
                    limit,
                });
            }
        }
        Ok(())
    }

    /// Prompts, and the mask id everywhere else, `[batch, levels, frames]`.
    fn start(&self, rows: &[GenerateRow], frames: usize) -> Tensor<B, 3, Int> {
        let levels = self.levels();
        let mut tokens = vec![self.mask_id() as i64; rows.len() * levels * frames];
        for (index, row) in rows.iter().enumerate() {
            for (level, codes) in row.prompt.iter().flat_map(|p| p.codes.iter().enumerate()) {
                let start = (index * levels + level) * frames;
                tokens[start..start + codes.len()].copy_from_slice(codes);
            }
        }
        let data = TensorData::new(tokens, [rows.len(), levels, frames]);
        Tensor::from_data(data, &self.device())
    }
}
