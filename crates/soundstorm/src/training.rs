//! The training objective of everything a model may have: the generator under any conditions, some
//! of which are left out at random, its self-conditioning, its critic and its durations.

use burn::tensor::{Bool, DType, Int, Tensor, TensorData, backend::Backend};
use rand::{Rng, RngExt};
use soundstorm_maskgit::{MaskedBatch, TrainingMask, sampler};

use crate::{
    ConditionDropout, Conditions, Prepared, SoundStorm, SoundStormError, TrainingBatch,
    durations::{DurationTarget, duration_loss},
    loss::{by_level, cross_entropy},
};

/// What [`SoundStorm::losses`] is given.
#[derive(Clone, Debug)]
pub struct ConditionedBatch<B: Backend> {
    /// `[batch, levels, frames]`, without mask ids.
    pub codes: Tensor<B, 3, Int>,
    /// Real frames of each row; all, when absent.
    pub lengths: Option<Vec<usize>>,
    /// What each row is conditioned on.
    pub conditions: Vec<Conditions>,
}

impl<B: Backend> From<&TrainingBatch<B>> for ConditionedBatch<B> {
    fn from(batch: &TrainingBatch<B>) -> Self {
        let rows = batch.codes.dims()[0];
        Self {
            codes: batch.codes.clone(),
            lengths: batch.lengths.clone(),
            conditions: match &batch.semantic {
                Some(rows) => rows.iter().cloned().map(Conditions::semantic).collect(),
                None => vec![Conditions::default(); rows],
            },
        }
    }
}

/// What of a model is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Train {
    /// All that there is.
    #[default]
    All,
    /// All but the critic.
    Generator,
    /// The critic alone. A critic on the generator trains the network below it too.
    Critic,
}

/// Options of [`SoundStorm::losses`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossOptions {
    /// What is trained.
    pub train: Train,
    /// How often conditions are left out.
    pub dropout: ConditionDropout,
    /// Weight of the critic's loss in the total.
    pub critic_weight: f64,
    /// Weight of the durations' loss in the total.
    pub duration_weight: f64,
    /// Temperature of the samples that the critic learns from. When absent it is drawn anew for
    /// each batch, uniformly up to 1, as in soundstorm-pytorch.
    pub sample_temperature: Option<f64>,
}

impl Default for LossOptions {
    fn default() -> Self {
        Self {
            train: Train::All,
            dropout: ConditionDropout::default(),
            critic_weight: 1.0,
            duration_weight: 1.0,
            sample_temperature: None,
        }
    }
}

/// The losses of a batch, each `[1]`.
#[derive(Clone, Debug)]
pub struct Losses<B: Backend> {
    /// What to minimise: the weighted sum of the others.
    pub total: Tensor<B, 1>,
    /// Mean cross-entropy of the masked tokens, in nats; absent if the critic alone is trained.
    pub generator: Option<Tensor<B, 1>>,
    /// Mean binary cross-entropy, in nats, of whether a masked token that was filled with a sample
    /// is not the real one.
    pub critic: Option<Tensor<B, 1>>,
    /// Mean squared difference of logarithms of durations.
    pub durations: Option<Tensor<B, 1>>,
}

/// The generator's part of a step.
pub(crate) struct Generated<B: Backend> {
    /// Sum of the cross-entropies of the masked tokens, in nats, `[1]`.
    pub(crate) loss: Tensor<B, 1>,
    /// Samples of each row's level, `[batch, frames]`, if they are wanted.
    samples: Option<Tensor<B, 2, Int>>,
    /// The true codes of each row's level, `[batch, frames]`; no rows where there are no samples.
    targets: Tensor<B, 2, Int>,
}

