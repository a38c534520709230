//! The configuration of a model, as it stands in a model folder's `config.json`.

mod context;
mod critic;
mod global;

pub use context::{ContextAlignment, ContextConfig, ContextSource};
pub use critic::{CriticConfig, SelfConditioningConfig};
pub use global::GlobalConfig;

use serde::{Deserialize, Serialize};
use soundstorm_conformer::{ConditioningConfig, ConformerConfig};
use soundstorm_maskgit::DecodeOptions;

use crate::SoundStormError;

/// Everything that tells how a model is built; unknown keys are refused when it
/// is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoundStormConfig {
    /// Codes of one codebook; the mask id is one more than the last.
    pub codebook_size: usize,
    /// Levels of one group of residual quantizers.
    pub num_quantizers: usize,
    /// Groups of residual quantizers, each with its own levels.
    #[serde(default = "one")]
    pub grouped_quantizers: usize,
    /// How frames become logits.
    pub head: HeadKind,
    /// The conformer.
    pub conformer: ConformerConfig,
    /// Conditioning on semantic tokens, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semantic: Option<SemanticConfig>,
    /// Conditioning on text, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextConfig>,
    /// Conditioning on a vector for each row, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global: Option<GlobalConfig>,
    /// Conditioning on the frames of the last pass, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_conditioning: Option<SelfConditioningConfig>,
    /// The critic, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critic: Option<CriticConfig>,
    /// The options of generation that the model was tuned for.
    #[serde(default)]
    pub generation: DecodeOptions,
}

fn one() -> usize {
    1
}

/// How frames become logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// One linear layer for each level, as in the paper.
    Dense,
    /// A projection for each level, a shared norm and a linear layer for each
    /// level, as in soundstorm-pytorch.
    Projected,
}

/// Conditioning on semantic tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SemanticConfig {
    /// Number of semantic tokens.
    pub vocab: usize,
    /// Where they come from.
    #[serde(default)]
    pub source: SemanticSource,
    /// How they meet the acoustic frames.
    #[serde(default)]
    pub alignment: Alignment,
    /// A token that stands for none.
    #[serde(default = "minus_one")]
    pub pad_id: i64,
    /// Sample rate of the audio that semantic tokens are made from, in hertz.
    #[serde(default = "sixteen_thousand")]
    pub semantic_sample_rate: u32,
    /// Samples of one semantic token.
    #[serde(default = "three_hundred_and_twenty")]
    pub semantic_hop: u32,
    /// Sample rate of the codec, in hertz.
    #[serde(default = "sixteen_thousand")]
    pub acoustic_sample_rate: u32,
    /// Samples of one frame of the codec.
    #[serde(default = "three_hundred_and_twenty")]
    pub acoustic_hop: u32,
}

fn minus_one() -> i64 {
    -1
}
fn sixteen_thousand() -> u32 {
    16_000
}
fn three_hundred_and_twenty() -> u32 {
    320
}

/// Where a model's semantic tokens come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SemanticSource {
    /// A model of its own, such as w2v-BERT with k-means.
    #[default]
    External,
    /// The codec's first level, as SpeechTokenizer distils it; the model
    /// generates the levels after it.
    #[serde(rename = "codec_level_1")]
    CodecLevel1,
}

/// How semantic tokens of another rate meet the acoustic frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alignment {
    /// Each is repeated a whole number of times, as in the paper.
    Repeat,
    /// Their embeddings are interpolated linearly, as in soundstorm-pytorch.
    #[default]
    Interpolate,
}

impl SemanticConfig {
    /// Semantic tokens at the rate of the acoustic frames.
    pub fn new(vocab: usize) -> Self {
        Self {
            vocab,
            source: SemanticSource::default(),
            alignment: Alignment::default(),
            pad_id: minus_one(),
            semantic_sample_rate: sixteen_thousand(),
            semantic_hop: three_hundred_and_twenty(),
            acoustic_sample_rate: sixteen_thousand(),
            acoustic_hop: three_hundred_and_twenty(),
        }
    }

    /// Acoustic frames that a number of semantic tokens covers, rounded up.
    pub fn acoustic_frames(&self, tokens: usize) -> usize {
        if self.repeats() == Some(1) {
            // Rounding would make 248 of 247 below; the reference falls for it.
            return tokens;
        }
        // The order of operations is the reference's: rounding depends on it.
        let semantic = f64::from(self.semantic_hop) / f64::from(self.semantic_sample_rate);
        let acoustic = f64::from(self.acoustic_hop) / f64::from(self.acoustic_sample_rate);
        (tokens as f64 * semantic / acoustic).ceil() as usize
    }

