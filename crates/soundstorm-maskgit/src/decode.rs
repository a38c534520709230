//! The decode loop: level by level, coarse to fine, in confidence order within a level
//! (SoundStorm, arXiv 2305.09636, section 3.3; MaskGIT, arXiv 2202.04200, section 3.2).

use std::ops::ControlFlow;

use burn::tensor::{Bool, DType, Int, Tensor, TensorData, backend::Backend};

use crate::given::Given;
use crate::group::{Group, Options};
use crate::plan::LevelPlan;
use crate::soundness::Soundness;
use crate::step::GroupLevel;
use crate::{Confidence, DecodeError, DecodeOptions, Pass, StepInfo};

/// One row of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeRow {
    /// The row's real frames; those after them are padding.
    pub frames: usize,
    /// The seed of the row's random stream, often from [`row_seed`](crate::row_seed).
    pub seed: u64,
}

/// A pass that the network is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassAt {
    /// The level whose logits are needed, 0-based.
    pub level: usize,
    /// The step of the level, 1-based. A row whose options give the level fewer steps is done.
    pub step: usize,
}

/// How a decode ended.
#[derive(Debug, Clone)]
pub enum Decoded<B: Backend> {
    /// Everything is filled: `[batch, levels, frames]`.
    Finished(Tensor<B, 3, Int>),
    /// The observer broke off.
    Cancelled {
        /// `[batch, levels, frames]`: what was kept so far, and the mask id at all other frames
        /// that were masked at the start.
        tokens: Tensor<B, 3, Int>,
        /// The last pass that was done.
        at: StepInfo,
    },
}

impl<B: Backend> Decoded<B> {
    /// The tokens, whichever way it ended.
    pub fn into_tokens(self) -> Tensor<B, 3, Int> {
        match self {
            Self::Finished(tokens) | Self::Cancelled { tokens, .. } => tokens,
        }
    }
}

type Critic<'a, B, E> = Box<dyn FnMut(Tensor<B, 3, Int>, PassAt) -> Result<Tensor<B, 2>, E> + 'a>;
type Observer<'a, B> = Box<dyn FnMut(&Pass<'_, B>) -> ControlFlow<()> + 'a>;

/// Fills the masked tokens level by level, coarse to fine: [`Decoding`] with the same options for
/// all rows, and nothing else.
///
/// `net` is given the tokens as they stand, `[batch, levels, frames]`, and the level (0-based) whose
/// logits it returns, `[batch, frames, codebook]` with `codebook == mask_id`. `observe` is called
/// after each pass.
///
/// # Shapes
/// - tokens: `[batch, levels, frames]`, within `0..=mask_id`
/// - rows: one for each row of the batch
/// - output: `[batch, levels, frames]`, no `mask_id` within the rows' frames
///
/// # Errors
/// As of [`Decoding::run`].
pub fn decode<B, E, F>(
    tokens: Tensor<B, 3, Int>,
    rows: &[DecodeRow],
    mask_id: usize,
    options: &DecodeOptions,
    mut net: F,
    mut observe: impl FnMut(&StepInfo),
) -> Result<Tensor<B, 3, Int>, DecodeError<E>>
where
    B: Backend,
    F: FnMut(Tensor<B, 3, Int>, usize) -> Result<Tensor<B, 3>, E>,
{
    let decoded = Decoding::new(rows, mask_id, options)
        .with_observer(|pass| {
            observe(pass.info());
            ControlFlow::Continue(())
        })
        .run(tokens, |tokens, at| net(tokens, at.level))?;
    Ok(decoded.into_tokens())
}

/// A decode to be run.
///
/// Tokens that are not the mask id at the start are never changed, at whatever level and frame;
/// finer levels are left as they are given until their turn. At step i of S of a level,
/// `floor(n * gamma(i / S))` of the n frames of a row that were masked at its start stay masked:
/// a candidate is drawn for each frame still masked, the most confident ones are kept for good.
/// The last step of each level takes the most likely codes. Confidence is the log-probability of
/// the candidate under the unfiltered softmax, plus `confidence_noise * (1 - i / S)` times a Gumbel
/// variable, as in MaskGIT's published code; of two equal ones the earlier frame is kept.
/// [`DecodeOptions`] tells what may be otherwise.
///
/// Padding is left as it is given, but must hold valid tokens, which the network embeds; it counts
/// in nothing, and its logits may be anything. A row's result depends on its own tokens, frames,
/// seed, options and logits, and on nothing else of the batch. Rows with options of their own take
/// the steps that they would take alone; the network is called for the steps of all.
///
/// The device is asked for the tokens once at the start, and for one flag a row and step at the
/// very end, to tell whether the logits were sound: in between it is never waited for, unless an
/// entropy budget makes the number of steps depend on the logits, or the observer reads a tensor.
pub struct Decoding<'a, B: Backend, E> {
    rows: &'a [DecodeRow],
    mask_id: usize,
    options: Options<'a>,
    critic: Option<Critic<'a, B, E>>,
    observer: Option<Observer<'a, B>>,
}