impl<B: Backend> SoundStorm<B> {
    /// The losses of a batch under a mask that is drawn.
    ///
    /// # Errors
    /// Codes, lengths or conditions that do not fit, a row without frames, options that make no
    /// sense, and a critic that is to be trained and is not there.
    pub fn losses<R: Rng + ?Sized>(
        &self,
        batch: &ConditionedBatch<B>,
        options: &LossOptions,
        rng: &mut R,
    ) -> Result<Losses<B>, SoundStormError> {
        let [rows, levels, frames] = batch.codes.dims();
        let lengths = batch.lengths.clone().unwrap_or_else(|| vec![frames; rows]);
        self.check_codes(
            "codes",
            &batch.codes,
            Some(&lengths),
            self.codebook_size() - 1,
        )?;
        let mask = TrainingMask::draw(&lengths, levels, frames, rng)?;
        self.masked_losses(batch, &mask, options, rng)
    }

    /// The losses under a given mask.
    ///
    /// # Errors
    /// As [`Self::losses`], and a mask of another shape.
    pub fn masked_losses<R: Rng + ?Sized>(
        &self,
        batch: &ConditionedBatch<B>,
        mask: &TrainingMask,
        options: &LossOptions,
        rng: &mut R,
    ) -> Result<Losses<B>, SoundStormError> {
        if let Some(problem) = options.dropout.problem() {
            return Err(SoundStormError::Config(problem));
        }
        let [rows, _, frames] = batch.codes.dims();
        if batch.conditions.len() != rows {
            return Err(SoundStormError::Shape {
                what: "conditions",
                expected: format!("those of {rows} rows"),
                got: batch.conditions.len().to_string(),
            });
        }
        let with_critic = match options.train {
            Train::All => self.has_critic(),
            Train::Generator => false,
            Train::Critic if self.has_critic() => true,
            Train::Critic => return Err(SoundStormError::Absent("critic")),
        };
        let mut left = batch.conditions.clone();
        if options.dropout != ConditionDropout::default() {
            for row in &mut left {
                *row = row.dropped(&options.dropout, rng);
            }
        }
        let lengths = batch.lengths.as_deref();
        let prepared = self.prepare(&left, lengths, frames)?;
        let masked = mask.apply_tensor(batch.codes.clone(), self.mask_id())?;
        let count = mask
            .counted()
            .iter()
            .filter(|&&counts| counts)
            .count()
            .max(1) as f64;

        let last = self.earlier_pass(&masked, &prepared, lengths, rng);
        let hidden = self.hidden_adding(masked.tokens.clone(), &prepared, last, lengths);
        let draw = with_critic.then(|| Draw::new(options, rows, frames, rng));
        let generated = self.generated(&hidden, &batch.codes, &masked, draw);
        let loss = generated.loss / count;

        let mut total = Tensor::<B, 1>::zeros([1], (&batch.codes.device(), DType::F32));
        let mut losses = Losses {
            total: total.clone(),
            generator: None,
            critic: None,
            durations: None,
        };
        if let Some(samples) = generated.samples {
            let critic =
                self.critic_loss(samples, generated.targets, &masked, &prepared, lengths)? / count;
            total = total + critic.clone() * options.critic_weight;
            losses.critic = Some(critic);
        }
        if options.train != Train::Critic {
            total = total + loss.clone();
            losses.generator = Some(loss);
            losses.durations = self.duration_loss(&left, &prepared, lengths, frames);
            if let Some(durations) = &losses.durations {
                total = total + durations.clone() * options.duration_weight;
            }
        }
        losses.total = total;
        Ok(losses)
    }

    /// What self-conditioning adds to each row: the null, or what comes of a pass before, which no
    /// gradient goes through.
    fn earlier_pass<R: Rng + ?Sized>(
        &self,
        masked: &MaskedBatch<B>,
        prepared: &Prepared<B>,
        lengths: Option<&[usize]>,
        rng: &mut R,
    ) -> Option<Tensor<B, 3>> {
        let layer = self.self_conditioning.as_ref()?;
        let absent = layer.absent();
        let rows = masked.levels.len();
        let without: Vec<bool> = (0..rows)
            .map(|_| rng.random::<f64>() >= layer.train_probability)
            .collect();
        if !without.contains(&false) {
            return Some(absent);
        }
        let tokens = masked.tokens.clone();
        let first = self.hidden_adding(tokens, prepared, Some(absent.clone()), lengths);
        let added = layer.forward(self.head.summary(first.detach()).detach());
        let without = TensorData::new(without, [rows, 1, 1]);
        let without = Tensor::<B, 3, Bool>::from_data(without, &added.device());
        let shape = added.dims();
        let absent = absent.expand(shape);
        Some(added.mask_where(without.expand(shape), absent))
    }

