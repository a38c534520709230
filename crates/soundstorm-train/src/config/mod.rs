//! A training run's configuration, as it stands in a TOML file; unknown keys are refused.

mod parse;
mod sections;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use soundstorm::{SemanticSource, SoundStormConfig};

pub use sections::{
    CheckpointConfig, DataConfig, LogConfig, OptimizerConfig, Schedule, ScheduleConfig,
    ValidationConfig,
};

use crate::{Result, TrainError, data::CodecFacts};

/// Everything that decides how a run goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Seed of the first weights, the order of the data, the windows and the masks.
    #[serde(default)]
    pub seed: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// A model folder to take the first weights from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// The codes to train on.
    pub data: DataConfig,
    /// What is held out, and how often it is scored.
    #[serde(default)]
    pub validation: ValidationConfig,
    /// AdamW.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// The learning rate over the steps.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// How often state is saved.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// What is written down.
    #[serde(default)]
    pub log: LogConfig,
    /// The model. In a file, `preset` may stand for what is not said.
    pub model: SoundStormConfig,
}

impl TrainConfig {
    /// A configuration from the text of a TOML file, with `key.key=value` settings over it.
    ///
    /// `[model]` is laid over the preset that `model.preset` names, or over the configuration of
    /// the folder that `init` names.
    ///
    /// # Errors
    /// The text is no TOML, a key is unknown or missing, a value is of another kind or makes no sense.
    pub fn parse(text: &str, settings: &[String]) -> Result<Self> {
        let config = parse::resolve(text, settings)?;
        config.validate()?;
        Ok(config)
    }

    /// [`Self::parse`] of a file.
    ///
    /// # Errors
    /// As [`Self::parse`], and a file that cannot be read.
    pub fn read(path: impl AsRef<Path>, settings: &[String]) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(TrainError::io("read", path))?;
        Self::parse(&text, settings).map_err(|error| match error {
            TrainError::Config(message) => {
                TrainError::Config(format!("{}: {message}", path.display()))
            }
            other => other,
        })
    }

    /// The configuration as TOML with every key.
    ///
    /// # Errors
    /// A number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|error| TrainError::Config(error.to_string()))
    }

    /// Fails unless a run can be made of it.
    ///
    /// # Errors
    /// [`TrainError::Config`] names the key and what is wrong with it.
    pub fn validate(&self) -> Result<()> {
        let problem = (self.steps == 0)
            .then(|| "steps is 0".to_owned())
            .or_else(|| self.data.problem())
            .or_else(|| self.validation.problem())
            .or_else(|| self.optimizer.problem())
            .or_else(|| self.schedule.problem(self.steps))
            .or_else(|| self.checkpoint.problem())
            .or_else(|| self.log.problem());
        if let Some(problem) = problem {
            return Err(TrainError::Config(problem));
        }
        Ok(self.model.validate()?)
    }

    /// Fails where the model does not fit the codes.
    ///
    /// # Errors
    /// [`TrainError::Contradiction`] with both numbers.
    pub fn check_codec(&self, codec: &CodecFacts, has_semantic: bool) -> Result<()> {
        let contradiction = |what, model: String, data: String| {
            Err(TrainError::Contradiction {
                what,
                model,
                codec: codec.name.clone(),
                data,
            })
        };
        let model = &self.model;
        let first = takes_first_level(model);
        if model.levels() + usize::from(first) != codec.levels {
            let with = match first {
                true => " and takes the codec's first as semantic tokens",
                false => "",
            };
            let levels = format!("{} levels{with}", model.levels());
            return contradiction("levels", levels, format!("{} levels", codec.levels));
        }
        if model.codebook_size != codec.codebook_size {
            let codes = |size: usize| format!("{size} codes");
            let (model, data) = (codes(model.codebook_size), codes(codec.codebook_size));
            return contradiction("codebook size", model, data);
        }
        let Some(semantic) = &model.semantic else {
            return Ok(());
        };
        if first {
            if semantic.vocab != codec.codebook_size {
                let model = format!("{} semantic tokens", semantic.vocab);
                return contradiction(
                    "first level",
                    model,
                    format!("{} codes", codec.codebook_size),
                );
            }
            // Frame by frame: the rates are the same one, whatever they are.
            let rate = |hop: u32, rate: u32| format!("{rate} Hz by {hop}");
            let own = rate(semantic.semantic_hop, semantic.semantic_sample_rate);
            let acoustic = rate(semantic.acoustic_hop, semantic.acoustic_sample_rate);
            return match own == acoustic {
                true => Ok(()),
                false => contradiction("rate of the first level", own, acoustic),
            };
        }
        if !has_semantic {
            return contradiction(
                "semantic tokens",
                "them as a condition".into(),
                "none".into(),
            );
        }
        let rate = |rate: u64, hop: u64| format!("frames of {hop} samples at {rate} Hz");
        let own = (
            semantic.acoustic_sample_rate.into(),
            semantic.acoustic_hop.into(),
        );
        let theirs = (codec.sample_rate.into(), codec.hop as u64);
        match own == theirs {
            true => Ok(()),
            false => contradiction("frame rate", rate(own.0, own.1), rate(theirs.0, theirs.1)),
        }
    }
}

/// Whether a model's semantic tokens are the codec's first level.
pub(crate) fn takes_first_level(model: &SoundStormConfig) -> bool {
    let source = model.semantic.as_ref().map(|semantic| semantic.source);
    source == Some(SemanticSource::CodecLevel1)
}
