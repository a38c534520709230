//! The decode loop: level by level, coarse to fine, in confidence order within a level
//! (SoundStorm, arXiv 2305.09636, section 3.3; MaskGIT, arXiv 2202.04200, section 3.2).

use burn::tensor::{Bool, DType, Int, Tensor, TensorData, backend::Backend};

use crate::confidence::{log_probability, most_confident};
use crate::random::step_noise;
use crate::sampler::{draw, most_likely};
use crate::{DecodeError, DecodeOptions, OptionsError};

/// One row of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeRow {
    /// The row's real frames; those after them are padding.
    pub frames: usize,
    /// The seed of the row's random stream, often from [`row_seed`](crate::row_seed).
    pub seed: u64,
}

/// Where a decode stands after a pass, for progress bars and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepInfo {
    /// The level, 0-based.
    pub level: usize,
    /// The number of levels.
    pub levels: usize,
    /// The step of the level just done, 1-based.
    pub step: usize,
    /// The number of steps of the level.
    pub steps: usize,
    /// How many real frames of each row are still masked in the level.
    pub masked: Vec<usize>,
    /// Passes through the network done so far.
    pub passes_done: usize,
    /// Passes through the network that the whole decode takes, known exactly from the start.
    pub passes: usize,
}

/// Fills the masked tokens level by level, coarse to fine.
///
/// Tokens that are not `mask_id` at the start are never changed, at whatever level and frame;
/// finer levels are left as they are given until their turn. At step i of S of a level,
/// `floor(n * gamma(i / S))` of the n frames of a row that were masked at its start stay masked:
/// a candidate is drawn for each frame still masked, the most confident ones are kept for good.
/// The last step of each level takes the most likely codes. Confidence is the log-probability of
/// the candidate under the unfiltered softmax, plus `confidence_noise * (1 - i / S)` times a Gumbel
/// variable, as in MaskGIT's published code; of two equal ones the earlier frame is kept.
///
/// `net` is given the tokens as they stand, `[batch, levels, frames]`, and the level (0-based) whose
/// logits it returns, `[batch, frames, codebook]` with `codebook == mask_id`. It is called only for
/// steps at which some row fills a frame, and `observe` after each such step.
///
/// Padding is left as it is given, but must hold valid tokens, which `net` embeds; it counts in
/// nothing, and its logits may be anything. A row's result depends on its own tokens, frames, seed
/// and logits, and on nothing else of the batch.
///
/// The device is asked for the tokens once at the start, and for one flag a row and step at the
/// very end, to tell whether the logits were sound: in between it is never waited for.
///
/// # Shapes
/// - tokens: `[batch, levels, frames]`, within `0..=mask_id`
/// - rows: one for each row of the batch
/// - output: `[batch, levels, frames]`, no `mask_id` within the rows' frames
///
/// # Errors
/// Options, shapes or tokens that make no sense; logits of another shape; logits at a frame to be
/// filled that hold NaN or +inf, or only -inf (found at the end); and whatever `net` returns.
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
    options.validate()?;
    let masked = count_masked(&tokens, rows, mask_id)?;
    let plans = masked
        .iter()
        .enumerate()
        .map(|(level, counts)| LevelPlan::new(level, counts, options))
        .collect::<Result<Vec<_>, _>>()?;

    let [batch, levels, frames] = tokens.dims();
    let passes = plans.iter().map(LevelPlan::passes).sum();
    let mut passes_done = 0;
    let real = real_frames::<B>(rows, frames, &tokens.device());
    let mut tokens = tokens;

    let mut unsound = Vec::new();
    for plan in &plans {
        let level = plan.level;
        for step in plan.steps_with_a_pass() {
            let logits = net(tokens.clone(), level).map_err(|source| DecodeError::Net {
                level,
                step,
                source,
            })?;
            let expected = [batch, frames, mask_id];
            if logits.dims() != expected {
                return Err(DecodeError::Logits {
                    level,
                    step,
                    expected,
                    got: logits.dims(),
                });
            }
            let logits = logits.cast(DType::F32);
            let current: Tensor<B, 2, Int> = tokens
                .clone()
                .slice([0..batch, level..level + 1, 0..frames])
                .squeeze_dim(1);
            let masked = current
                .clone()
                .equal_elem(mask_id as i64)
                .bool_and(real.clone());
            unsound.push((level, step, unsound_rows(logits.clone(), masked.clone())));

            let (codes, kept) = fill(logits, masked, rows, plan, step, options);
            let codes = codes.cast(current.dtype());
            tokens = tokens.slice_assign(
                [0..batch, level..level + 1, 0..frames],
                current.mask_where(kept, codes).unsqueeze_dim(1),
            );
            passes_done += 1;
            observe(&StepInfo {
                level,
                levels,
                step,
                steps: plan.steps,
                masked: plan.after(step).to_vec(),
                passes_done,
                passes,
            });
        }
    }
    report_unsound(unsound)?;
    Ok(tokens)
}

