//! How well a model predicts given codes: for each level the cross-entropy and
//! accuracy with that level and all finer ones masked.

use burn::tensor::{Int, Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::{Conditions, SoundStorm, SoundStormError, loss::cross_entropy};

/// The score of one level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelScore {
    /// The level, counted from 1 for the coarsest.
    pub level: usize,
    /// Mean cross-entropy over the real frames, in nats.
    pub loss: f64,
    /// Share of real frames whose most likely code is the right one.
    pub accuracy: f64,
}

impl<B: Backend> SoundStorm<B> {
    /// Scores each level with that level and all finer ones masked.
    ///
    /// # Shapes
    /// - `codes`: `[batch, levels, frames]`
    /// - `lengths`: real frames of each row; all, when absent
    /// - `semantic`: each row's semantic tokens
    ///
    /// # Errors
    /// Codes, lengths or semantic tokens that do not fit.
    pub fn evaluate(
        &self,
        codes: Tensor<B, 3, Int>,
        lengths: Option<&[usize]>,
        semantic: Option<&[Vec<i64>]>,
        observe: impl FnMut(&LevelScore),
    ) -> Result<Vec<LevelScore>, SoundStormError> {
        if self.semantic.is_some() != semantic.is_some() {
            return Err(SoundStormError::Semantic(match semantic {
                Some(_) => "the model is not conditioned on them",
                None => "the model is conditioned on them, and none are given",
            }));
        }
        let conditions: Vec<Conditions> = match semantic {
            Some(rows) => rows.iter().cloned().map(Conditions::semantic).collect(),
            None => vec![Conditions::default(); codes.dims()[0]],
        };
        self.evaluate_given(codes, lengths, &conditions, observe)
    }

    /// The same under any conditions.
    ///
    /// # Errors
    /// Codes, lengths or conditions that do not fit.
    pub fn evaluate_given(
        &self,
        codes: Tensor<B, 3, Int>,
        lengths: Option<&[usize]>,
        conditions: &[Conditions],
        mut observe: impl FnMut(&LevelScore),
    ) -> Result<Vec<LevelScore>, SoundStormError> {
        self.check_codes("codes", &codes, lengths, self.codebook_size() - 1)?;
        let [batch, levels, frames] = codes.dims();
        if conditions.len() != batch {
            return Err(SoundStormError::Shape {
                what: "conditions",
                expected: format!("those of {batch} rows"),
                got: conditions.len().to_string(),
            });
        }
        let prepared = self.prepare(conditions, lengths, frames)?;
        let full = vec![frames; batch];
        let lengths = lengths.unwrap_or(&full);
        if lengths.iter().all(|&length| length == 0) {
            return Err(SoundStormError::Empty("codes"));
        }
        let mut scores = Vec::with_capacity(levels);
        for level in 0..levels {
            let finer = [0..batch, level..levels, 0..frames];
            let masked = Tensor::full(
                [batch, levels - level, frames],
                self.mask_id() as i64,
                &codes.device(),
            );
            let input = codes.clone().slice_assign(finer, masked);
            let logits = self.level_logits_given(input, &prepared, Some(lengths), level);
            let target: Tensor<B, 2, Int> =
                codes.clone().narrow(1, level, 1).reshape([batch, frames]);

            let losses = cross_entropy(logits.clone(), target.clone()).into_data();
            let right = logits
                .argmax(2)
                .squeeze_dim::<2>(2)
                .equal(target)
                .int()
                .into_data();
            let (mut loss, mut hits, mut count) = (0.0, 0, 0usize);
            for (index, (nats, hit)) in losses.iter::<f64>().zip(right.iter::<i64>()).enumerate() {
                if index % frames < lengths[index / frames] {
                    loss += nats;
                    hits += hit;
                    count += 1;
                }
            }
            let score = LevelScore {
                level: level + 1,
                loss: loss / count as f64,
                accuracy: hits as f64 / count as f64,
            };
            observe(&score);
            scores.push(score);
        }
        Ok(scores)
    }
}
