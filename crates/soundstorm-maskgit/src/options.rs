//! What a decode may be told: steps, schedule, temperature, filter, noise.

use serde::{Deserialize, Serialize};

use crate::{OptionsError, Schedule};

/// The most steps a level may run.
pub const MAX_STEPS: usize = 65_536;

/// The largest temperature and noise: products with them stay finite in f32.
const LARGEST: f64 = 1e30;

/// Options of [`decode`](crate::decode()). Missing keys of a configuration take the defaults; unknown
/// ones are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecodeOptions {
    /// Steps per level, coarse to fine; the last number stands for all further levels. Default
    /// `[16, 1]`: SoundStorm's (16, 1, …, 1).
    pub steps: Vec<usize>,
    /// How many frames stay masked after each step. Default: cosine, as in both papers.
    pub schedule: Schedule,
    /// Divides the logits before a code is drawn; 0 draws the most likely code. The confidence is
    /// not touched by it. Default 1.
    pub temperature: f64,
    /// Draw among the k most likely codes only; codes within 2^-31 of the row's spread from the
    /// k-th are kept with it, and 1 draws the most likely code. Default: among all.
    pub top_k: Option<usize>,
    /// Scale of the Gumbel noise on the log-probability by which frames are ranked. It falls
    /// linearly to 0 at the last step of a level. Default 4.5, which MAGE and other published
    /// decoders of MaskGIT's kind have; the SoundStorm paper gives none.
    pub confidence_noise: f64,
    /// Take the most likely code at every step, and rank without noise. Default false: only the
    /// last step of each level takes the most likely code.
    pub greedy: bool,
    /// Let every step but the last of a level fill at least one frame and leave at least one, as
    /// MaskGIT's published code does. Default false.
    pub clip_schedule: bool,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            steps: vec![16, 1],
            schedule: Schedule::Cosine,
            temperature: 1.0,
            top_k: None,
            confidence_noise: 4.5,
            greedy: false,
            clip_schedule: false,
        }
    }
}

impl DecodeOptions {
    /// The number of steps of a level, 0-based. 0 only if `steps` is empty.
    pub fn steps_at(&self, level: usize) -> usize {
        self.steps
            .get(level)
            .or(self.steps.last())
            .copied()
            .unwrap_or(0)
    }

    /// Whether the options make sense, whatever the tokens. [`decode`](crate::decode()) asks too.
    ///
    /// # Errors
    /// The first option that does not.
    pub fn validate(&self) -> Result<(), OptionsError> {
        if self.steps.is_empty() {
            return Err(OptionsError::NoSteps);
        }
        for (position, &got) in self.steps.iter().enumerate() {
            if got == 0 {
                return Err(OptionsError::ZeroSteps { position });
            }
            if got > MAX_STEPS {
                return Err(OptionsError::TooManySteps {
                    position,
                    got,
                    limit: MAX_STEPS,
                });
            }
        }
        let sensible = |value: f64| (0.0..=LARGEST).contains(&value);
        if !sensible(self.temperature) {
            return Err(OptionsError::Temperature {
                got: self.temperature,
            });
        }
        if self.top_k == Some(0) {
            return Err(OptionsError::TopK);
        }
        if !sensible(self.confidence_noise) {
            return Err(OptionsError::ConfidenceNoise {
                got: self.confidence_noise,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_last_number_of_steps_repeats() {
        let options = DecodeOptions {
            steps: vec![7, 3, 2],
            ..Default::default()
        };
        let steps: Vec<_> = (0..5).map(|level| options.steps_at(level)).collect();
        assert_eq!(steps, [7, 3, 2, 2, 2]);
    }

    #[test]
    fn the_defaults_are_the_papers() {
        let options = DecodeOptions::default();
        options.validate().unwrap();
        let passes: usize = (0..12).map(|level| options.steps_at(level)).sum();
        assert_eq!(passes, 27);
    }

    #[test]
    fn senseless_options_are_refused() {
        type Change = fn(&mut DecodeOptions);
        let cases: [(Change, OptionsError); 8] = [
            (|o| o.steps = vec![], OptionsError::NoSteps),
            (
                |o| o.steps = vec![3, 0],
                OptionsError::ZeroSteps { position: 1 },
            ),
            (
                |o| o.steps = vec![MAX_STEPS + 1],
                OptionsError::TooManySteps {
                    position: 0,
                    got: MAX_STEPS + 1,
                    limit: MAX_STEPS,
                },
            ),
            (
                |o| o.temperature = -1.0,
                OptionsError::Temperature { got: -1.0 },
            ),
            (
                |o| o.temperature = f64::INFINITY,
                OptionsError::Temperature { got: f64::INFINITY },
            ),
            (|o| o.top_k = Some(0), OptionsError::TopK),
            (
                |o| o.confidence_noise = -0.5,
                OptionsError::ConfidenceNoise { got: -0.5 },
            ),
            (
                |o| o.confidence_noise = f64::INFINITY,
                OptionsError::ConfidenceNoise { got: f64::INFINITY },
            ),
        ];
        for (change, expected) in cases {
            let mut options = DecodeOptions::default();
            change(&mut options);
            assert_eq!(options.validate().unwrap_err(), expected);
        }
    }

    #[test]
    fn configuration_round_trips_and_refuses_unknown_keys() {
        let options: DecodeOptions =
            serde_json::from_str(r#"{"steps": [8, 2], "schedule": "linear", "top_k": 31}"#)
                .unwrap();
        assert_eq!(options.steps, [8, 2]);
        assert_eq!(options.schedule, Schedule::Linear);
        assert_eq!(options.top_k, Some(31));
        assert_eq!(options.confidence_noise, 4.5);
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(
            serde_json::from_str::<DecodeOptions>(&text).unwrap(),
            options
        );

        for bad in [
            r#"{"step": [8]}"#,
            r#"{"schedule": "cubic"}"#,
            r#"{"steps": 16}"#,
        ] {
            serde_json::from_str::<DecodeOptions>(bad).unwrap_err();
        }
        let custom = DecodeOptions {
            schedule: Schedule::custom(|p| 1.0 - p * p),
            ..Default::default()
        };
        serde_json::to_string(&custom).unwrap_err();
    }
}