    /// How often each token is repeated, where a whole number of times does.
    pub(crate) fn repeats(&self) -> Option<usize> {
        let semantic = u64::from(self.semantic_hop) * u64::from(self.acoustic_sample_rate);
        let acoustic = u64::from(self.acoustic_hop) * u64::from(self.semantic_sample_rate);
        (acoustic > 0 && semantic >= acoustic && semantic % acoustic == 0)
            .then(|| (semantic / acoustic) as usize)
    }

    fn problem(&self) -> Option<String> {
        let sizes = [
            ("vocab", self.vocab as u64),
            ("semantic_sample_rate", u64::from(self.semantic_sample_rate)),
            ("semantic_hop", u64::from(self.semantic_hop)),
            ("acoustic_sample_rate", u64::from(self.acoustic_sample_rate)),
            ("acoustic_hop", u64::from(self.acoustic_hop)),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Some(format!("semantic.{name} is 0"));
        }
        if self.alignment == Alignment::Repeat && self.repeats().is_none() {
            return Some("semantic.alignment is repeat, but a semantic token does not last a whole number of acoustic frames".into());
        }
        None
    }
}

impl SoundStormConfig {
    /// A model of so many levels and codes that is conditioned on nothing, with heads as in the
    /// paper.
    pub fn new(codebook_size: usize, num_quantizers: usize, conformer: ConformerConfig) -> Self {
        Self {
            codebook_size,
            num_quantizers,
            grouped_quantizers: 1,
            head: HeadKind::Dense,
            conformer,
            semantic: None,
            context: None,
            global: None,
            self_conditioning: None,
            critic: None,
            generation: DecodeOptions::default(),
        }
    }

    /// What conformers are conditioned on.
    pub(crate) fn conditioning(&self) -> ConditioningConfig {
        ConditioningConfig {
            context: self.context.as_ref().and_then(ContextConfig::attention),
            vector: self.global.as_ref().map(|global| global.dim),
        }
    }

    /// Levels in all: those of every group, group by group.
    pub fn levels(&self) -> usize {
        self.num_quantizers * self.grouped_quantizers
    }

    /// The token that stands for a masked one.
    pub fn mask_id(&self) -> usize {
        self.codebook_size
    }

