//! From shapes, a preset and settings to a configuration, with every disagreement an error.

use std::path::Path;

use serde_json::Value;
use soundstorm::{
    CriticConfig, HeadKind, Preset, SelfConditioningConfig, SemanticConfig, SoundStormConfig,
    conformer::{ConformerConfig, ValueResidual},
};

use super::{facts::Facts, layout::Layout};
use crate::{Contradiction, HubError, Setting, apply_settings};

/// What the user said, beside the tensors.
pub(super) struct Stated<'a> {
    pub(super) preset: Option<Preset>,
    pub(super) settings: &'a [Setting],
    pub(super) path: &'a Path,
}

const TENSORS: &str = "the tensors";

pub(super) fn configure(
    facts: &Facts,
    layout: Layout,
    stated: &Stated,
) -> Result<SoundStormConfig, HubError> {
    let multiple = |key: &str, size: usize, of: usize| {
        if of == 0 || !size.is_multiple_of(of) {
            let expected = format!("a multiple of {of}");
            return Err(stated.contradiction(key, TENSORS, expected, TENSORS, size));
        }
        Ok(size / of)
    };
    let ff_mult = multiple("ff_mult", facts.hidden, facts.dim)?;
    let expansion = multiple("conv_expansion_factor", facts.channels, facts.dim)?;
    let quantizers = multiple("num_quantizers", facts.levels, facts.groups)?;

    let base = stated.base(facts)?;
    let (heads, dim_head) = stated.heads(facts, &base)?;
    let value_residual = match layout {
        Layout::A => ValueResidual::None,
        Layout::C => ValueResidual::Learned,
        // 0.4 and 0.5.0 have the same tensors; only the user can tell them apart.
        Layout::B => match base.conformer.value_residual {
            ValueResidual::Learned => ValueResidual::None,
            other => other,
        },
    };
    let config = SoundStormConfig {
        codebook_size: facts.codebook,
        num_quantizers: quantizers,
        grouped_quantizers: facts.groups,
        head: HeadKind::Projected,
        conformer: ConformerConfig {
            dim: facts.dim,
            depth: facts.depth,
            heads,
            dim_head,
            ff_mult,
            conv_expansion_factor: expansion,
            conv_kernel_size: facts.kernel,
            t5_rel_pos_bias: facts.t5,
            num_residual_streams: facts.streams,
            value_residual,
            ..base.conformer.clone()
        },
        semantic: facts.vocab.and_then(|vocab| {
            let semantic = base.semantic.clone()?;
            Some(SemanticConfig { vocab, ..semantic })
        }),
        ..base
    };
    stated.agree(&config)?;
    config.validate().map_err(|error| HubError::Config {
        path: stated.path.to_path_buf(),
        expected: "model configuration",
        message: error.to_string(),
    })?;
    Ok(config)
}

