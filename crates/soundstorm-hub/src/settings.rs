//! `key=value` settings over a model's configuration, by leaf name: `heads=8`, `steps=16,1`, `alignment=repeat`.

use serde_json::{Map, Value};
use soundstorm::{
    ContextConfig, CriticConfig, GlobalConfig, Preset, SelfConditioningConfig, SemanticConfig,
    SoundStormConfig, conformer::ConformerConfig,
};

use crate::HubError;

/// One setting: a leaf name, or `group.leaf`, and the text of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The name.
    pub key: String,
    /// The value, as typed.
    pub value: String,
}

impl std::str::FromStr for Setting {
    type Err = HubError;

    /// Parses `key=value`.
    fn from_str(text: &str) -> Result<Self, HubError> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                value: value.trim().to_owned(),
            }),
            _ => Err(HubError::Invalid {
                operation: "read a setting",
                expected: "key=value".into(),
                got: text.into(),
            }),
        }
    }
}

impl Setting {
    pub(crate) fn error(&self, message: impl Into<String>) -> HubError {
        HubError::Setting {
            key: self.key.clone(),
            value: self.value.clone(),
            message: message.into(),
        }
    }

    /// Where the key stands in a configuration: its group, if it is in one, and its leaf.
    pub(crate) fn place(&self) -> Result<(Option<&'static str>, &str), HubError> {
        let schema = schema()?;
        let (wanted, leaf) = match self.key.split_once('.') {
            Some((group, leaf)) => (Some(group), leaf),
            None => (None, self.key.as_str()),
        };
        let places = std::iter::once(None).chain(GROUPS.map(Some));
        let mut found = places.filter(|group| {
            let keys = match group {
                None => Some(&schema),
                Some(group) => schema.get(*group).and_then(Value::as_object),
            };
            (wanted.is_none() || wanted == *group)
                && keys
                    .and_then(|keys| keys.get(leaf))
                    .is_some_and(|v| !v.is_object())
        });
        match found.next() {
            Some(group) => Ok((group, leaf)),
            None => Err(self.error(format!("there is no such key; there are {}", keys(&schema)))),
        }
    }
}

/// The parts of a configuration that leaf names reach into.
const GROUPS: [&str; 7] = [
    "conformer",
    "semantic",
    "generation",
    "context",
    "global",
    "self_conditioning",
    "critic",
];

/// A configuration with every key that there can be.
fn schema() -> Result<Map<String, Value>, HubError> {
    to_map(&SoundStormConfig {
        semantic: Some(SemanticConfig::new(1)),
        context: Some(ContextConfig::new(1, ConformerConfig::new(1, 1))),
        global: Some(GlobalConfig::speakers(1, 1)),
        self_conditioning: Some(SelfConditioningConfig::default()),
        critic: Some(CriticConfig::SelfCritic {}),
        ..Preset::Small.config()
    })
}

fn keys(schema: &Map<String, Value>) -> String {
    let leaves = schema
        .iter()
        .flat_map(|(key, value)| match value.as_object() {
            Some(group) => {
                let leaves = group.iter().filter(|(_, value)| !value.is_object());
                leaves.map(|(key, _)| key.clone()).collect()
            }
            None => vec![key.clone()],
        });
    leaves.collect::<Vec<_>>().join(", ")
}

fn to_map(config: &SoundStormConfig) -> Result<Map<String, Value>, HubError> {
    match serde_json::to_value(config) {
        Ok(Value::Object(map)) => Ok(map),
        other => Err(HubError::Invalid {
            operation: "look into a configuration",
            expected: "an object".into(),
            got: format!("{other:?}"),
        }),
    }
}

/// The configuration with the settings applied, the last of equal keys standing. Only each
/// setting's own form is checked here, not whether the whole makes sense.
///
/// # Errors
/// [`HubError::Setting`] for a key that does not exist, a value of another kind, or a setting of a
/// section that the model does not have.
pub fn apply_settings(
    config: &SoundStormConfig,
    settings: &[Setting],
) -> Result<SoundStormConfig, HubError> {
    let mut config = config.clone();
    for setting in settings {
        let (group, leaf) = setting.place()?;
        let mut map = to_map(&config)?;
        let target = match group {
            None => Some(&mut map),
            Some(group) => map.get_mut(group).and_then(Value::as_object_mut),
        };
        let Some(target) = target else {
            return Err(setting.error(match group {
                Some("semantic") => "the model is not conditioned on semantic tokens".into(),
                group => format!("the model has no section {}", group.unwrap_or_default()),
            }));
        };
        let value = parse(&setting.value, target.get(leaf));
        target.insert(leaf.to_owned(), value);
        config = serde_json::from_value(Value::Object(map))
            .map_err(|error| setting.error(error.to_string()))?;
    }
    Ok(config)
}