    /// Checks that a model of this configuration can be built.
    ///
    /// # Errors
    /// [`SoundStormError::Config`] names the key and what is wrong with it.
    pub fn validate(&self) -> Result<(), SoundStormError> {
        let sizes = [
            ("codebook_size", self.codebook_size),
            ("num_quantizers", self.num_quantizers),
            ("grouped_quantizers", self.grouped_quantizers),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(SoundStormError::Config(format!("{name} is 0")));
        }
        let conditioning = self.conditioning();
        let of_conformer = |name: &str, conformer: &ConformerConfig| {
            let problem = conformer
                .problem()
                .or_else(|| conformer.conditioning_problem(&conditioning))?;
            Some(format!("{name}: {problem}"))
        };
        let of_critic = || match self.critic.as_ref()? {
            CriticConfig::SelfCritic {} => None,
            CriticConfig::Token { conformer } => of_conformer("critic.conformer", conformer),
        };
        // A section that is wrong makes a conformer wrong that is conditioned by it.
        let problem = (self.context.as_ref().and_then(ContextConfig::problem))
            .or_else(|| self.global.as_ref().and_then(GlobalConfig::problem))
            .or_else(|| of_conformer("conformer", &self.conformer))
            .or_else(|| self.semantic.as_ref().and_then(SemanticConfig::problem))
            .or_else(|| self.self_conditioning.and_then(|section| section.problem()))
            .or_else(of_critic);
        if let Some(problem) = problem {
            return Err(SoundStormError::Config(problem));
        }
        Ok(self.generation.validate()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_follow_the_rates() {
        let mut semantic = SemanticConfig::new(7);
        assert_eq!(semantic.acoustic_frames(13), 13);
        assert_eq!(semantic.repeats(), Some(1));
        // 247 * 0.02 / 0.02 is a little more than 247.
        assert_eq!(semantic.acoustic_frames(247), 247);
        semantic.semantic_hop = 640;
        assert_eq!(semantic.acoustic_frames(13), 26);
        assert_eq!(semantic.repeats(), Some(2));
        // 50 Hz beside 75 Hz.
        semantic.semantic_hop = 320;
        semantic.acoustic_sample_rate = 24_000;
        assert_eq!(semantic.acoustic_frames(13), 20);
        assert_eq!(semantic.repeats(), None);
    }

    #[test]
    fn bad_configurations_are_named() {
        let good = crate::Preset::Small.config();
        assert!(good.validate().is_ok());
        let bad = |change: fn(&mut SoundStormConfig)| {
            let mut config = good.clone();
            change(&mut config);
            config.validate().expect_err("it is bad").to_string()
        };
        assert!(bad(|c| c.codebook_size = 0).contains("codebook_size"));
        assert!(bad(|c| c.conformer.heads = 0).contains("heads"));
        assert!(bad(|c| c.generation.steps.clear()).contains("steps"));
        let uneven = bad(|c| {
            c.semantic = Some(SemanticConfig {
                alignment: Alignment::Repeat,
                acoustic_hop: 213,
                ..SemanticConfig::new(5)
            })
        });
        assert!(uneven.contains("repeat"));
    }

    #[test]
    fn bad_conditions_are_named() {
        let good = crate::Preset::Small.config();
        let encoder = ConformerConfig::new(5, 1);
        let bad = |change: &dyn Fn(&mut SoundStormConfig)| {
            let mut config = good.clone();
            change(&mut config);
            config.validate().expect_err("it is bad").to_string()
        };
        let context = |change: &dyn Fn(&mut ContextConfig)| {
            bad(&|config| {
                let mut context = ContextConfig::new(7, encoder.clone());
                change(&mut context);
                config.context = Some(context);
            })
        };
        assert!(context(&|c| c.vocab = 0).contains("context.vocab"));
        assert!(context(&|c| c.encoder.depth = 0).contains("context.encoder: depth"));
        assert!(context(&|c| c.source = ContextSource::Bytes).contains("256 bytes"));
        let odd = bad(&|c| {
            c.context = Some(ContextConfig::new(7, encoder.clone()));
            c.conformer.t5_rel_pos_bias = true;
            c.conformer.dim_head = 3;
        });
        assert!(odd.contains("even"), "{odd}");
        let none = bad(&|c| c.global = Some(GlobalConfig::speakers(5, 0)));
        assert!(none.contains("neither"));
        let often = SelfConditioningConfig {
            train_probability: 1.5,
        };
        assert!(bad(&|c| c.self_conditioning = Some(often)).contains("train_probability"));
        let critic = CriticConfig::Token {
            conformer: ConformerConfig::new(5, 0),
        };
        assert!(bad(&|c| c.critic = Some(critic.clone())).contains("critic.conformer: depth"));
    }

    /// Sections that are not there leave no trace in a file, and those that are read back.
    #[test]
    fn sections_are_optional_and_refuse_unknown_keys() {
        let plain = serde_json::to_value(crate::Preset::Small.config()).expect("serialises");
        for name in ["context", "global", "self_conditioning", "critic"] {
            assert!(plain.get(name).is_none(), "{name}");
        }
        for (name, section) in [
            (
                "context",
                serde_json::json!({"vocab": 256, "source": "bytes", "alignment": "durations",
                    "predict_durations": true, "encoder": {"dim": 8, "depth": 1}}),
            ),
            (
                "global",
                serde_json::json!({"dim": 7, "speakers": 3, "embedding": 5}),
            ),
            (
                "self_conditioning",
                serde_json::json!({"train_probability": 0.5}),
            ),
            ("critic", serde_json::json!({"kind": "self"})),
            (
                "critic",
                serde_json::json!({"kind": "token", "conformer": {"dim": 8, "depth": 1}}),
            ),
        ] {
            let mut json = plain.clone();
            json[name] = section;
            let read =
                |json: &serde_json::Value| serde_json::from_value::<SoundStormConfig>(json.clone());
            let config = read(&json).expect("a good section");
            config.validate().expect("it is valid");
            let back = serde_json::to_value(&config).expect("serialises");
            assert_eq!(read(&back).expect("reads back"), config);
            json[name]["other"] = 3.into();
            let error = read(&json).expect_err("an unknown key").to_string();
            assert!(error.contains("other"), "{error}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let mut json = serde_json::to_value(crate::Preset::Uslm.config()).expect("serialises");
        let back: SoundStormConfig = serde_json::from_value(json.clone()).expect("reads back");
        assert_eq!(back, crate::Preset::Uslm.config());
        json["semantic"]["vocabulary"] = 3.into();
        let error = serde_json::from_value::<SoundStormConfig>(json).expect_err("unknown key");
        assert!(error.to_string().contains("vocabulary"));
    }
}