impl Stated<'_> {
    fn contradiction(
        &self,
        key: &str,
        expected_by: impl Into<String>,
        expected: impl ToString,
        got_by: &str,
        got: impl ToString,
    ) -> HubError {
        HubError::Contradiction(Box::new(Contradiction {
            path: self.path.to_path_buf(),
            key: key.into(),
            expected: expected.to_string(),
            expected_by: expected_by.into(),
            got: got.to_string(),
            got_by: got_by.into(),
        }))
    }

    /// The preset with the settings applied, or the reference's defaults with them.
    fn base(&self, facts: &Facts) -> Result<SoundStormConfig, HubError> {
        let mut config = match self.preset {
            Some(preset) => {
                let config = preset.config();
                let says = |vocab: Option<usize>| match vocab {
                    Some(vocab) => format!("{vocab} semantic tokens"),
                    None => "no semantic tokens".into(),
                };
                let vocab = config.semantic.as_ref().map(|semantic| semantic.vocab);
                if vocab.is_some() != facts.vocab.is_some() {
                    let preset = format!("preset {preset}");
                    let (expected, got) = (says(vocab), says(facts.vocab));
                    return Err(self.contradiction("semantic", preset, expected, TENSORS, got));
                }
                config
            }
            None => SoundStormConfig {
                conformer: ConformerConfig::new(facts.dim, facts.depth),
                semantic: facts.vocab.map(SemanticConfig::new),
                ..Preset::Reference.config()
            },
        };
        if facts.vocab.is_none() {
            config.semantic = None;
        }
        config.self_conditioning = facts
            .self_conditioning
            .then(SelfConditioningConfig::default);
        config.critic = facts.critic.then_some(CriticConfig::SelfCritic {});
        apply_settings(&config, self.settings)
    }

    fn set(&self, leaf: &str) -> bool {
        let is = |setting: &Setting| setting.place().is_ok_and(|(_, found)| found == leaf);
        self.settings.iter().any(is)
    }

    /// Heads and their channels, from whatever tells at least one of both.
    fn heads(&self, facts: &Facts, base: &SoundStormConfig) -> Result<(usize, usize), HubError> {
        let stated =
            |leaf, value: usize| (self.set(leaf) || self.preset.is_some()).then_some(value);
        let heads = stated("heads", base.conformer.heads);
        let dim_head = stated("dim_head", base.conformer.dim_head);
        let inner = facts.inner;
        let heads = match (facts.heads.or(heads), dim_head) {
            (Some(heads), _) => heads,
            (None, Some(dim_head)) if dim_head > 0 && inner.is_multiple_of(dim_head) => {
                inner / dim_head
            }
            (None, Some(dim_head)) => {
                let origin = self.origin("dim_head");
                let got = format!("{inner} channels for all heads");
                return Err(self.contradiction("dim_head", origin, dim_head, TENSORS, got));
            }
            (None, None) => {
                return Err(HubError::Undetermined {
                    path: self.path.to_path_buf(),
                    message: format!(
                        "tensors cannot tell how many attention heads share their {inner} channels: give a preset or the setting heads=N"
                    ),
                });
            }
        };
        if heads == 0 || !inner.is_multiple_of(heads) {
            let got = format!("{inner} channels for all");
            return Err(self.contradiction("heads", self.origin("heads"), heads, TENSORS, got));
        }
        Ok((heads, inner / heads))
    }

    fn origin(&self, leaf: &str) -> String {
        match self.preset {
            _ if self.set(leaf) => "a setting".into(),
            Some(preset) => format!("preset {preset}"),
            None => TENSORS.into(),
        }
    }

    /// Whether everything that was stated is what the tensors made of it.
    fn agree(&self, config: &SoundStormConfig) -> Result<(), HubError> {
        let found = leaves(config);
        let differs = |leaf: &str, value: &Value| {
            let got = found.iter().find(|(name, _)| name == leaf);
            match got {
                Some((_, got)) if got != value => {
                    let origin = self.origin(leaf);
                    Err(self.contradiction(leaf, origin, value, TENSORS, got))
                }
                _ => Ok(()),
            }
        };
        let stated = match self.preset {
            Some(preset) => {
                let with_sections = SoundStormConfig {
                    self_conditioning: config.self_conditioning,
                    critic: config.critic.clone(),
                    ..preset.config()
                };
                apply_settings(&with_sections, self.settings)?
            }
            None => apply_settings(config, self.settings)?,
        };
        leaves(&stated)
            .iter()
            .try_for_each(|(leaf, value)| differs(leaf, value))
    }
}

/// Every value of a configuration by its leaf name.
fn leaves(config: &SoundStormConfig) -> Vec<(String, Value)> {
    fn walk(name: &str, value: Value, into: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(map) => map
                .into_iter()
                .for_each(|(key, value)| walk(&key, value, into)),
            value => into.push((name.to_owned(), value)),
        }
    }
    let mut found = Vec::new();
    // A configuration always serialises; were it not to, nothing would be compared.
    walk(
        "",
        serde_json::to_value(config).unwrap_or_default(),
        &mut found,
    );
    found
}
