//! The sections `critic` and `self_conditioning` of a configuration.

use serde::{Deserialize, Serialize};
use soundstorm_conformer::ConformerConfig;

/// What tells generated tokens from real ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CriticConfig {
    /// A head on the generator itself (SCRIPT, NAACL 2021), as soundstorm-pytorch has it.
    #[serde(rename = "self")]
    SelfCritic {},
    /// A network of its own (Token-Critic, arXiv 2209.04439), conditioned on the same.
    Token {
        /// Its conformer.
        conformer: ConformerConfig,
    },
}

/// The frames of the last pass as an input of the next (arXiv 2208.04202, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SelfConditioningConfig {
    /// How often a row is trained with the frames of an earlier pass rather than without.
    pub train_probability: f64,
}

impl Default for SelfConditioningConfig {
    /// The probability that soundstorm-pytorch has.
    fn default() -> Self {
        Self {
            train_probability: 0.75,
        }
    }
}

impl SelfConditioningConfig {
    pub(crate) fn problem(&self) -> Option<String> {
        let probability = self.train_probability;
        (!(0.0..=1.0).contains(&probability)).then(|| {
            format!("self_conditioning.train_probability is {probability}, not within 0 and 1")
        })
    }
}
