//! The training objective: cross-entropy on the masked tokens of one level drawn
//! for each row (SoundStorm, section 3.2).

use std::collections::BTreeMap;

use burn::tensor::{DType, Int, Tensor, backend::Backend};
use rand::Rng;
use soundstorm_maskgit::TrainingMask;

use crate::{ConditionedBatch, LossOptions, SoundStorm, SoundStormError, Train};

/// What [`SoundStorm::loss`] is given.
#[derive(Clone, Debug)]
pub struct TrainingBatch<B: Backend> {
    /// `[batch, levels, frames]`, without mask ids.
    pub codes: Tensor<B, 3, Int>,
    /// Real frames of each row; all, when absent.
    pub lengths: Option<Vec<usize>>,
    /// Each row's semantic tokens, for a model conditioned on them.
    pub semantic: Option<Vec<Vec<i64>>>,
}

impl<B: Backend> TrainingBatch<B> {
    /// A batch of full rows without semantic tokens.
    pub fn new(codes: Tensor<B, 3, Int>) -> Self {
        Self {
            codes,
            lengths: None,
            semantic: None,
        }
    }
}

impl<B: Backend> SoundStorm<B> {
    /// The mean cross-entropy, in nats, of the masked tokens of the batch, `[1]`: the generator's
    /// part of [`Self::losses`], with no condition left out.
    ///
    /// # Errors
    /// Codes or lengths that do not fit, and a row without frames.
    pub fn loss<R: Rng + ?Sized>(
        &self,
        batch: &TrainingBatch<B>,
        rng: &mut R,
    ) -> Result<Tensor<B, 1>, SoundStormError> {
        if self.semantic.is_some() && batch.semantic.is_none() {
            return Err(SoundStormError::Semantic(
                "the model is conditioned on them, and none are given",
            ));
        }
        let options = LossOptions {
            train: Train::Generator,
            ..LossOptions::default()
        };
        let losses = self.losses(&ConditionedBatch::from(batch), &options, rng)?;
        Ok(losses.generator.unwrap_or(losses.total))
    }

    /// The loss under a given mask; of a first pass, where the model has self-conditioning.
    ///
    /// # Errors
    /// As [`Self::loss`], and a mask of another shape.
    pub fn masked_loss(
        &self,
        batch: &TrainingBatch<B>,
        mask: &TrainingMask,
    ) -> Result<Tensor<B, 1>, SoundStormError> {
        let frames = batch.codes.dims()[2];
        let masked = mask.apply_tensor(batch.codes.clone(), self.mask_id())?;
        let condition = self.condition(batch.semantic.as_deref(), frames)?;
        let hidden = self.hidden(masked.tokens.clone(), condition, batch.lengths.as_deref());
        let generated = self.generated(&hidden, &batch.codes, &masked, None);
        let count = mask.counted().iter().filter(|&&counts| counts).count();
        Ok(generated.loss / count.max(1) as f64)
    }
}

/// The rows of a batch that drew each level.
pub(crate) fn by_level(levels: &[usize]) -> BTreeMap<usize, Vec<i64>> {
    let mut rows = BTreeMap::<usize, Vec<i64>>::new();
    for (row, &level) in levels.iter().enumerate() {
        rows.entry(level).or_default().push(row as i64);
    }
    rows
}

/// The cross-entropy of each frame, in nats and single precision.
///
/// # Shapes
/// - `logits`: `[batch, frames, codebook_size]`
/// - `target`, output: `[batch, frames]`
pub(crate) fn cross_entropy<B: Backend>(
    logits: Tensor<B, 3>,
    target: Tensor<B, 2, Int>,
) -> Tensor<B, 2> {
    let [batch, frames, codes] = logits.dims();
    let logits = logits.cast(DType::F32).reshape([batch * frames, codes]);
    soundstorm_nn::cross_entropy(logits, target.reshape([batch * frames])).reshape([batch, frames])
}