/// Text as the kind of value that stands there already; what does not fit is left for the
/// configuration's own types to refuse.
pub(crate) fn parse(text: &str, current: Option<&Value>) -> Value {
    let json = |text: &str| serde_json::from_str(text);
    let as_text = || Value::String(text.to_owned());
    match current {
        Some(Value::String(_)) => as_text(),
        Some(Value::Array(_)) => json(text)
            .ok()
            .filter(Value::is_array)
            .or_else(|| json(&format!("[{text}]")).ok())
            .unwrap_or_else(as_text),
        _ => json(text).unwrap_or_else(|_| as_text()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn apply(settings: &[&str]) -> Result<SoundStormConfig, HubError> {
        let settings: Vec<Setting> = settings.iter().map(|s| s.parse().unwrap()).collect();
        apply_settings(&Preset::Uslm.config(), &settings)
    }

    #[test]
    fn leaves_are_found_in_every_group() {
        let config = apply(&[
            "heads=4",
            "codebook_size=19",
            "value_residual=average",
            "alignment=repeat",
            "semantic.pad_id=-2",
            "steps=7,3,1",
            "top_k=5",
            "temperature=0.5",
            "conv_causal=true",
            "heads=2",
        ])
        .unwrap();
        assert_eq!(config.conformer.heads, 2);
        assert_eq!(config.codebook_size, 19);
        assert_eq!(
            config.conformer.value_residual,
            soundstorm::conformer::ValueResidual::Average
        );
        let semantic = config.semantic.unwrap();
        assert_eq!(
            (semantic.alignment, semantic.pad_id),
            (soundstorm::Alignment::Repeat, -2)
        );
        assert_eq!(config.generation.steps, [7, 3, 1]);
        assert_eq!(config.generation.top_k, Some(5));
        assert_eq!(config.generation.temperature, 0.5);
        assert!(config.conformer.conv_causal);
        assert_eq!(apply(&["steps=3"]).unwrap().generation.steps, [3]);
    }

    #[test]
    fn what_does_not_fit_is_an_error_with_the_setting() {
        for text in [
            "head_count=4",
            "heads=many",
            "heads=-1",
            "conformer=3",
            "conformer.vocab=3",
            "value_residual=mean",
            "conv_causal=maybe",
            "steps=a,b",
        ] {
            let error = apply(&[text]).unwrap_err();
            assert!(matches!(error, HubError::Setting { .. }), "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
        assert!("heads".parse::<Setting>().is_err());
        let bare = Preset::Small.config();
        let error = apply_settings(&bare, &["vocab=3".parse().unwrap()]).unwrap_err();
        assert!(error.to_string().contains("semantic"));
    }

    #[test]
    fn sections_of_conditions_are_reached_by_their_names() {
        let mut config = Preset::Small.config();
        config.context = Some(ContextConfig::new(7, ConformerConfig::new(5, 1)));
        config.global = Some(GlobalConfig::speakers(5, 3));
        config.self_conditioning = Some(SelfConditioningConfig::default());
        let settings = [
            "context.alignment=durations",
            "predict_durations=true",
            "speakers=11",
            "train_probability=0.5",
        ]
        .map(|text| text.parse().unwrap());
        let got = apply_settings(&config, &settings).unwrap();
        let context = got.context.unwrap();
        assert_eq!(context.alignment, soundstorm::ContextAlignment::Durations);
        assert!(context.predict_durations);
        assert_eq!(got.global.unwrap().speakers, 11);
        assert_eq!(got.self_conditioning.unwrap().train_probability, 0.5);
        let whole = apply_settings(&config, &["context.encoder=3".parse().unwrap()]);
        assert!(whole.is_err(), "a section within a section is not a leaf");
        let none = apply_settings(&config, &["kind=self".parse().unwrap()]);
        assert!(none.unwrap_err().to_string().contains("no section critic"));
    }
}