impl<'a, B: Backend, E> Decoding<'a, B, E> {
    /// A decode of rows with the same options.
    pub fn new(rows: &'a [DecodeRow], mask_id: usize, options: &'a DecodeOptions) -> Self {
        Self {
            rows,
            mask_id,
            options: Options::Shared(options),
            critic: None,
            observer: None,
        }
    }

    /// Options of its own for each row: everything may differ.
    #[must_use]
    pub fn with_row_options(mut self, options: &'a [DecodeOptions]) -> Self {
        self.options = Options::Each(options);
        self
    }

    /// The critic of [`Confidence::Critic`](crate::Confidence::Critic). It is given the tokens,
    /// `[batch, levels, frames]`, with a candidate at each masked frame of the level, and returns a
    /// score for each frame of the level, `[batch, frames]`: the larger, the likelier the code is a
    /// real one. Finer levels are as they are given. It is asked at steps that rank by it alone.
    #[must_use]
    pub fn with_critic(
        mut self,
        critic: impl FnMut(Tensor<B, 3, Int>, PassAt) -> Result<Tensor<B, 2>, E> + 'a,
    ) -> Self {
        self.critic = Some(Box::new(critic));
        self
    }

    /// Is called after each pass, and may break off.
    #[must_use]
    pub fn with_observer(
        mut self,
        observer: impl FnMut(&Pass<'_, B>) -> ControlFlow<()> + 'a,
    ) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Runs it. `net` is given the tokens as they stand, `[batch, levels, frames]`, and returns the
    /// logits of the level, `[batch, frames, codebook]`. It is called only for steps at which some
    /// row fills or exchanges a frame.
    ///
    /// # Shapes
    /// - tokens: `[batch, levels, frames]`, within `0..=mask_id`
    ///
    /// # Errors
    /// Options, shapes or tokens that make no sense; logits or scores of another shape; logits at a
    /// frame to be filled that hold NaN or +inf, or only -inf, and scores that are not finite (found
    /// at the end); and whatever `net` and the critic return.
    pub fn run<F>(
        mut self,
        tokens: Tensor<B, 3, Int>,
        mut net: F,
    ) -> Result<Decoded<B>, DecodeError<E>>
    where
        F: FnMut(Tensor<B, 3, Int>, PassAt) -> Result<Tensor<B, 3>, E>,
    {
        let [batch, levels, frames] = tokens.dims();
        let device = tokens.device();
        self.options.validate()?;
        let given = Given::new::<B, E>(&tokens, self.rows, self.mask_id)?;
        let groups = Group::<B>::divide::<E>(self.options, batch, &device)?;
        let critical = |group: &Group<'_, B>| group.options.confidence == Confidence::Critic;
        if self.critic.is_none() && groups.iter().any(critical) {
            return Err(DecodeError::NoCritic);
        }
        let plans = (0..levels)
            .map(|level| {
                let groups = groups.iter();
                groups
                    .map(|group| GroupLevel::plan(level, group, &given))
                    .collect::<Result<Vec<_>, _>>()
            })
            .collect::<Result<Vec<_>, _>>()?;

        let passes = plans.iter().map(|plans| passes(plans)).sum();
        let mut passes_done = 0;
        let real = real_frames::<B>(self.rows, frames, &device);
        let mut tokens = tokens;

        let mut soundness = Soundness::new();
        for (level, plans) in plans.into_iter().enumerate() {
            let steps = most_steps(&plans);
            let mut parts: Vec<_> = plans
                .into_iter()
                .zip(&groups)
                .map(|(plan, group)| GroupLevel::new(level, plan, group, &given, frames, &device))
                .collect();
            for step in 1..=steps {
                let active: Vec<usize> = (0..parts.len())
                    .filter(|&index| parts[index].plan.has_pass(step))
                    .collect();
                if active.is_empty() {
                    continue;
                }
                let at = PassAt { level, step };
                let logits = net(tokens.clone(), at).map_err(|source| DecodeError::Net {
                    level,
                    step,
                    source,
                })?;
                let expected = [batch, frames, self.mask_id];
                if logits.dims() != expected {
                    return Err(DecodeError::Logits {
                        level,
                        step,
                        expected,
                        got: logits.dims(),
                    });
                }
                let logits = logits.cast(DType::F32);
                let slices = [0..batch, level..level + 1, 0..frames];
                let current: Tensor<B, 2, Int> =
                    tokens.clone().slice(slices.clone()).squeeze_dim(1);
                let masked = current
                    .clone()
                    .equal_elem(self.mask_id as i64)
                    .bool_and(real.clone());
                for &index in &active {
                    let group = &groups[index];
                    let counted = parts[index].counted(group, group.of(&masked));
                    soundness.logits(at, &group.rows, group.of(&logits), counted);
                }

                let mut candidates = Vec::with_capacity(active.len());
                for &index in &active {
                    let (part, group) = (&parts[index], &groups[index]);
                    candidates
                        .push(part.candidates(group, self.rows, step, &logits, &current, &masked));
                }
                // A batch of codes is needed by a critic and an observer alone.
                let asks = |&index: &usize| parts[index].asks_critic(&groups[index], step);
                let critic = self.critic.as_mut().filter(|_| active.iter().any(asks));
                let codes = (critic.is_some() || self.observer.is_some()).then(|| {
                    let none = match groups.len() {
                        1 => current.clone(),
                        _ => current.clone().zeros_like(),
                    };
                    let parts = active.iter().zip(&candidates);
                    parts.fold(none, |codes, (&index, candidates)| {
                        groups[index].put(candidates.codes.clone(), codes)
                    })
                });
                let scores = match (critic, &codes) {
                    (Some(critic), Some(codes)) => {
                        let codes = codes.clone().cast(current.dtype());
                        let filled = current.clone().mask_where(masked.clone(), codes);
                        let tokens = tokens
                            .clone()
                            .slice_assign(slices.clone(), filled.unsqueeze_dim(1));
                        let scores = critic(tokens, at).map_err(|source| DecodeError::Critic {
                            level,
                            step,
                            source,
                        })?;
                        if scores.dims() != [batch, frames] {
                            return Err(DecodeError::Scores {
                                level,
                                step,
                                expected: [batch, frames],
                                got: scores.dims(),
                            });
                        }
                        Some(scores.cast(DType::F32))
                    }
                    _ => None,
                };

                let mut after = current.clone();
                for (&index, candidates) in active.iter().zip(candidates) {
                    let (part, group) = (&mut parts[index], &groups[index]);
                    let scores = scores.as_ref().filter(|_| part.asks_critic(group, step));
                    let scores = scores.map(|scores| group.of(scores));
                    if let Some(scores) = &scores {
                        let counted = part.counted(group, group.of(&masked));
                        soundness.scores(at, &group.rows, scores.clone(), counted);
                    }
                    let rows = part.choose(group, step, candidates, scores, self.mask_id);
                    if part.plan.is_bounded() {
                        let left = rows.clone().equal_elem(self.mask_id as i64);
                        let left = left.bool_and(group.of(&real)).int().sum_dim(1);
                        let left: Vec<i64> = left.into_data().iter().collect();
                        part.plan.left_after(step, &left);
                    }
                    after = group.put(rows, after);
                }
                tokens = tokens.slice_assign(slices, after.unsqueeze_dim(1));
                passes_done += 1;
                let Some(observer) = &mut self.observer else {
                    continue;
                };
                let info = StepInfo {
                    level,
                    levels,
                    step,
                    steps,
                    masked: masked_after(&parts, &groups, step, batch),
                    passes_done,
                    passes,
                };
                let pass = Pass {
                    info: &info,
                    tokens: &tokens,
                    before: &current,
                    logits: &logits,
                    codes: codes.as_ref().unwrap_or(&current),
                    masked: &masked,
                };
                if observer(&pass).is_break() {
                    soundness.report::<E>()?;
                    return Ok(Decoded::Cancelled { tokens, at: info });
                }
            }
        }
        soundness.report::<E>()?;
        Ok(Decoded::Finished(tokens))
    }
}

/// Passes of a level: one for each step at which some group has one.
fn passes(plans: &[LevelPlan]) -> usize {
    let has_pass = |&step: &usize| plans.iter().any(|plan| plan.has_pass(step));
    (1..=most_steps(plans)).filter(has_pass).count()
}

fn most_steps(plans: &[LevelPlan]) -> usize {
    plans.iter().map(|plan| plan.steps).max().unwrap_or(0)
}

/// How many real frames of each row are masked after a step.
fn masked_after<B: Backend>(
    parts: &[GroupLevel<B>],
    groups: &[Group<'_, B>],
    step: usize,
    batch: usize,
) -> Vec<usize> {
    let mut masked = vec![0; batch];
    for (part, group) in parts.iter().zip(groups) {
        for (&row, &count) in group.rows.iter().zip(part.plan.after(step)) {
            masked[row] = count;
        }
    }
    masked
}

/// True at the rows' real frames, `[batch, frames]`.
fn real_frames<B: Backend>(
    rows: &[DecodeRow],
    frames: usize,
    device: &B::Device,
) -> Tensor<B, 2, Bool> {
    let real: Vec<bool> = rows
        .iter()
        .flat_map(|row| (0..frames).map(|frame| frame < row.frames))
        .collect();
    Tensor::from_data(TensorData::new(real, [rows.len(), frames]), device)
}
