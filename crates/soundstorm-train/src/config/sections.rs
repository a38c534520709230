//! The tables of a configuration, with their defaults.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The codes to train on, and how batches are made of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The folder that `soundstorm prepare` made.
    pub path: PathBuf,
    /// Longest window, in frames.
    #[serde(default = "five_hundred")]
    pub max_frames: usize,
    /// Shortest window, in frames; each is as long as a draw between both, or as its file.
    #[serde(default = "fifty")]
    pub min_frames: usize,
    /// Rows of a batch.
    #[serde(default = "eight")]
    pub batch: usize,
    /// Pieces that a batch is cut into. Their gradients are added one after another, so memory is
    /// needed for one piece.
    #[serde(default = "one")]
    pub micro_batches: usize,
    /// Batches among whose windows those of like length are put together.
    #[serde(default = "sixteen")]
    pub bucket_batches: usize,
}

fn five_hundred() -> usize {
    500
}
fn fifty() -> usize {
    50
}
fn eight() -> usize {
    8
}
fn one() -> usize {
    1
}
fn sixteen() -> usize {
    16
}

impl DataConfig {
    /// Batches of windows of `path` with everything else as it is by default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_frames: five_hundred(),
            min_frames: fifty(),
            batch: eight(),
            micro_batches: one(),
            bucket_batches: sixteen(),
        }
    }

    pub(super) fn problem(&self) -> Option<String> {
        let counts = [
            ("max_frames", self.max_frames),
            ("min_frames", self.min_frames),
            ("batch", self.batch),
            ("micro_batches", self.micro_batches),
            ("bucket_batches", self.bucket_batches),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Some(format!("data.{name} is 0"));
        }
        if self.min_frames > self.max_frames {
            return Some(format!(
                "data.min_frames is {}, more than data.max_frames, {}",
                self.min_frames, self.max_frames
            ));
        }
        (!self.batch.is_multiple_of(self.micro_batches)).then(|| {
            format!(
                "data.batch is {}, no multiple of data.micro_batches, {}",
                self.batch, self.micro_batches
            )
        })
    }
}

/// What is held out, and how often it is scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValidationConfig {
    /// Share of the files, or of the values of `by`, that is held out.
    pub fraction: f64,
    /// A field of the manifest, such as `speaker`: all files of one value are on one side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The values of `by` that are held out; without any, `fraction` of them is drawn.
    pub values: Vec<String>,
    /// Steps between two scores.
    pub every: u64,
    /// Files that are scored at most.
    pub files: usize,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self {
            fraction: 0.02,
            by: None,
            values: Vec::new(),
            every: 1000,
            files: 64,
        }
    }
}

impl ValidationConfig {
    fn problem_of(&self) -> Option<&'static str> {
        if !(0.0..1.0).contains(&self.fraction) {
            return Some("fraction is not within 0 and 1");
        }
        if self.by.is_none() && !self.values.is_empty() {
            return Some("values are given without the field that they are values of, by");
        }
        if self.every == 0 {
            return Some("every is 0");
        }
        (self.files == 0).then_some("files is 0")
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.problem_of()
            .map(|problem| format!("validation.{problem}"))
    }
}

/// AdamW (arXiv 1711.05101), with no decay of norms, biases and embeddings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decay of weights, a step's as a multiple of its learning rate.
    pub weight_decay: f64,
    /// Largest norm of the gradient of all parameters; 0 for no limit.
    pub clip: f64,
    /// Decay of the running mean of the weights; 0 for none. In the first steps it is
    /// `(1 + step) / (10 + step)`, where that is less.
    pub ema_decay: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 3e-4,
            beta_1: 0.9,
            beta_2: 0.99,
            epsilon: 1e-8,
            weight_decay: 0.01,
            clip: 0.5,
            ema_decay: 0.999,
        }
    }
}

