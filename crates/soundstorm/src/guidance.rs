//! Classifier-free guidance of logits (Ho and Salimans, 2022, arXiv 2207.12598), with a schedule over
//! the steps of a level as in MAGNeT (arXiv 2401.04577) and the rescaling of Lin et al.
//! (2023, arXiv 2305.08891, section 3.4), row by row.

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use serde::{Deserialize, Serialize};
use soundstorm_maskgit::PassAt;
use soundstorm_nn::frame_mask;

use crate::{Conditions, Passes, Prepared, SoundStorm, SoundStormError};

/// How much more of its condition a generation is to show: with the logits c of a pass and u of one
/// without the condition, frames are filled by `u + scale * (c - u)`. A model needs to have been
/// trained with conditions dropped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guidance {
    /// The scale at the first step of a level; 1 guides nothing.
    pub scale: f64,
    /// The scale at the last step; that of the first, when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scale: Option<f64>,
    /// How the scale goes from the one to the other.
    pub curve: GuidanceCurve,
    /// How far the guided logits of a row are brought back to the spread of those with the
    /// condition, from 0, not at all, to 1.
    pub rescale: f64,
    /// How many levels are guided, from the coarsest; each pass of those takes both branches.
    pub levels: usize,
}

impl Default for Guidance {
    /// Scale 1, on the first level.
    fn default() -> Self {
        Self {
            scale: 1.0,
            last_scale: None,
            curve: GuidanceCurve::Linear,
            rescale: 0.0,
            levels: 1,
        }
    }
}

/// How the scale of guidance goes from the first step to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuidanceCurve {
    /// By as much at every step.
    #[default]
    Linear,
    /// Half a cosine: slowly at both ends.
    Cosine,
}

/// Guidance that makes no sense, or that a model cannot be given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GuidanceError {
    /// The model takes no condition that could be left away.
    #[error("guidance: the model takes no condition, so there is nothing to guide by")]
    NoCondition,
    /// A scale that is negative, above 1000 or NaN.
    #[error("guidance: expected a scale within 0..=1000, got {got}")]
    Scale {
        /// The scale asked for.
        got: f64,
    },
    /// A rescaling outside `[0, 1]`.
    #[error("guidance: expected a rescale within [0, 1], got {got}")]
    Rescale {
        /// The one asked for.
        got: f64,
    },
}

impl Guidance {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// The first number that does not.
    pub fn validate(&self) -> Result<(), GuidanceError> {
        for got in [self.scale, self.last_scale.unwrap_or(self.scale)] {
            if !(0.0..=1000.0).contains(&got) {
                return Err(GuidanceError::Scale { got });
            }
        }
        if !(0.0..=1.0).contains(&self.rescale) {
            return Err(GuidanceError::Rescale { got: self.rescale });
        }
        Ok(())
    }

    /// The scale at a step, 1-based, of a level's steps; of a level that is not guided it is 1. A
    /// single step is the first.
    pub fn scale_at(&self, level: usize, step: usize, steps: usize) -> f64 {
        if level >= self.levels {
            return 1.0;
        }
        let last = self.last_scale.unwrap_or(self.scale);
        let progress = match steps {
            0 | 1 => 0.0,
            _ => (step.clamp(1, steps) - 1) as f64 / (steps - 1) as f64,
        };
        let share = match self.curve {
            GuidanceCurve::Linear => progress,
            GuidanceCurve::Cosine => (1.0 - (std::f64::consts::PI * progress).cos()) / 2.0,
        };
        self.scale + (last - self.scale) * share
    }

    /// The guided logits.
    ///
    /// # Shapes
    /// - conditioned, unconditioned: `[batch, frames, codebook]`
    /// - scales: one for each row
    /// - lengths: real frames of each row
    /// - output: `[batch, frames, codebook]`
    pub(crate) fn guide<B: Backend>(
        &self,
        conditioned: Tensor<B, 3>,
        unconditioned: Tensor<B, 3>,
        scales: &[f64],
        lengths: &[usize],
    ) -> Tensor<B, 3> {
        let device = conditioned.device();
        let scales: Vec<f32> = scales.iter().map(|&scale| scale as f32).collect();
        let batch = scales.len();
        let scales = Tensor::<B, 3>::from_data(TensorData::new(scales, [batch, 1, 1]), &device);
        let scales = scales.cast(conditioned.dtype());
        let guided = unconditioned.clone() + (conditioned.clone() - unconditioned) * scales;
        if self.rescale == 0.0 {
            return guided;
        }
        let share = spread(conditioned, lengths) / spread(guided.clone(), lengths).clamp_min(1e-6);
        guided * (share * self.rescale + (1.0 - self.rescale))
    }
}

