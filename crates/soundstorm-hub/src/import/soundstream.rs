//! A SoundStream's configuration: what its tensors tell, the package's defaults, and settings. The
//! package keeps its own as a pickle within the checkpoint, which is not read.

use std::path::Path;

use serde_json::{Map, Value};
use soundstorm_codec::{SoundStreamConfig, soundstream::ShapesError};

use super::ImportOptions;
use crate::{Contradiction, HubError, Setting, TensorReport, TensorSource, settings::parse};

pub(super) fn configure(
    source: &dyn TensorSource,
    options: &ImportOptions,
) -> Result<SoundStreamConfig, HubError> {
    let path = source.path();
    if let Some(config) = &options.config {
        return Err(HubError::Invalid {
            operation: "import a SoundStream",
            expected: "no configuration beside the checkpoint, but settings".into(),
            got: config.display().to_string(),
        });
    }
    let tensors = source.tensors().iter();
    let shapes = tensors.map(|(name, info)| (name.clone(), info.shape.clone()));
    let told = SoundStreamConfig::from_shapes(&shapes.collect()).map_err(|error| match error {
        ShapesError::Missing(name) => HubError::Tensors {
            path: path.to_path_buf(),
            report: Box::new(TensorReport {
                missing: vec![name],
                ..TensorReport::default()
            }),
        },
        ShapesError::Config(error) => HubError::unsupported(path, error.to_string()),
        error => HubError::malformed(path, error.to_string()),
    })?;
    let config = apply(&told, &options.settings, path)?;
    config.validate().map_err(|error| HubError::Config {
        path: path.to_path_buf(),
        expected: "SoundStream",
        message: error.to_string(),
    })?;
    warn_of_defaults(&config, &options.settings)?;
    Ok(config)
}

/// The configuration with the settings in it, none of which the tensors may contradict.
fn apply(
    told: &SoundStreamConfig,
    settings: &[Setting],
    path: &Path,
) -> Result<SoundStreamConfig, HubError> {
    let mut config = told.clone();
    for setting in settings {
        let mut map = to_map(&config)?;
        let Some(current) = map.get(&setting.key) else {
            let keys: Vec<_> = map.keys().cloned().collect();
            let message = format!("there is no such key; there are {}", keys.join(", "));
            return Err(setting.error(message));
        };
        let value = parse(&setting.value, Some(current));
        let is_told = !SoundStreamConfig::UNTOLD.contains(&setting.key.as_str());
        if is_told && value != *current {
            return Err(HubError::Contradiction(Box::new(Contradiction {
                path: path.to_path_buf(),
                key: setting.key.clone(),
                expected: value.to_string(),
                expected_by: "a setting".into(),
                got: current.to_string(),
                got_by: "the tensors".into(),
            })));
        }
        map.insert(setting.key.clone(), value);
        config = serde_json::from_value(Value::Object(map))
            .map_err(|error| setting.error(error.to_string()))?;
    }
    Ok(config)
}

/// Nothing would fail with a wrong one of these, but the codec would be another.
fn warn_of_defaults(config: &SoundStreamConfig, settings: &[Setting]) -> Result<(), HubError> {
    let map = to_map(config)?;
    let open = SoundStreamConfig::UNTOLD.into_iter();
    let open = open.filter(|key| !settings.iter().any(|setting| setting.key == *key));
    let open: Vec<_> = open.map(|key| format!("{key}={}", map[key])).collect();
    if !open.is_empty() {
        tracing::warn!(
            "tensors cannot tell {}: if the codec was trained with other values, give them as settings",
            open.join(", ")
        );
    }
    Ok(())
}

fn to_map(config: &SoundStreamConfig) -> Result<Map<String, Value>, HubError> {
    match serde_json::to_value(config) {
        Ok(Value::Object(map)) => Ok(map),
        other => Err(HubError::Invalid {
            operation: "look into a configuration",
            expected: "an object".into(),
            got: format!("{other:?}"),
        }),
    }
}
