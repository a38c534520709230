//! The configuration of a model, as it stands in a model folder's `config.json`.

use serde::{Deserialize, Serialize};
use soundstorm_conformer::ConformerConfig;
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
        if let Some(problem) = self.conformer.problem() {
            return Err(SoundStormError::Config(format!("conformer: {problem}")));
        }
        if let Some(problem) = self.semantic.as_ref().and_then(SemanticConfig::problem) {
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
    fn unknown_keys_are_refused() {
        let mut json = serde_json::to_value(crate::Preset::Uslm.config()).expect("serialises");
        let back: SoundStormConfig = serde_json::from_value(json.clone()).expect("reads back");
        assert_eq!(back, crate::Preset::Uslm.config());
        json["semantic"]["vocabulary"] = 3.into();
        let error = serde_json::from_value::<SoundStormConfig>(json).expect_err("unknown key");
        assert!(error.to_string().contains("vocabulary"));
    }
}
