//! The section `context` of a configuration: text, as bytes or as ids of phones, behind an encoder.

use serde::{Deserialize, Serialize};
use soundstorm_conformer::{ConformerConfig, ContextAttentionConfig, ContextPositions};

/// Conditioning on a sequence of symbols of another length, such as text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextConfig {
    /// Number of symbols.
    pub vocab: usize,
    /// What the symbols are.
    #[serde(default)]
    pub source: ContextSource,
    /// What encodes them: a conformer of its own, in which each row is masked by its own length.
    pub encoder: ConformerConfig,
    /// How the encoded symbols meet the frames.
    #[serde(default)]
    pub alignment: ContextAlignment,
    /// How places are related in cross-attention.
    #[serde(default)]
    pub positions: ContextPositions,
    /// Whether the model predicts how many frames each symbol lasts.
    #[serde(default)]
    pub predict_durations: bool,
}

/// What the symbols of a context are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextSource {
    /// Ids that another program makes, of phones mostly.
    #[default]
    Ids,
    /// The bytes of a text in UTF-8.
    Bytes,
}

/// How the encoded symbols of a context meet the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextAlignment {
    /// Every block attends to them.
    #[default]
    CrossAttention,
    /// Each is repeated for the frames it lasts and added to them. It needs durations, given or
    /// predicted, and little data to learn from.
    Durations,
}

impl ContextConfig {
    /// Ids of so many symbols, encoded by this conformer, for cross-attention.
    pub fn new(vocab: usize, encoder: ConformerConfig) -> Self {
        Self {
            vocab,
            source: ContextSource::default(),
            encoder,
            alignment: ContextAlignment::default(),
            positions: ContextPositions::default(),
            predict_durations: false,
        }
    }

    /// What a conformer needs to attend to it, if blocks do.
    pub(crate) fn attention(&self) -> Option<ContextAttentionConfig> {
        (self.alignment == ContextAlignment::CrossAttention).then_some(ContextAttentionConfig {
            dim: self.encoder.dim,
            positions: self.positions,
        })
    }

    pub(crate) fn problem(&self) -> Option<String> {
        if self.vocab == 0 {
            return Some("context.vocab is 0".into());
        }
        if self.source == ContextSource::Bytes && self.vocab < 256 {
            return Some(format!(
                "context.vocab is {}, but there are 256 bytes",
                self.vocab
            ));
        }
        let encoder = self.encoder.problem()?;
        Some(format!("context.encoder: {encoder}"))
    }
}
