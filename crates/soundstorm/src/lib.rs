//! SoundStorm (arXiv 2305.09636): a conformer that fills in the tokens of a
//! neural audio codec in parallel, coarse to fine.
//!
//! Everything is generic over burn's `Backend`, opens no files and keeps no
//! global state. Codes are `[batch, quantizers, frames]` everywhere, and the
//! mask id is the codebook size.
#![doc = include_str!("../README.md")]

mod condition;
mod conditions;
mod config;
mod context;
mod critic;
mod durations;
mod edit;
mod embedding;
mod error;
mod evaluate;
mod generate;
mod generation;
mod global;
mod guidance;
mod head;
mod loss;
mod model;
mod prepare;
mod preset;
mod rank;
mod score;
mod self_conditioning;
mod training;

pub use condition::{SemanticCondition, SemanticConditionConfig};
pub use conditions::{ConditionDropout, Conditions, text_bytes};
pub use config::{
    Alignment, ContextAlignment, ContextConfig, ContextSource, CriticConfig, GlobalConfig,
    HeadKind, SelfConditioningConfig, SemanticConfig, SemanticSource, SoundStormConfig,
};
pub use context::{ContextEncoder, ContextEncoderConfig};
pub use critic::TokenCritic;
pub use durations::{DurationHead, DurationHeadConfig};
pub use edit::{EditError, EditRow, Region};
pub use embedding::{LevelEmbedding, LevelEmbeddingConfig};
pub use error::SoundStormError;
pub use evaluate::LevelScore;
pub use generate::{GenerateRow, Prompt, RowCodes};
pub use generation::{BestOf, CriticInput, Generated, Generation, Ranking};
pub use global::GlobalCondition;
pub use guidance::{Guidance, GuidanceCurve, GuidanceError};
pub use head::{Head, HeadConfig, HeadProjection};
pub use loss::TrainingBatch;
pub use model::SoundStorm;
pub use prepare::Prepared;
pub use preset::Preset;
pub use rank::ScoreRow;
pub use score::{ScoreHead, ScoreHeadConfig};
pub use self_conditioning::{Passes, SelfConditioning, SelfConditioningLayerConfig};
pub use training::{ConditionedBatch, LossOptions, Losses, Train};

pub use soundstorm_codec as codec;
pub use soundstorm_conformer as conformer;
pub use soundstorm_maskgit as maskgit;
pub use soundstorm_nn as nn;