    /// Cross-entropies, and samples if a critic is to judge them. Rows that drew the same level
    /// share its head; no other head runs.
    pub(crate) fn generated(
        &self,
        hidden: &Tensor<B, 3>,
        codes: &Tensor<B, 3, Int>,
        masked: &MaskedBatch<B>,
        draw: Option<Draw>,
    ) -> Generated<B> {
        let [_, _, frames] = codes.dims();
        let device = codes.device();
        let mut loss = Tensor::<B, 1>::zeros([1], (&device, DType::F32));
        let (mut samples, mut targets) = (Vec::new(), Vec::new());
        let mut order = Vec::<i64>::new();
        for (level, rows) in by_level(&masked.levels) {
            let count = rows.len();
            let index = Tensor::<B, 1, Int>::from_data(rows.as_slice(), &device);
            let logits = self
                .head
                .forward(hidden.clone().select(0, index.clone()), level);
            let target = codes.clone().select(0, index.clone());
            let target: Tensor<B, 2, Int> = target.narrow(1, level, 1).reshape([count, frames]);
            if let Some(draw) = &draw {
                samples.push(draw.sample(logits.clone().detach(), &rows, frames));
                targets.push(target.clone());
                order.extend(&rows);
            }
            let counted = masked.counted.clone().float().select(0, index);
            loss = loss + (cross_entropy(logits, target) * counted.cast(DType::F32)).sum();
        }
        // Back to the order of the batch.
        let mut back = vec![0i64; order.len()];
        for (place, &row) in order.iter().enumerate() {
            back[row as usize] = place as i64;
        }
        let in_order = |parts: Vec<Tensor<B, 2, Int>>| {
            let back = Tensor::<B, 1, Int>::from_data(back.as_slice(), &device);
            (!parts.is_empty()).then(|| Tensor::cat(parts, 0).select(0, back))
        };
        Generated {
            loss,
            samples: in_order(samples),
            targets: in_order(targets).unwrap_or_else(|| Tensor::zeros([0, frames], &device)),
        }
    }

    /// The sum, over the masked tokens of each row's level, of the binary cross-entropies of
    /// whether their samples are not the real ones.
    fn critic_loss(
        &self,
        samples: Tensor<B, 2, Int>,
        targets: Tensor<B, 2, Int>,
        masked: &MaskedBatch<B>,
        prepared: &Prepared<B>,
        lengths: Option<&[usize]>,
    ) -> Result<Tensor<B, 1>, SoundStormError> {
        let [rows, levels, frames] = masked.tokens.dims();
        let device = masked.tokens.device();
        let of_level: Vec<bool> = masked
            .levels
            .iter()
            .flat_map(|&drawn| (0..levels).map(move |level| level == drawn))
            .collect();
        let shape = [rows, levels, frames];
        let of_level = TensorData::new(of_level, [rows, levels, 1]);
        let of_level = Tensor::<B, 3, Bool>::from_data(of_level, &device).expand(shape);
        let filled = masked.counted.clone().unsqueeze_dim::<3>(1).expand(shape);
        let filled = filled.bool_and(of_level);
        let shown = samples.clone().unsqueeze_dim::<3>(1).expand(shape);
        let tokens = masked.tokens.clone().mask_where(filled, shown);

        let labels = samples.not_equal(targets).float().cast(DType::F32);
        let counted = masked.counted.clone().float().cast(DType::F32);
        let judged = self.judge(tokens, prepared, lengths)?;
        let mut sum = Tensor::<B, 1>::zeros([1], (&device, DType::F32));
        for (level, rows) in by_level(&masked.levels) {
            let index = Tensor::<B, 1, Int>::from_data(rows.as_slice(), &device);
            let scores = judged.scores(Some(index.clone()), level);
            let labels = labels.clone().select(0, index.clone());
            let losses = binary_cross_entropy(scores, labels);
            sum = sum + (losses * counted.clone().select(0, index)).sum();
        }
        Ok(sum)
    }