/// The root of the mean variance of a row's frames, each over its codes, `[batch, 1, 1]`: a constant
/// added to a frame's logits changes nothing, and padding counts in nothing.
fn spread<B: Backend>(logits: Tensor<B, 3>, lengths: &[usize]) -> Tensor<B, 3> {
    let [batch, frames, _] = logits.dims();
    let device = logits.device();
    let mean = logits.clone().mean_dim(2);
    let mut variance = (logits - mean).powi_scalar(2).mean_dim(2);
    if let Some(mask) = frame_mask(lengths, frames, &device) {
        let padding = mask.reshape([batch, frames, 1]).bool_not();
        variance = variance.mask_fill(padding, 0.0);
    }
    let counts: Vec<f32> = lengths.iter().map(|&n| n.max(1) as f32).collect();
    let counts = Tensor::<B, 3>::from_data(TensorData::new(counts, [batch, 1, 1]), &device);
    (variance.sum_dim(1) / counts).sqrt()
}

/// A batch with its conditions, then without.
pub(crate) struct Both<B: Backend> {
    guidance: Guidance,
    prepared: Prepared<B>,
    lengths: Vec<usize>,
}

impl<B: Backend> Both<B> {
    pub(crate) fn new(
        model: &SoundStorm<B>,
        guidance: Guidance,
        conditions: &[Conditions],
        lengths: &[usize],
        frames: usize,
    ) -> Result<Self, SoundStormError> {
        guidance.validate()?;
        if !model.is_conditioned() {
            return Err(GuidanceError::NoCondition.into());
        }
        let mut rows = conditions.to_vec();
        rows.resize(2 * conditions.len(), Conditions::default());
        let lengths = [lengths, lengths].concat();
        let prepared = model.prepare(&rows, Some(&lengths), frames)?;
        Ok(Self {
            guidance,
            prepared,
            lengths,
        })
    }
}

/// The passes of a generation: with the conditions alone, or both branches in one.
pub(crate) struct Branches<'a, B: Backend> {
    alone: Passes<'a, B>,
    both: Option<(Guidance, Passes<'a, B>)>,
    lengths: &'a [usize],
}

impl<'a, B: Backend> Branches<'a, B> {
    pub(crate) fn new(
        model: &'a SoundStorm<B>,
        prepared: &'a Prepared<B>,
        both: Option<&'a Both<B>>,
        lengths: &'a [usize],
    ) -> Self {
        let both = both.map(|both| {
            (
                both.guidance,
                model.passes(&both.prepared, Some(&both.lengths)),
            )
        });
        Self {
            alone: model.passes(prepared, Some(lengths)),
            both,
            lengths,
        }
    }

