//! One step of one level for rows with the same options: a candidate for each masked frame, and
//! which are kept (MaskGIT, arXiv 2202.04200, section 3.2).

use burn::tensor::{Bool, DType, Int, Tensor, TensorData, backend::Backend};

use crate::confidence::{entropy, log_margin, log_probability, most_confident, within_budget};
use crate::given::Given;
use crate::group::Group;
use crate::order::van_der_corput_ranking;
use crate::plan::LevelPlan;
use crate::random::step_noise;
use crate::sampler::{draw, most_likely};
use crate::span::Spans;
use crate::{Confidence, DecodeOptions, DecodeRow, OptionsError, Order, Remask};

/// What a group keeps from step to step of a level. Parts that its options do not ask for are
/// absent.
pub(crate) struct GroupLevel<B: Backend> {
    pub(crate) plan: LevelPlan,
    level: usize,
    /// Frames masked at the start of the level: the ones that may be masked again.
    own: Option<Tensor<B, 2, Bool>>,
    /// The ranking that needs no logits.
    ranking: Option<Tensor<B, 2>>,
    spans: Option<Spans<B>>,
    /// The probability with which each frame was filled.
    filled_with: Option<Tensor<B, 2>>,
}

/// A step before any frame is chosen.
pub(crate) struct Candidates<B: Backend> {
    /// `[rows, frames, codebook]`, f32.
    logits: Tensor<B, 3>,
    /// `[rows, frames]`, the level's tokens.
    current: Tensor<B, 2, Int>,
    /// `[rows, frames]`, true at masked real frames.
    masked: Tensor<B, 2, Bool>,
    /// `[rows, frames]`, a code for each masked frame.
    pub(crate) codes: Tensor<B, 2, Int>,
    /// `[rows, frames]`, absent where nothing is random.
    gumbels: Option<Tensor<B, 2>>,
}

impl<B: Backend> GroupLevel<B> {
    pub(crate) fn plan(
        level: usize,
        group: &Group<'_, B>,
        given: &Given,
    ) -> Result<LevelPlan, OptionsError> {
        let counts = group
            .rows
            .iter()
            .map(|&row| given.masked(level, row).count());
        let counts: Vec<usize> = counts.collect();
        LevelPlan::new(level, &counts, group.options)
    }

    pub(crate) fn new(
        level: usize,
        plan: LevelPlan,
        group: &Group<'_, B>,
        given: &Given,
        frames: usize,
        device: &B::Device,
    ) -> Self {
        let options = group.options;
        let masked = || -> Vec<Vec<usize>> {
            let rows = group.rows.iter();
            rows.map(|&row| given.masked(level, row).collect())
                .collect()
        };
        Self {
            plan,
            level,
            own: (options.remask != Remask::Never)
                .then(|| given.masked_tensor(level, &group.rows, device)),
            ranking: (options.order == Order::VanDerCorput)
                .then(|| van_der_corput_ranking(&masked(), frames, device)),
            spans: (options.span > 1).then(|| Spans::new(&masked(), frames, options.span, device)),
            filled_with: options
                .remask
                .by_confidence()
                .then(|| Tensor::zeros([group.rows.len(), frames], (device, DType::F32))),
        }
    }

    /// The frames whose logits count: those that are masked, and those that are ranked with them.
    pub(crate) fn counted(
        &self,
        group: &Group<'_, B>,
        masked: Tensor<B, 2, Bool>,
    ) -> Tensor<B, 2, Bool> {
        match (&self.own, group.options.remask) {
            (Some(own), Remask::LeastConfident) => own.clone().bool_or(masked),
            _ => masked,
        }
    }

    /// Whether a critic is asked at a step: the last fills all that is left.
    pub(crate) fn asks_critic(&self, group: &Group<'_, B>, step: usize) -> bool {
        group.options.confidence == Confidence::Critic && step < self.plan.steps
    }

    /// A code for each masked frame.
    pub(crate) fn candidates(
        &self,
        group: &Group<'_, B>,
        rows: &[DecodeRow],
        step: usize,
        logits: &Tensor<B, 3>,
        current: &Tensor<B, 2, Int>,
        masked: &Tensor<B, 2, Bool>,
    ) -> Candidates<B> {
        let logits = group.of(logits);
        let current = group.of(current);
        let masked = group.of(masked);
        let options = group.options;
        let (codes, gumbels) = if step == self.plan.steps || options.greedy {
            (most_likely(logits.clone()), None)
        } else {
            let rows: Vec<DecodeRow> = group.rows.iter().map(|&row| rows[row]).collect();
            let [_, frames] = masked.dims();
            let (uniforms, gumbels) = noise(&rows, frames, self.level, step, &logits.device());
            let codes = draw(logits.clone(), &options.filters(), uniforms);
            (codes, Some(gumbels))
        };
        Candidates {
            logits,
            current,
            masked,
            codes,
            gumbels,
        }
    }

