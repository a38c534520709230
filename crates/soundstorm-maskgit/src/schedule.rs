//! How many frames stay masked after each step (MaskGIT, arXiv 2202.04200, section 3.3).

use std::f64::consts::FRAC_PI_2;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::OptionsError;

/// Products this close below a whole number are that number: 10 * (1 - 0.9) is 1, not 0.
pub(crate) const ROUNDING: f64 = 1e-9;

/// The share of the frames that is still masked, as a function of the progress `step / steps`.
///
/// In configuration files it is written `"cosine"` or `"linear"`; a [`Schedule::Custom`] cannot be
/// written.
#[derive(Clone, Default)]
pub enum Schedule {
    /// `cos(pi/2 * progress)`: few frames at first, many at the end; the papers' choice.
    #[default]
    Cosine,
    /// `1 - progress`: as many at every step.
    Linear,
    /// Any function from progress in `(0, 1)` to a ratio in `[0, 1]` that does not rise: frames
    /// that have been filled are not masked again.
    Custom(Arc<dyn Fn(f64) -> f64 + Send + Sync>),
}

impl Schedule {
    /// A schedule from a function of the progress.
    pub fn custom(gamma: impl Fn(f64) -> f64 + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(gamma))
    }

    /// The share still masked at `progress` = step / steps.
    pub fn gamma(&self, progress: f64) -> f64 {
        match self {
            Self::Cosine => (FRAC_PI_2 * progress).cos(),
            Self::Linear => 1.0 - progress,
            Self::Custom(gamma) => gamma(progress),
        }
    }

    /// The number of frames still masked after each of `steps` steps that start with `masked`.
    ///
    /// After step i that is `floor(masked * gamma(i / steps))`, never more than before the step,
    /// and 0 after the last. With `clip`, every step but the last also fills at least one frame
    /// and leaves at least one, as the published JAX code does.
    ///
    /// # Errors
    /// If a custom schedule returns anything outside `[0, 1]`, or rises from a step to the next.
    pub fn masked_after(
        &self,
        masked: usize,
        steps: usize,
        clip: bool,
    ) -> Result<Vec<usize>, OptionsError> {
        let mut counts = Vec::with_capacity(steps);
        let mut before = masked;
        let mut ratio_before = 1.0;
        for step in 1..steps {
            let progress = step as f64 / steps as f64;
            let ratio = self.gamma(progress);
            if !(0.0..=1.0).contains(&ratio) {
                return Err(OptionsError::Schedule {
                    progress,
                    got: ratio,
                });
            }
            if ratio > ratio_before + ROUNDING {
                return Err(OptionsError::ScheduleRises {
                    progress,
                    before: ratio_before,
                    got: ratio,
                });
            }
            ratio_before = ratio;
            let wanted = (masked as f64 * ratio + ROUNDING).floor() as usize;
            let after = if clip && before > 0 {
                wanted.min(before - 1).max(1)
            } else {
                wanted.min(before)
            };
            counts.push(after);
            before = after;
        }
        if steps > 0 {
            counts.push(0);
        }
        Ok(counts)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cosine => "Cosine",
            Self::Linear => "Linear",
            Self::Custom(_) => "Custom(..)",
        })
    }
}

/// Two custom schedules are equal if they are clones of one another.
impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Cosine, Self::Cosine) | (Self::Linear, Self::Linear) => true,
            (Self::Custom(a), Self::Custom(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Cosine => serializer.serialize_str("cosine"),
            Self::Linear => serializer.serialize_str("linear"),
            Self::Custom(_) => Err(ser::Error::custom(
                "schedule: a custom function cannot be written",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "cosine" => Ok(Self::Cosine),
            "linear" => Ok(Self::Linear),
            other => Err(de::Error::unknown_variant(other, &["cosine", "linear"])),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `tests/golden/schedule.py` prints these, with exact cosines and fractions.
    #[test]
    fn counts_are_the_golden_ones() {
        let cosine = |n, s, clip| Schedule::Cosine.masked_after(n, s, clip).unwrap();
        let linear = |n, s, clip| Schedule::Linear.masked_after(n, s, clip).unwrap();
        assert_eq!(
            cosine(97, 16, false),
            [96, 95, 92, 89, 85, 80, 74, 68, 61, 53, 45, 37, 28, 18, 9, 0]
        );
        assert_eq!(cosine(101, 7, false), [98, 90, 78, 62, 43, 22, 0]);
        assert_eq!(cosine(3, 5, false), [2, 2, 1, 0, 0]);
        assert_eq!(cosine(3, 5, true), [2, 1, 1, 1, 0]);
        assert_eq!(linear(10, 10, false), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(linear(13, 5, false), [10, 7, 5, 2, 0]);
        assert_eq!(linear(2, 5, true), [1, 1, 1, 1, 0]);
    }

    #[test]
    fn float_noise_never_costs_a_frame() {
        // cos(pi/3) is one half: 2/3 of the way exactly half of the frames are left.
        for n in (2..4000).step_by(2) {
            assert_eq!(
                Schedule::Cosine.masked_after(n, 3, false).unwrap()[1],
                n / 2
            );
        }
        for steps in 1..60 {
            for n in 0..200 {
                let counts = Schedule::Linear.masked_after(n, steps, false).unwrap();
                for (i, count) in counts.iter().enumerate() {
                    assert_eq!(*count, n * (steps - 1 - i) / steps, "{n} {steps} {i}");
                }
            }
        }
    }

    #[test]
    fn nothing_masked_stays_nothing() {
        for clip in [false, true] {
            assert_eq!(
                Schedule::Cosine.masked_after(0, 3, clip).unwrap(),
                [0, 0, 0]
            );
        }
        assert_eq!(Schedule::Cosine.masked_after(5, 1, true).unwrap(), [0]);
    }

    #[test]
    fn a_rising_schedule_is_refused() {
        let rising = Schedule::custom(|p| if p < 0.5 { 0.25 } else { 0.75 });
        assert_eq!(
            rising.masked_after(8, 4, false).unwrap_err(),
            OptionsError::ScheduleRises {
                progress: 0.5,
                before: 0.25,
                got: 0.75
            }
        );
        let flat = Schedule::custom(|_| 0.25);
        assert_eq!(flat.masked_after(8, 4, false).unwrap(), [2, 2, 2, 0]);
    }

    #[test]
    fn a_ratio_out_of_range_is_refused() {
        for bad in [-0.5, 1.5, f64::NAN, f64::INFINITY] {
            let schedule = Schedule::custom(move |_| bad);
            let error = schedule.masked_after(7, 2, false).unwrap_err();
            assert!(matches!(
                error,
                OptionsError::Schedule { progress: 0.5, .. }
            ));
        }
    }
}
