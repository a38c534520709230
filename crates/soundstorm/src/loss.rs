//! The training objective: cross-entropy on the masked tokens of one level drawn
//! for each row (SoundStorm, section 3.2).

use burn::tensor::{DType, Int, Tensor, TensorData, backend::Backend};
use rand::Rng;
use soundstorm_maskgit::TrainingMask;

use crate::{SoundStorm, SoundStormError};

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
    /// The mean cross-entropy, in nats, of the masked tokens of the batch, `[1]`.
    ///
    /// # Errors
    /// Codes or lengths that do not fit, and a row without frames.
    pub fn loss<R: Rng + ?Sized>(
        &self,
        batch: &TrainingBatch<B>,
        rng: &mut R,
    ) -> Result<Tensor<B, 1>, SoundStormError> {
        let [rows, levels, frames] = batch.codes.dims();
        let lengths = batch.lengths.clone().unwrap_or_else(|| vec![frames; rows]);
        self.check_codes(
            "codes",
            &batch.codes,
            Some(&lengths),
            self.codebook_size() - 1,
        )?;
        let mask = TrainingMask::draw(&lengths, levels, frames, rng)?;
        self.masked_loss(batch, &mask)
    }

    /// The loss under a given mask.
    ///
    /// # Errors
    /// As [`Self::loss`], and a mask of another shape.
    pub fn masked_loss(
        &self,
        batch: &TrainingBatch<B>,
        mask: &TrainingMask,
    ) -> Result<Tensor<B, 1>, SoundStormError> {
        let [_, _, frames] = batch.codes.dims();
        let device = batch.codes.device();
        let masked = mask.apply_tensor(batch.codes.clone(), self.mask_id())?;
        let condition = self.condition(batch.semantic.as_deref(), frames)?;
        let hidden = self.hidden(masked.tokens, condition, batch.lengths.as_deref());

        // Rows that drew the same level share its head; no other head runs.
        let mut levels = masked.levels.clone();
        levels.sort_unstable();
        levels.dedup();
        let mut sum = Tensor::<B, 1>::zeros([1], (&device, DType::F32));
        for level in levels {
            let rows: Vec<i64> = (0..masked.levels.len() as i64)
                .filter(|&row| masked.levels[row as usize] == level)
                .collect();
            let count = rows.len();
            let rows = Tensor::<B, 1, Int>::from_data(TensorData::new(rows, [count]), &device);
            let logits = self
                .head
                .forward(hidden.clone().select(0, rows.clone()), level);
            let target = batch
                .codes
                .clone()
                .select(0, rows.clone())
                .narrow(1, level, 1);
            let losses = cross_entropy(logits, target.reshape([count, frames]));
            let counted = masked.counted.clone().float().select(0, rows);
            sum = sum + (losses * counted).sum();
        }
        let count = mask.counted().iter().filter(|&&counts| counts).count();
        Ok(sum / count.max(1) as f64)
    }
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
