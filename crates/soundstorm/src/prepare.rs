//! All conditions of a batch, prepared once for any number of passes.

use burn::tensor::{DType, Tensor, backend::Backend};
use soundstorm_conformer::{Conditioning, Conformer, Context};

use crate::{
    Conditions, ContextEncoder, GlobalCondition, SemanticCondition, SoundStorm, SoundStormError,
    durations::whole_frames,
};

/// What a batch is conditioned on, as the network wants it.
#[derive(Clone, Debug)]
pub struct Prepared<B: Backend> {
    pub(crate) generator: Part<B>,
    /// The same for a critic that is a network of its own.
    pub(crate) critic: Option<Part<B>>,
    /// The encoded context, for the durations.
    pub(crate) encoded: Option<Context<B>>,
}

/// What one network is given.
#[derive(Clone, Debug)]
pub(crate) struct Part<B: Backend> {
    /// Added to the embedded frames, `[batch, frames, dim]`.
    pub(crate) added: Option<Tensor<B, 3>>,
    pub(crate) conditioning: Option<Conditioning<B>>,
}

/// A network's modules that take conditions.
pub(crate) struct Conditioners<'a, B: Backend> {
    pub(crate) semantic: Option<&'a SemanticCondition<B>>,
    pub(crate) context: Option<&'a ContextEncoder<B>>,
    pub(crate) global: Option<&'a GlobalCondition<B>>,
    pub(crate) conformer: &'a Conformer<B>,
    /// What the network computes in.
    pub(crate) dtype: DType,
    pub(crate) device: B::Device,
}

impl<B: Backend> Part<B> {
    /// A condition that is merely added to the frames.
    pub(crate) fn added(added: Option<Tensor<B, 3>>) -> Self {
        Self {
            added,
            conditioning: None,
        }
    }
}

impl<B: Backend> Conditioners<'_, B> {
    /// The encoded symbols of each row; nothing if no row has any.
    pub(crate) fn encode(
        &self,
        rows: &[Conditions],
    ) -> Result<Option<Context<B>>, SoundStormError> {
        let Some(encoder) = self.context else {
            return Ok(None);
        };
        let symbols: Vec<&[i64]> = rows
            .iter()
            .map(|row| row.context.as_deref().unwrap_or_default())
            .collect();
        encoder.forward(&symbols)
    }

    pub(crate) fn prepare(
        &self,
        rows: &[Conditions],
        encoded: Option<&Context<B>>,
        durations: Option<&[Vec<usize>]>,
        frames: usize,
    ) -> Result<Part<B>, SoundStormError> {
        let semantic = match self.semantic {
            Some(semantic) if rows.iter().any(|row| row.semantic.is_some()) => {
                let tokens: Vec<Vec<i64>> = rows
                    .iter()
                    .map(|row| row.semantic.clone().unwrap_or_default())
                    .collect();
                Some(semantic.forward(&tokens, frames)?)
            }
            _ => None,
        };
        let aligned = match (self.context, encoded, durations) {
            (Some(encoder), Some(encoded), Some(durations)) => {
                encoder.aligned(encoded, durations, frames)?
            }
            _ => None,
        };
        let vector = match self.global {
            Some(global) => global.forward(rows, self.dtype, &self.device)?,
            None => None,
        };
        let attended = self
            .context
            .filter(|encoder| encoder.to_frames.is_none())
            .and(encoded.cloned());
        let conditioned = attended.is_some() || vector.is_some();
        Ok(Part {
            added: match (semantic, aligned) {
                (Some(semantic), Some(aligned)) => Some(semantic + aligned),
                (semantic, aligned) => semantic.or(aligned),
            },
            conditioning: conditioned.then(|| self.conformer.condition(attended, vector)),
        })
    }
}

impl<B: Backend> SoundStorm<B> {
    /// Prepares the conditions of a batch for any number of passes over it. What a row does not
    /// give is the null of that condition; see [`Self::require`].
    ///
    /// Where symbols are aligned by durations and a row gives none, they are predicted, and scaled
    /// to the row's frames.
    ///
    /// # Shapes
    /// - `rows`: one for each row of the batch
    /// - `lengths`: real frames of each row; all, when absent
    ///
    /// # Errors
    /// Conditions that are given in vain or out of range, and durations that are needed and
    /// neither given nor predicted.
    pub fn prepare(
        &self,
        rows: &[Conditions],
        lengths: Option<&[usize]>,
        frames: usize,
    ) -> Result<Prepared<B>, SoundStormError> {
        self.check_used(rows)?;
        if let Some(lengths) = lengths
            && (lengths.len() != rows.len() || lengths.iter().any(|&length| length > frames))
        {
            return Err(SoundStormError::Shape {
                what: "lengths",
                expected: format!("{} numbers up to {frames}", rows.len()),
                got: format!("{lengths:?}"),
            });
        }
        let own = self.conditioners();
        let encoded = own.encode(rows)?;
        let durations = self.durations(rows, encoded.as_ref(), lengths, frames)?;
        let critic = match &self.token_critic {
            Some(critic) => {
                let own = critic.conditioners();
                let encoded = own.encode(rows)?;
                Some(own.prepare(rows, encoded.as_ref(), durations.as_deref(), frames)?)
            }
            None => None,
        };
        Ok(Prepared {
            generator: own.prepare(rows, encoded.as_ref(), durations.as_deref(), frames)?,
            critic,
            encoded,
        })
    }