/// The candidates of one step and which of them are kept, both `[batch, frames]`.
fn fill<B: Backend>(
    logits: Tensor<B, 3>,
    masked: Tensor<B, 2, Bool>,
    rows: &[DecodeRow],
    plan: &LevelPlan,
    step: usize,
    options: &DecodeOptions,
) -> (Tensor<B, 2, Int>, Tensor<B, 2, Bool>) {
    if step == plan.steps {
        return (most_likely(logits), masked);
    }
    let device = logits.device();
    let [batch, frames] = masked.dims();
    let kept_counts: Vec<i64> = (plan.after(step - 1).iter().zip(plan.after(step)))
        .map(|(before, after)| (before - after) as i64)
        .collect();
    let kept_counts = Tensor::from_data(TensorData::new(kept_counts, [batch, 1]), &device);

    if options.greedy {
        let codes = most_likely(logits.clone());
        let confidence = log_probability(logits, codes.clone());
        return (codes, most_confident(confidence, masked, kept_counts));
    }
    let (uniforms, gumbels) = noise(rows, frames, plan.level, step, &device);
    let codes = draw(logits.clone(), options.temperature, options.top_k, uniforms);
    let annealing = 1.0 - step as f64 / plan.steps as f64;
    let confidence = log_probability(logits, codes.clone())
        + gumbels.mul_scalar(options.confidence_noise * annealing);
    (codes, most_confident(confidence, masked, kept_counts))
}

/// The uniforms and Gumbels of one step, `[batch, frames]` each; padding gets zeros, never used.
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

/// Above 0 for rows with a masked frame whose logits are no distribution, `[batch, 1]`.
fn unsound_rows<B: Backend>(logits: Tensor<B, 3>, masked: Tensor<B, 2, Bool>) -> Tensor<B, 2, Int> {
    let best = logits.clone().max_dim(2);
    // A sum is NaN if any term is; whether a maximum is, depends on the backend.
    let unsound = logits
        .sum_dim(2)
        .is_nan()
        .bool_or(best.clone().equal_elem(f32::INFINITY))
        .bool_or(best.equal_elem(f32::NEG_INFINITY));
    unsound
        .squeeze_dim::<2>(2)
        .bool_and(masked)
        .int()
        .sum_dim(1)
}

/// Reads the flags of all levels and steps in one go.
fn report_unsound<B: Backend, E>(
    flags: Vec<(usize, usize, Tensor<B, 2, Int>)>,
) -> Result<(), DecodeError<E>> {
    if flags.is_empty() {
        return Ok(());
    }
    let (passes, flags): (Vec<_>, Vec<_>) = flags
        .into_iter()
        .map(|(level, step, flags)| ((level, step), flags))
        .unzip();
    let flags: Vec<i64> = Tensor::cat(flags, 1)
        .transpose()
        .into_data()
        .iter()
        .collect();
    let batch = flags.len() / passes.len();
    match flags.iter().position(|&count| count > 0) {
        Some(found) => {
            let (level, step) = passes[found / batch];
            let row = found % batch;
            Err(DecodeError::NotFinite { level, step, row })
        }
        None => Ok(()),
    }
}

/// How many frames of each row are masked at the start, by level and row; checks the inputs.
fn count_masked<B: Backend, E>(
    tokens: &Tensor<B, 3, Int>,
    rows: &[DecodeRow],
    mask_id: usize,
) -> Result<Vec<Vec<usize>>, DecodeError<E>> {
    let shape = tokens.dims();
    let [batch, levels, frames] = shape;
    if shape.contains(&0) {
        return Err(DecodeError::Empty { got: shape });
    }
    if rows.len() != batch {
        return Err(DecodeError::Rows {
            expected: batch,
            got: rows.len(),
        });
    }
    if let Some(row) = rows.iter().position(|row| row.frames > frames) {
        return Err(DecodeError::RowFrames {
            row,
            got: rows[row].frames,
            limit: frames,
        });
    }
    if mask_id == 0 || mask_id > i32::MAX as usize {
        return Err(DecodeError::MaskId { got: mask_id });
    }
    let mut masked = vec![vec![0; batch]; levels];
    for (index, token) in tokens.to_data().iter::<i64>().enumerate() {
        let (row, level, frame) = (
            index / (levels * frames),
            index / frames % levels,
            index % frames,
        );
        if !(0..=mask_id as i64).contains(&token) {
            return Err(DecodeError::Token {
                row,
                level,
                frame,
                got: token,
                mask_id,
            });
        }
        if token == mask_id as i64 && frame < rows[row].frames {
            masked[level][row] += 1;
        }
    }
    Ok(masked)
}

/// The schedule of one level for every row of the batch.
struct LevelPlan {
    level: usize,
    steps: usize,
    /// Masked frames by step and row; entry 0 is the start.
    masked: Vec<Vec<usize>>,
}

impl LevelPlan {
    fn new(level: usize, start: &[usize], options: &DecodeOptions) -> Result<Self, OptionsError> {
        let steps = options.steps_at(level);
        let mut masked = vec![start.to_vec()];
        masked.resize(steps + 1, Vec::with_capacity(start.len()));
        for &count in start {
            let counts = options
                .schedule
                .masked_after(count, steps, options.clip_schedule)?;
            for (row_counts, count) in masked[1..].iter_mut().zip(counts) {
                row_counts.push(count);
            }
        }
        Ok(Self {
            level,
            steps,
            masked,
        })
    }

    /// Masked frames of each row after a step; before the first at 0.
    fn after(&self, step: usize) -> &[usize] {
        &self.masked[step]
    }

    /// Steps at which some row fills a frame; no other needs logits.
    fn steps_with_a_pass(&self) -> impl Iterator<Item = usize> {
        (1..=self.steps).filter(|&step| self.after(step) != self.after(step - 1))
    }

    fn passes(&self) -> usize {
        self.steps_with_a_pass().count()
    }
}
