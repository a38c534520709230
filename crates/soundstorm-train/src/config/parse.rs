//! From the text of a file and settings to a configuration with every key.

use soundstorm::Preset;
use soundstorm_hub::Folder;
use toml::{Table, Value};

use super::TrainConfig;
use crate::{Result, TrainError};

pub(super) fn resolve(text: &str, settings: &[String]) -> Result<TrainConfig> {
    let bad = |error: &dyn std::fmt::Display| TrainError::Config(error.to_string().trim().into());
    let mut table: Table = text.parse().map_err(|error| bad(&error))?;
    for setting in settings {
        set(&mut table, setting)?;
    }
    let model = match table.remove("model") {
        None => Table::new(),
        Some(Value::Table(model)) => model,
        Some(other) => {
            return Err(TrainError::Config(format!(
                "model is a table, not {}",
                other.type_str()
            )));
        }
    };
    let mut base = base(&table, &model)?;
    let own = model.into_iter().filter(|(key, _)| key != "preset");
    merge(&mut base, own.collect());
    table.insert("model".into(), Value::Table(base));
    Value::Table(table).try_into().map_err(|error| bad(&error))
}

/// What `[model]` is laid over.
fn base(table: &Table, model: &Table) -> Result<Table> {
    let config = match (model.get("preset"), table.get("init")) {
        (Some(Value::String(name)), _) => {
            let preset: Preset = name
                .parse()
                .map_err(|error| TrainError::Config(format!("model.preset: {error}")))?;
            preset.config()
        }
        (Some(other), _) => {
            return Err(TrainError::Config(format!(
                "model.preset is a name, not {}",
                other.type_str()
            )));
        }
        (None, Some(Value::String(folder))) => Folder::read_model(folder)?.config,
        (None, _) => return Ok(Table::new()),
    };
    Table::try_from(config).map_err(|error| TrainError::Config(error.to_string()))
}

/// Lays one table over another, key by key.
fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Applies `key.key=value`; a value that is no TOML is text.
fn set(table: &mut Table, setting: &str) -> Result<()> {
    let refuse = |message: &str| TrainError::Setting {
        setting: setting.to_owned(),
        message: message.to_owned(),
    };
    let (path, text) = setting
        .split_once('=')
        .ok_or_else(|| refuse("expected key=value"))?;
    let (path, text) = (path.trim(), text.trim());
    let parsed = format!("value = {text}").parse::<Table>().ok();
    let value = parsed
        .filter(|parsed| parsed.len() == 1)
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()));

    let mut keys: Vec<&str> = path.split('.').collect();
    if keys.iter().any(|key| key.is_empty()) {
        return Err(refuse(
            "expected key=value with a key such as optimizer.clip",
        ));
    }
    let last = keys.pop().unwrap_or_default();
    let mut table = table;
    for key in keys {
        let inner = table
            .entry(key)
            .or_insert_with(|| Value::Table(Table::new()));
        table = inner
            .as_table_mut()
            .ok_or_else(|| refuse("a key before the last is no table"))?;
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::Schedule;

    const TEXT: &str = "steps = 5000\n[data]\npath = \"shards\"\n[model]\npreset = \"small\"\n";

    fn parse(settings: &[&str]) -> Result<TrainConfig> {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        TrainConfig::parse(TEXT, &settings)
    }

    fn refused(settings: &[&str]) -> String {
        parse(settings).unwrap_err().to_string()
    }

    #[test]
    fn a_preset_stands_for_what_is_not_said() {
        let config = parse(&[]).unwrap();
        assert_eq!(config.model, Preset::Small.config());
        let config = parse(&[
            "model.conformer.depth=3",
            "optimizer.learning_rate=1",
            "schedule.kind=constant",
            "data.path=other folder",
            "validation.values=[\"a\", \"b\"]",
            "validation.by=speaker",
            "model.semantic.vocab=7",
        ])
        .unwrap();
        assert_eq!(config.model.conformer.depth, 3);
        assert_eq!(config.model.conformer.dim, 256);
        assert_eq!(config.model.semantic.unwrap().vocab, 7);
        assert_eq!(config.optimizer.learning_rate, 1.0);
        assert_eq!(config.schedule.kind, Schedule::Constant);
        assert_eq!(config.data.path.to_str(), Some("other folder"));
        assert_eq!(config.validation.values, ["a", "b"]);
    }

    #[test]
    fn the_resolved_copy_reads_back_as_itself() {
        let config = parse(&["validation.by=speaker", "model.generation.top_k=5"]).unwrap();
        let text = config.to_toml().unwrap();
        assert_eq!(TrainConfig::parse(&text, &[]).unwrap(), config);
        assert!(text.contains("dim_head = 64"), "{text}");
    }

    #[test]
    fn unknown_keys_and_bad_values_are_named() {
        for (setting, says) in [
            ("stepz=3", "stepz"),
            ("data.shards=x", "shards"),
            ("model.conformer.width=3", "width"),
            ("model.preset=tiny", "tiny"),
            ("model.preset=3", "integer"),
            ("model=3", "integer"),
            ("optimizer.clip=often", "often"),
            ("optimizer.clip=-1", "clip"),
            ("optimizer.beta_2=1", "beta_2"),
            ("steps=0", "steps"),
            ("data.batch=0", "batch"),
            ("data.micro_batches=3", "multiple"),
            ("data.min_frames=501", "min_frames"),
            ("schedule.warmup=5000", "warmup"),
            ("schedule.floor=2", "floor"),
            ("validation.fraction=1", "fraction"),
            ("validation.values=[\"a\"]", "values"),
            ("checkpoint.keep=0", "keep"),
            ("log.every=0", "log.every"),
            ("model.conformer.heads=0", "heads"),
            ("steps.more=3", "table"),
            ("steps", "key=value"),
            (".steps=3", "key=value"),
        ] {
            let error = refused(&[setting]);
            assert!(error.contains(says), "{setting}: {error}");
        }
    }

    #[test]
    fn text_is_taken_where_toml_fails_and_cannot_smuggle_keys() {
        let config = parse(&["data.path=a\nseed = 9"]).unwrap();
        assert_eq!(config.data.path.to_str(), Some("a\nseed = 9"));
        assert_eq!(config.seed, 0);
    }
}