    /// The level's tokens after the step, `[rows, frames]`.
    pub(crate) fn choose(
        &mut self,
        group: &Group<'_, B>,
        step: usize,
        candidates: Candidates<B>,
        scores: Option<Tensor<B, 2>>,
        mask_id: usize,
    ) -> Tensor<B, 2, Int> {
        let ranked =
            (step < self.plan.steps).then(|| self.confidence(group, step, &candidates, scores));
        let Candidates {
            logits,
            current,
            masked,
            codes,
            gumbels,
        } = candidates;
        let device = current.device();
        let counts = |counts: Vec<i64>| -> Tensor<B, 2, Int> {
            let rows = counts.len();
            Tensor::from_data(TensorData::new(counts, [rows, 1]), &device)
        };
        let filled = codes.clone().cast(current.dtype());
        let Some(confidence) = ranked else {
            return current.mask_where(masked, filled);
        };
        let DecodeOptions {
            remask,
            entropy_budget,
            ..
        } = group.options;
        match (remask, &self.own, gumbels) {
            (Remask::LeastConfident, Some(own), _) => {
                let kept = counts(self.plan.kept(step));
                let kept = most_confident(confidence, own.clone(), kept);
                let lost = own.clone().bool_and(kept.bool_not());
                current
                    .mask_where(masked, filled)
                    .mask_fill(lost, mask_id as i64)
            }
            (Remask::Cap(_) | Remask::Rescale(_), Some(own), Some(gumbels)) => {
                let kept = counts(self.plan.filled(step));
                let kept = most_confident(confidence, masked.clone(), kept);
                let standing = own.clone().bool_and(masked.bool_not());
                let drawn = self.plan.remasked(step).into_iter();
                let drawn = counts(drawn.map(|count| count as i64).collect());
                // Gumbels draw without replacement, by the weights whose logarithm they are added to.
                let weights = match &self.filled_with {
                    Some(filled_with) => gumbels - filled_with.clone(),
                    None => gumbels,
                };
                let lost = most_confident(weights, standing, drawn);
                if let Some(filled_with) = self.filled_with.take() {
                    let probability = log_probability(logits, codes).exp();
                    self.filled_with = Some(filled_with.mask_where(kept.clone(), probability));
                }
                current
                    .mask_where(kept, filled)
                    .mask_fill(lost, mask_id as i64)
            }
            _ => {
                let kept = match entropy_budget {
                    Some(budget) => within_budget(confidence, masked, entropy(logits), *budget),
                    None => most_confident(confidence, masked, counts(self.plan.filled(step))),
                };
                current.mask_where(kept, filled)
            }
        }
    }

    /// What frames are ranked by, `[rows, frames]`: finite, the larger the earlier.
    fn confidence(
        &self,
        group: &Group<'_, B>,
        step: usize,
        candidates: &Candidates<B>,
        scores: Option<Tensor<B, 2>>,
    ) -> Tensor<B, 2> {
        let options = group.options;
        let Candidates {
            logits,
            current,
            masked,
            codes,
            gumbels,
        } = candidates;
        let confidence = match (&self.ranking, gumbels, options.order) {
            (Some(ranking), _, _) => ranking.clone(),
            (None, Some(gumbels), Order::Random) => gumbels.clone(),
            _ => {
                let surety = match (options.confidence, scores) {
                    (Confidence::Critic, Some(scores)) => scores,
                    (Confidence::Margin, _) => log_margin(logits.clone()),
                    (Confidence::Entropy, _) => entropy(logits.clone()).neg(),
                    _ if options.remask == Remask::LeastConfident => {
                        let codes = codes.clone().cast(current.dtype());
                        // Frames that are neither candidates nor kept may hold anything.
                        let last = logits.dims()[2] as i64 - 1;
                        let own = current.clone().mask_where(masked.clone(), codes);
                        let own = own.clamp_max(last);
                        // A kept code may have become impossible.
                        log_probability(logits.clone(), own).clamp_min(f32::MIN / 2.0)
                    }
                    _ => log_probability(logits.clone(), codes.clone()),
                };
                match gumbels {
                    Some(gumbels) => {
                        let annealing = 1.0 - step as f64 / self.plan.steps as f64;
                        surety
                            + gumbels
                                .clone()
                                .mul_scalar(options.confidence_noise * annealing)
                    }
                    None => surety,
                }
            }
        };
        match (&self.spans, &self.own, options.remask) {
            (Some(spans), Some(own), Remask::LeastConfident) => spans.best(confidence, own.clone()),
            (Some(spans), _, _) => spans.best(confidence, masked.clone()),
            (None, _, _) => confidence,
        }
    }
}

/// The uniforms and Gumbels of one step, `[rows, frames]` each; padding gets zeros, never used.
fn noise<B: Backend>(
    rows: &[DecodeRow],
    frames: usize,
    level: usize,
    step: usize,
    device: &B::Device,
) -> (Tensor<B, 2>, Tensor<B, 2>) {
    let mut uniforms = Vec::with_capacity(rows.len() * frames);
    let mut gumbels = Vec::with_capacity(rows.len() * frames);
    for row in rows {
        let noise = step_noise(row.seed, level, step, row.frames);
        uniforms.extend(noise.uniforms);
        gumbels.extend(noise.gumbels);
        let padded = uniforms.len() + frames - row.frames;
        uniforms.resize(padded, 0.0);
        gumbels.resize(padded, 0.0);
    }
    let upload = |values| {
        let data = TensorData::new(values, [rows.len(), frames]);
        Tensor::from_data(data, (device, DType::F32))
    };
    (upload(uniforms), upload(gumbels))
}