    fn duration_loss(
        &self,
        rows: &[Conditions],
        prepared: &Prepared<B>,
        lengths: Option<&[usize]>,
        frames: usize,
    ) -> Option<Tensor<B, 1>> {
        let head = self.duration_head()?;
        let encoded = prepared.encoded.as_ref()?;
        let predicted = head.forward(encoded.frames.clone());
        let targets: Vec<DurationTarget> = rows
            .iter()
            .enumerate()
            .map(|(index, row)| DurationTarget {
                symbols: row.context.as_ref().map_or(0, Vec::len),
                durations: row.durations.clone(),
                frames: lengths.map_or(frames, |lengths| lengths[index]),
            })
            .collect();
        duration_loss(predicted, &targets)
    }
}

/// How the tokens are drawn that a critic judges.
pub(crate) struct Draw {
    temperature: f64,
    /// `[batch, frames]`
    uniforms: Vec<f32>,
}

impl Draw {
    fn new<R: Rng + ?Sized>(
        options: &LossOptions,
        rows: usize,
        frames: usize,
        rng: &mut R,
    ) -> Self {
        Self {
            temperature: options
                .sample_temperature
                .unwrap_or_else(|| rng.random::<f64>()),
            uniforms: (0..rows * frames).map(|_| rng.random::<f32>()).collect(),
        }
    }

    /// Samples of some rows, `[rows, frames]`.
    fn sample<B: Backend>(
        &self,
        logits: Tensor<B, 3>,
        rows: &[i64],
        frames: usize,
    ) -> Tensor<B, 2, Int> {
        let uniforms: Vec<f32> = rows
            .iter()
            .flat_map(|&row| &self.uniforms[row as usize * frames..][..frames])
            .copied()
            .collect();
        let device = logits.device();
        let uniforms = TensorData::new(uniforms, [rows.len(), frames]);
        let uniforms = Tensor::from_data(uniforms, (&device, DType::F32));
        let filters = sampler::Filters {
            temperature: self.temperature,
            ..Default::default()
        };
        sampler::draw(logits, &filters, uniforms)
    }
}

/// Minus the logarithm of the probability of each label, 0 or 1, in nats.
///
/// # Shapes
/// - `logits`, `labels`, output: `[batch, frames]`
fn binary_cross_entropy<B: Backend>(logits: Tensor<B, 2>, labels: Tensor<B, 2>) -> Tensor<B, 2> {
    // Never the exponential of a large number.
    let rest = (logits.clone().abs().neg().exp() + 1.0).log();
    logits.clone().clamp_min(0.0) - logits * labels + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    type B = burn_flex::Flex;

    #[test]
    fn binary_cross_entropy_follows_its_definition() {
        let device = Default::default();
        let logits = [[-300.0f32, -2.0, 0.0, 3.0, 300.0]];
        let of = |label: f32| {
            let labels = Tensor::<B, 2>::full([1, 5], label, &device);
            binary_cross_entropy(Tensor::from_data(logits, &device), labels).into_data()
        };
        let softplus = |x: f32| (1.0 + x.exp()).ln();
        let want = [[0.0, softplus(-2.0), softplus(0.0), softplus(3.0), 300.0]];
        of(0.0).assert_approx_eq::<f32>(&TensorData::from(want), Tolerance::absolute(1e-5));
        let want = [[300.0, softplus(2.0), softplus(0.0), softplus(-3.0), 0.0]];
        of(1.0).assert_approx_eq::<f32>(&TensorData::from(want), Tolerance::absolute(1e-5));
    }
}
