//! What was measured, written as JSON, as a picture, and as the Markdown of `markdown.rs`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::machine::Facts;
use super::plot::{self, Panel};

/// A section of the report.
#[derive(Default)]
pub(super) struct Part {
    /// In the JSON; parts of the same key are one list.
    pub(super) key: &'static str,
    pub(super) title: String,
    /// Markdown: what is in the tables, and the tables.
    pub(super) text: String,
    pub(super) rows: Vec<Value>,
    pub(super) panels: Vec<Panel>,
    pub(super) failures: Vec<String>,
    /// Figures that another run may well contradict.
    pub(super) unsteady: Vec<String>,
    /// Whether a failure is a finding, not an error.
    pub(super) may_fail: bool,
    pub(super) versions: Facts,
}

/// Everything of one `cargo xtask bench`.
pub(super) struct Report {
    pub(super) name: String,
    /// As it was typed.
    pub(super) command: String,
    pub(super) device: String,
    pub(super) threads: usize,
    pub(super) warmup: usize,
    pub(super) runs: usize,
    pub(super) machine: Facts,
    /// What speaks against all of the figures.
    pub(super) warning: Option<String>,
    pub(super) versions: Facts,
    pub(super) parts: Vec<Part>,
}

impl Report {
    /// Writes `NAME.md`, `NAME.json` and `NAME.svg` into `folder`.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let panels: Vec<&Panel> = self.parts.iter().flat_map(|part| &part.panels).collect();
        let picture = plot::svg(&panels)?;
        let mut json = serde_json::to_string_pretty(&self.json())?;
        json.push('\n');
        let mut files = vec![("md", self.markdown(picture.is_some())), ("json", json)];
        files.extend(picture.map(|picture| ("svg", picture)));
        for (extension, text) in files {
            let path = folder.join(format!("{}.{extension}", self.name));
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("wrote {}", path.display());
        }
        Ok(())
    }

    /// An error that tells what failed where nothing should.
    pub(super) fn check(&self) -> Result<()> {
        let must = self.parts.iter().filter(|part| !part.may_fail);
        let failures: Vec<&str> = must
            .flat_map(|part| part.failures.iter().map(String::as_str))
            .collect();
        if !failures.is_empty() {
            bail!("measured, but for what failed:\n{}", failures.join("\n"));
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let mut value = Map::new();
        for (key, given) in [
            ("command", json!(self.command)),
            ("device", json!(self.device)),
            ("threads", json!(self.threads)),
            ("warmup", json!(self.warmup)),
            ("runs", json!(self.runs)),
            ("warning", json!(self.warning)),
            ("machine", object(self.machine.clone())),
            ("versions", object(self.all_versions())),
        ] {
            value.insert(key.to_owned(), given);
        }
        for part in &self.parts {
            let rows = value.entry(part.key).or_insert_with(|| json!([]));
            if let Some(rows) = rows.as_array_mut() {
                rows.extend(part.rows.iter().cloned());
            }
        }
        Value::Object(value)
    }

    pub(super) fn all_versions(&self) -> Facts {
        let mut facts = self.versions.clone();
        for (side, versions) in self.parts.iter().flat_map(|part| &part.versions) {
            if !facts.iter().any(|(name, _)| name == side) {
                facts.push((side.clone(), versions.clone()));
            }
        }
        facts
    }
}

fn object(facts: Facts) -> Value {
    Value::Object(facts.into_iter().map(|(k, v)| (k, json!(v))).collect())
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::plot::Bar;
    use super::super::sides::Role;
    use super::super::testing::{group, side};
    use super::*;

    pub(in crate::bench) fn report() -> Report {
        let part = |key, row: u64, may_fail| Part {
            key,
            title: format!("Part {row}"),
            text: format!("row {row}\n"),
            rows: vec![json!({"row": row})],
            failures: vec![format!("{row} broke")],
            unsteady: vec![format!("{row} shook")],
            may_fail,
            versions: vec![("ours".to_owned(), format!("ours {row}"))],
            panels: vec![Panel::Bars {
                title: "picture".to_owned(),
                unit: "s",
                bars: vec![Bar {
                    label: "ours".to_owned(),
                    middle: 1.0,
                    low: 1.0,
                    high: 1.0,
                }],
            }],
        };
        let fact = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        Report {
            name: "small-50".to_owned(),
            command: "cargo xtask bench --quick".to_owned(),
            device: "cpu".to_owned(),
            threads: 2,
            warmup: 1,
            runs: 3,
            machine: fact("processor", "Fast"),
            warning: Some("Busy".to_owned()),
            versions: fact("commit", "abc"),
            parts: vec![
                part("works", 1, false),
                part("sweep", 2, true),
                part("sweep", 3, true),
            ],
        }
    }

    #[test]
    fn json_holds_all_parts() {
        let json = report().json();
        assert_eq!(json["works"], json!([{"row": 1}]));
        assert_eq!(json["sweep"], json!([{"row": 2}, {"row": 3}]));
        assert_eq!(json["machine"]["processor"], json!("Fast"));
        assert_eq!(json["versions"], json!({"commit": "abc", "ours": "ours 1"}));
        assert_eq!(json["command"], json!("cargo xtask bench --quick"));
        assert_eq!((&json["warmup"], &json["runs"]), (&json!(1), &json!(3)));
    }

    #[test]
    fn a_failure_is_an_error_but_in_a_sweep() {
        let error = report().check().unwrap_err().to_string();
        assert!(
            error.contains("1 broke") && !error.contains("2 broke"),
            "{error}"
        );
        let mut fine = report();
        fine.parts.remove(0);
        assert!(fine.check().is_ok());
    }

    #[test]
    fn beside_py_writes_the_same() {
        let script = include_str!("../../../benches/peers/beside.py");
        let row = &group(vec![side("ours", Role::Ours, &[1.0])]).json()[0];
        let json = report().json();
        let keys = |value: &Value| {
            value
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        for key in keys(&json).into_iter().chain(keys(row)) {
            let quoted = format!("\"{key}\"");
            assert!(key == "sweep" || script.contains(&quoted), "{key}");
        }
    }

    #[test]
    fn three_files_are_written() {
        let folder = std::env::temp_dir().join(format!("xtask-report-{}", std::process::id()));
        report().write(&folder).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(names, ["small-50.json", "small-50.md", "small-50.svg"]);
    }
}