impl OptimizerConfig {
    pub(super) fn problem(&self) -> Option<String> {
        let share = 0.0..1.0;
        let bad = [
            (
                "learning_rate",
                self.learning_rate,
                self.learning_rate > 0.0,
            ),
            ("beta_1", self.beta_1, share.contains(&self.beta_1)),
            ("beta_2", self.beta_2, share.contains(&self.beta_2)),
            ("epsilon", self.epsilon, self.epsilon > 0.0),
            ("weight_decay", self.weight_decay, self.weight_decay >= 0.0),
            ("clip", self.clip, self.clip >= 0.0),
            ("ema_decay", self.ema_decay, share.contains(&self.ema_decay)),
        ]
        .into_iter()
        .find(|(_, value, good)| !good || !value.is_finite());
        bad.map(|(name, value, _)| format!("optimizer.{name} is {value}"))
    }
}

/// How the learning rate goes on after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Down to `floor` of it by half a cosine, at the last step.
    #[default]
    Cosine,
    /// It stays.
    Constant,
}

/// The learning rate over the steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Steps over which it rises linearly from nothing.
    pub warmup: u64,
    /// What comes then.
    pub kind: Schedule,
    /// Share of the learning rate that the cosine ends at.
    pub floor: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            warmup: 1000,
            kind: Schedule::Cosine,
            floor: 0.1,
        }
    }
}

impl ScheduleConfig {
    /// The factor of the learning rate at a step, counted from 1.
    pub fn factor(&self, step: u64, steps: u64) -> f64 {
        if step <= self.warmup {
            return step as f64 / self.warmup as f64;
        }
        match self.kind {
            Schedule::Constant => 1.0,
            Schedule::Cosine => {
                let done = (step - self.warmup) as f64 / (steps - self.warmup).max(1) as f64;
                let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos());
                self.floor + (1.0 - self.floor) * cosine
            }
        }
    }

    pub(super) fn problem(&self, steps: u64) -> Option<String> {
        if self.kind == Schedule::Cosine && self.warmup >= steps {
            return Some(format!(
                "schedule.warmup is {} of {steps} steps, which leaves none",
                self.warmup
            ));
        }
        (!(0.0..=1.0).contains(&self.floor))
            .then(|| format!("schedule.floor is {}, not within 0 and 1", self.floor))
    }
}

/// How often state is saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Steps between two checkpoints.
    pub every: u64,
    /// The newest that are kept, beside the best.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            every: 1000,
            keep: 3,
        }
    }
}

impl CheckpointConfig {
    pub(super) fn problem(&self) -> Option<String> {
        if self.every == 0 {
            return Some("checkpoint.every is 0".into());
        }
        (self.keep == 0).then(|| "checkpoint.keep is 0".into())
    }
}

/// What is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Steps between two lines of the log; their loss is the mean of the steps since the last.
    pub every: u64,
    /// Whether the same goes to an event file for TensorBoard.
    pub tensorboard: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            every: 10,
            tensorboard: true,
        }
    }
}

impl LogConfig {
    pub(super) fn problem(&self) -> Option<String> {
        (self.every == 0).then(|| "log.every is 0".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_warms_up_and_falls_by_a_cosine() {
        let schedule = ScheduleConfig {
            warmup: 4,
            kind: Schedule::Cosine,
            floor: 0.2,
        };
        let factors: Vec<f64> = [1, 4, 5, 8, 12]
            .map(|step| schedule.factor(step, 12))
            .into();
        let at = |done: f64| 0.2 + 0.8 * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        let want = [0.25, 1.0, at(0.125), 0.6, 0.2];
        for (got, want) in factors.iter().zip(want) {
            assert!((got - want).abs() < 1e-12, "{factors:?}");
        }
        let constant = ScheduleConfig {
            kind: Schedule::Constant,
            warmup: 0,
            ..schedule
        };
        assert_eq!(constant.factor(1, 12), 1.0);
        assert_eq!(constant.factor(99, 12), 1.0);
    }
}