    /// Checks that each row gives everything that the model is conditioned on: for a generation
    /// that is not guided.
    ///
    /// # Errors
    /// [`SoundStormError::Missing`] names the first that is not there.
    pub fn require(&self, rows: &[Conditions]) -> Result<(), SoundStormError> {
        for (row, conditions) in rows.iter().enumerate() {
            let voice = conditions.speaker.is_some() || conditions.embedding.is_some();
            for (what, taken, given) in [
                (
                    SEMANTIC,
                    self.semantic.is_some(),
                    conditions.semantic.is_some(),
                ),
                (
                    CONTEXT,
                    self.context.is_some(),
                    conditions.context.is_some(),
                ),
                (GLOBAL, self.global.is_some(), voice),
            ] {
                if taken && !given {
                    return Err(SoundStormError::Missing { what, row });
                }
            }
        }
        Ok(())
    }

    /// Whether the model takes any condition.
    pub(crate) fn is_conditioned(&self) -> bool {
        self.semantic.is_some() || self.context.is_some() || self.global.is_some()
    }

    /// How many frames each row of text lasts, by the model's own prediction; 0 for a row without.
    ///
    /// # Errors
    /// A model that predicts none, and conditions that do not fit.
    pub fn predict_frames(&self, rows: &[Conditions]) -> Result<Vec<usize>, SoundStormError> {
        let durations = self.predict_durations(rows)?;
        Ok(durations.iter().map(|row| row.iter().sum()).collect())
    }

    /// How many frames each symbol of each row lasts, by the model's own prediction.
    ///
    /// # Errors
    /// As [`Self::predict_frames`].
    pub fn predict_durations(
        &self,
        rows: &[Conditions],
    ) -> Result<Vec<Vec<usize>>, SoundStormError> {
        if self.duration_head().is_none() {
            return Err(SoundStormError::Absent("predictor of durations"));
        }
        self.check_used(rows)?;
        let Some(encoded) = self.conditioners().encode(rows)? else {
            return Ok(vec![Vec::new(); rows.len()]);
        };
        let raw = self.raw_durations(&encoded);
        Ok(raw.iter().map(|row| whole_frames(row, None)).collect())
    }

    pub(crate) fn duration_head(&self) -> Option<&crate::DurationHead<B>> {
        self.context.as_ref()?.durations.as_ref()
    }

    fn conditioners(&self) -> Conditioners<'_, B> {
        let table = self.embedding.table.val();
        Conditioners {
            semantic: self.semantic.as_ref(),
            context: self.context.as_ref(),
            global: self.global.as_ref(),
            conformer: &self.conformer,
            dtype: table.dtype(),
            device: table.device(),
        }
    }

    /// Predicted durations of each row's symbols; none without a predictor.
    fn raw_durations(&self, encoded: &Context<B>) -> Vec<Vec<f32>> {
        let Some(head) = self.duration_head() else {
            return Vec::new();
        };
        let predicted = head.forward(encoded.frames.clone());
        let longest = predicted.dims()[1];
        let predicted: Vec<f32> = predicted.into_data().iter().collect();
        let rows = predicted.chunks(longest).zip(&encoded.lengths);
        rows.map(|(row, &symbols)| row[..symbols].to_vec())
            .collect()
    }

    /// Durations to align by, if the model does.
    fn durations(
        &self,
        rows: &[Conditions],
        encoded: Option<&Context<B>>,
        lengths: Option<&[usize]>,
        frames: usize,
    ) -> Result<Option<Vec<Vec<usize>>>, SoundStormError> {
        let aligns = self
            .context
            .as_ref()
            .is_some_and(|encoder| encoder.to_frames.is_some());
        let Some(encoded) = encoded.filter(|_| aligns) else {
            return Ok(None);
        };
        let lacks = |row: &Conditions| row.context.is_some() && row.durations.is_none();
        let mut predicted = Vec::new();
        if let Some(row) = rows.iter().position(lacks) {
            if self.duration_head().is_none() {
                let what = "durations of the context's symbols";
                return Err(SoundStormError::Missing { what, row });
            }
            predicted = self.raw_durations(encoded);
        }
        let durations =
            rows.iter()
                .enumerate()
                .map(|(index, row)| match (&row.context, &row.durations) {
                    (None, _) => Vec::new(),
                    (Some(_), Some(given)) => given.clone(),
                    (Some(_), None) => {
                        let total = lengths.map_or(frames, |lengths| lengths[index]);
                        whole_frames(&predicted[index], Some(total))
                    }
                });
        Ok(Some(durations.collect()))
    }

    /// Checks that no row gives a kind of condition that the model does not take.
    fn check_used(&self, rows: &[Conditions]) -> Result<(), SoundStormError> {
        for (row, conditions) in rows.iter().enumerate() {
            let voice = conditions.speaker.is_some() || conditions.embedding.is_some();
            for (what, taken, given) in [
                (
                    SEMANTIC,
                    self.semantic.is_some(),
                    conditions.semantic.is_some(),
                ),
                (
                    CONTEXT,
                    self.context.is_some(),
                    conditions.context.is_some(),
                ),
                (GLOBAL, self.global.is_some(), voice),
            ] {
                if given && !taken {
                    return Err(SoundStormError::Unused { what, row });
                }
            }
            if let Some(durations) = &conditions.durations {
                let symbols = conditions.context.as_ref().map_or(0, Vec::len);
                if durations.len() != symbols {
                    return Err(SoundStormError::Shape {
                        what: "durations",
                        expected: format!("one for each of {symbols} symbols of row {row}"),
                        got: durations.len().to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

const SEMANTIC: &str = "semantic tokens";
const CONTEXT: &str = "a context";
const GLOBAL: &str = "a speaker or an embedding";