    /// The logits of the next pass; `steps` are a row's of the level.
    pub(crate) fn logits(
        &mut self,
        tokens: Tensor<B, 3, Int>,
        at: PassAt,
        steps: impl Fn(usize) -> usize,
    ) -> Tensor<B, 3> {
        let batch = self.lengths.len();
        let Some((guidance, both)) = &mut self.both else {
            return self.alone.level_logits(tokens, at.level);
        };
        let scale = |row| guidance.scale_at(at.level, at.step, steps(row));
        let scales: Vec<f64> = (0..batch).map(scale).collect();
        if scales.iter().all(|&scale| scale == 1.0) {
            let logits = self.alone.level_logits(tokens, at.level);
            both.follow(self.alone.last().map(|last| last.repeat_dim(0, 2)));
            return logits;
        }
        let logits = both.level_logits(tokens.repeat_dim(0, 2), at.level);
        self.alone
            .follow(both.last().map(|last| last.narrow(0, 0, batch)));
        let [conditioned, unconditioned] =
            [0, batch].map(|first| logits.clone().narrow(0, first, batch));
        guidance.guide(conditioned, unconditioned, &scales, self.lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn scales_follow_their_curve() {
        let guidance = Guidance {
            scale: 5.0,
            last_scale: Some(1.0),
            levels: 2,
            ..Guidance::default()
        };
        let scales = |guidance: Guidance| [1, 2, 3, 4, 5].map(|s| guidance.scale_at(1, s, 5));
        assert_eq!(scales(guidance), [5.0, 4.0, 3.0, 2.0, 1.0]);
        let cosine = Guidance {
            curve: GuidanceCurve::Cosine,
            ..guidance
        };
        let quarter = 5.0 - 2.0 * (1.0 - std::f64::consts::FRAC_1_SQRT_2);
        for (got, want) in scales(cosine)
            .into_iter()
            .zip([5.0, quarter, 3.0, 6.0 - quarter, 1.0])
        {
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
        let constant = Guidance {
            last_scale: None,
            ..guidance
        };
        assert_eq!(scales(constant), [5.0; 5]);
        assert_eq!(guidance.scale_at(0, 1, 1), 5.0);
        assert_eq!(guidance.scale_at(2, 1, 5), 1.0);
        // A row that is done stays at its last.
        assert_eq!(guidance.scale_at(0, 9, 5), 1.0);
    }

    /// Row 0: u = (0, 2), c = (0, 4), scale 3: u + 3 (c - u) = (0, 8). Row 1, at scale 0, is u.
    #[test]
    fn guided_golden() {
        let device = Default::default();
        let conditioned = Tensor::<B, 3>::from_data([[[0.0, 4.0]], [[1.0, 3.0]]], &device);
        let unconditioned = Tensor::<B, 3>::from_data([[[0.0, 2.0]], [[7.0, 5.0]]], &device);
        let guided = |rescale| -> Vec<f32> {
            let guidance = Guidance {
                rescale,
                ..Guidance::default()
            };
            let (c, u) = (conditioned.clone(), unconditioned.clone());
            let guided = guidance.guide(c, u, &[3.0, 0.0], &[1, 1]);
            guided.into_data().iter().collect()
        };
        assert_eq!(guided(0.0), [0.0, 8.0, 7.0, 5.0]);
        // Spreads are 2 and 4, and 1 and 1.
        assert_eq!(guided(1.0), [0.0, 4.0, 7.0, 5.0]);
        assert_eq!(guided(0.5), [0.0, 6.0, 7.0, 5.0]);
    }

    /// Neither padding nor other rows change how a row is rescaled.
    #[test]
    fn rescaling_is_by_row() {
        let device = Default::default();
        let values = |seed: usize, count: usize| -> Vec<f32> {
            (0..count)
                .map(|i| ((i * 7 + seed * 5 + i * i) % 11) as f32)
                .collect()
        };
        let tensor = |values: Vec<f32>, shape| {
            Tensor::<B, 3>::from_data(TensorData::new(values, shape), &device)
        };
        let guidance = Guidance {
            rescale: 0.7,
            ..Guidance::default()
        };
        let c = tensor(values(1, 3 * 5 * 7), [3, 5, 7]);
        let u = tensor(values(2, 3 * 5 * 7), [3, 5, 7]);
        let lengths = [5, 2, 3];
        let scales = [2.0, 3.0, 0.5];
        let together = guidance.guide(c.clone(), u.clone(), &scales, &lengths);
        for row in 0..3 {
            let real = |x: &Tensor<B, 3>| x.clone().slice([row..row + 1, 0..lengths[row], 0..7]);
            let alone = guidance.guide(real(&c), real(&u), &[scales[row]], &[lengths[row]]);
            let (alone, together) = (alone.into_data(), real(&together).into_data());
            alone.assert_approx_eq::<f32>(&together, burn::tensor::Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn senseless_guidance_is_refused() {
        let refused = |guidance: Guidance| guidance.validate().err();
        let plain = Guidance::default();
        assert_eq!(refused(plain), None);
        for got in [-1.0, 1001.0, f64::INFINITY] {
            let scale = Some(GuidanceError::Scale { got });
            assert_eq!(
                refused(Guidance {
                    scale: got,
                    ..plain
                }),
                scale
            );
            let last_scale = Some(got);
            assert_eq!(
                refused(Guidance {
                    last_scale,
                    ..plain
                }),
                scale
            );
        }
        let nan = Guidance {
            scale: f64::NAN,
            ..plain
        };
        assert!(refused(nan).is_some());
        let got = 1.5;
        let rescale = Guidance {
            rescale: got,
            ..plain
        };
        assert_eq!(refused(rescale), Some(GuidanceError::Rescale { got }));
    }
}
