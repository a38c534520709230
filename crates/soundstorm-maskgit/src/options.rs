//! What a decode may be told: steps, schedule, filters, confidence, order, noise.

use serde::{Deserialize, Serialize};

use crate::sampler::Filters;
use crate::{Confidence, OptionsError, Order, Remask, Schedule};

/// The most steps a level may run.
pub const MAX_STEPS: usize = 65_536;

/// The largest entropy budget, in nats: sums up to it, in 1/1024 nat, are exact in f32.
pub const MAX_ENTROPY_BUDGET: f64 = 8192.0;

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
    /// Then among the most likely codes that together have this share of what is left: nucleus
    /// sampling (Holtzman et al., 2019, arXiv 1904.09751). Default: among all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Then among the codes whose information is nearest to the entropy and that together have this
    /// share of what is left: typical sampling (Meister et al., 2022, arXiv 2202.00666). Default:
    /// among all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typical: Option<f64>,
    /// What a frame's confidence is. Default: the probability of its code.
    #[serde(skip_serializing_if = "is_default")]
    pub confidence: Confidence,
    /// Which frames come first. Default: the most confident ones.
    #[serde(skip_serializing_if = "is_default")]
    pub order: Order,
    /// Fill spans of so many frames, each as confident as its most confident frame, as MAGNeT does
    /// (Ziv et al., 2024, arXiv 2401.04577). Spans are laid over the masked frames of a row in
    /// their order, and the schedule counts spans. The budget of frames stays exact: until the
    /// last, shorter span is filled, one span a step may be cut, and keeps its earlier frames.
    /// Default 1: frame by frame.
    #[serde(skip_serializing_if = "is_one")]
    pub span: usize,
    /// Whether frames filled by earlier steps of the level may be masked again. Default: never.
    #[serde(skip_serializing_if = "is_default")]
    pub remask: Remask,
    /// Fill at each step, in order, as many frames as have this much entropy in nats together, the
    /// largest one left aside, so that it is one frame at least: the bound of EB-Sampler (Ben-Hamu
    /// et al., 2025, arXiv 2505.24857). It stands in place of the schedule; `steps` is then the
    /// most steps of a level, of which the last fills what is left. Entropies are rounded to 1/1024
    /// nat, so that their sums are exact. How many frames are left is read from the device after
    /// each step. Default: the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entropy_budget: Option<f64>,
    /// Scale of the Gumbel noise on the confidence by which frames are ranked. It falls
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

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_one(value: &usize) -> bool {
    *value == 1
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            steps: vec![16, 1],
            schedule: Schedule::Cosine,
            temperature: 1.0,
            top_k: None,
            top_p: None,
            typical: None,
            confidence: Confidence::Probability,
            order: Order::Confidence,
            span: 1,
            remask: Remask::Never,
            entropy_budget: None,
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

    /// What codes are drawn by.
    pub fn filters(&self) -> Filters {
        Filters {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            typical: self.typical,
        }
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
        for (option, share) in [("top_p", self.top_p), ("typical", self.typical)] {
            if let Some(got) = share
                && !(got > 0.0 && got <= 1.0)
            {
                return Err(OptionsError::Share { option, got });
            }
        }
        if !sensible(self.confidence_noise) {
            return Err(OptionsError::ConfidenceNoise {
                got: self.confidence_noise,
            });
        }
        if self.span == 0 {
            return Err(OptionsError::Span);
        }
        if let Some(got) = self.entropy_budget
            && !(0.0..=MAX_ENTROPY_BUDGET).contains(&got)
        {
            return Err(OptionsError::EntropyBudget {
                got,
                limit: MAX_ENTROPY_BUDGET,
            });
        }
        self.remask.validate()?;
        match self.contradiction() {
            Some([option, other]) => Err(OptionsError::Contradiction { option, other }),
            None => Ok(()),
        }
    }

    /// Two options that cannot hold together.
    fn contradiction(&self) -> Option<[&'static str; 2]> {
        let by_confidence = self.order == Order::Confidence;
        let bounded = self.entropy_budget.is_some();
        let rules = [
            // Greedy decoding draws nothing at random.
            (
                self.greedy && self.order == Order::Random,
                ["greedy", "order = random"],
            ),
            (
                self.greedy && self.remask.is_drawn(),
                ["greedy", "remask at random"],
            ),
            // What is never asked for.
            (
                !by_confidence && self.confidence != Confidence::Probability,
                ["confidence", "order"],
            ),
            (
                !by_confidence && self.remask == Remask::LeastConfident,
                ["remask = least_confident", "order"],
            ),
            // What counts by a schedule of frames.
            (
                self.span > 1 && self.remask.is_drawn(),
                ["span", "remask at random"],
            ),
            (bounded && self.span > 1, ["entropy_budget", "span"]),
            (
                bounded && self.clip_schedule,
                ["entropy_budget", "clip_schedule"],
            ),
            (
                bounded && self.remask != Remask::Never,
                ["entropy_budget", "remask"],
            ),
        ];
        let found = rules.into_iter().find(|(broken, _)| *broken);
        found.map(|(_, options)| options)
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

    fn contradiction(option: &'static str, other: &'static str) -> OptionsError {
        OptionsError::Contradiction { option, other }
    }

    #[test]
    fn senseless_options_are_refused() {
        type Change = fn(&mut DecodeOptions);
        let cases: [(Change, OptionsError); 21] = [
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
            (
                |o| o.top_p = Some(0.0),
                OptionsError::Share {
                    option: "top_p",
                    got: 0.0,
                },
            ),
            (
                |o| o.typical = Some(1.5),
                OptionsError::Share {
                    option: "typical",
                    got: 1.5,
                },
            ),
            (|o| o.span = 0, OptionsError::Span),
            (
                |o| o.entropy_budget = Some(-1.0),
                OptionsError::EntropyBudget {
                    got: -1.0,
                    limit: MAX_ENTROPY_BUDGET,
                },
            ),
            (
                |o| o.remask = Remask::cap(1.5),
                OptionsError::Remask { got: 1.5 },
            ),
            (
                |o| (o.greedy, o.order) = (true, Order::Random),
                contradiction("greedy", "order = random"),
            ),
            (
                |o| (o.greedy, o.remask) = (true, Remask::cap(0.5)),
                contradiction("greedy", "remask at random"),
            ),
            (
                |o| (o.order, o.confidence) = (Order::VanDerCorput, Confidence::Margin),
                contradiction("confidence", "order"),
            ),
            (
                |o| (o.order, o.remask) = (Order::VanDerCorput, Remask::LeastConfident),
                contradiction("remask = least_confident", "order"),
            ),
            (
                |o| (o.span, o.remask) = (3, Remask::rescale(0.5)),
                contradiction("span", "remask at random"),
            ),
            (
                |o| (o.span, o.entropy_budget) = (3, Some(1.0)),
                contradiction("entropy_budget", "span"),
            ),
            (
                |o| (o.clip_schedule, o.entropy_budget) = (true, Some(1.0)),
                contradiction("entropy_budget", "clip_schedule"),
            ),
            (
                |o| (o.remask, o.entropy_budget) = (Remask::LeastConfident, Some(1.0)),
                contradiction("entropy_budget", "remask"),
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

        // Options that are off are not written.
        assert!(!text.contains("remask") && !text.contains("span"));
        let options: DecodeOptions = serde_json::from_str(
            r#"{"top_p": 0.9, "typical": 0.8, "order": "confidence", "confidence": "margin",
                "span": 3, "remask": {"cap": {"eta": 0.25}}}"#,
        )
        .unwrap();
        assert_eq!(options.remask, Remask::cap(0.25));
        assert_eq!(options.confidence, Confidence::Margin);
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(
            serde_json::from_str::<DecodeOptions>(&text).unwrap(),
            options
        );

        for bad in [
            r#"{"order": "halton"}"#,
            r#"{"remask": {"cap": {"eta": 0.25, "zeta": 1}}}"#,
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
