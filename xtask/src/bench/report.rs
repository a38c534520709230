//! What was measured, as a table, as Markdown and as JSON.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::machine::Facts;
use super::side::{Shape, Stopped};
use super::stats::{max, median, min, table};

/// One side of one work.
pub(super) struct Measured {
    pub(super) work: String,
    pub(super) side: String,
    pub(super) seconds: Vec<f64>,
    pub(super) shape: Shape,
    pub(super) stopped: Stopped,
}

/// Everything of one `cargo xtask bench`.
pub(super) struct Report {
    pub(super) preset: String,
    pub(super) steps: String,
    pub(super) device: String,
    pub(super) threads: usize,
    pub(super) warmup: usize,
    pub(super) machine: Facts,
    pub(super) versions: Facts,
    /// For each work its sides, ours first.
    pub(super) works: Vec<Vec<Measured>>,
}

impl Report {
    /// One row a side; the ratio is to the last side of the same work.
    pub(super) fn table(&self) -> String {
        let head = [
            "work",
            "side",
            "median s",
            "min s",
            "max s",
            "ratio",
            "peak MiB",
            "passes",
            "levels",
            "frames",
            "parameters",
        ];
        let mut rows = Vec::new();
        for sides in &self.works {
            for side in sides {
                rows.push(vec![
                    side.work.clone(),
                    side.side.clone(),
                    format!("{:.3}", median(&side.seconds)),
                    format!("{:.3}", min(&side.seconds)),
                    format!("{:.3}", max(&side.seconds)),
                    ratio(sides, side).map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                    side.stopped
                        .peak_mib
                        .map_or_else(|| "?".to_owned(), |mib| format!("{mib:.0}")),
                    side.shape.passes.to_string(),
                    side.shape.levels.to_string(),
                    side.shape.frames.to_string(),
                    side.shape.parameters.to_string(),
                ]);
            }
        }
        table(&head, &rows)
    }

    /// Writes `NAME.md` and `NAME.json` into `folder`.
    pub(super) fn write(&self, folder: &Path, name: &str) -> Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let mut json = serde_json::to_string_pretty(&self.json())?;
        json.push('\n');
        for (extension, text) in [("md", self.markdown(name)), ("json", json)] {
            let path = folder.join(format!("{name}.{extension}"));
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("wrote {}", path.display());
        }
        Ok(())
    }

    fn markdown(&self, name: &str) -> String {
        let facts = self
            .machine
            .iter()
            .chain(&self.versions)
            .cloned()
            .chain(self.side_versions());
        let facts: Vec<Vec<String>> = facts.map(|(name, value)| vec![name, value]).collect();
        let runs = self
            .works
            .first()
            .and_then(|sides| sides.first())
            .map_or(0, |s| s.seconds.len());
        format!(
            "# {name}\n\n\
             Written by `cargo xtask bench`: preset `{}`, steps `{}`, device `{}`, {} threads a side, \
             {runs} timed runs of each side in turn after {} to warm up. Each side is one process that \
             has loaded before; the ratio is to the last side of the same work; the peak is the most \
             memory that the process ever held.\n\n{}\n{}",
            self.preset,
            self.steps,
            self.device,
            self.threads,
            self.warmup,
            self.table(),
            table(&["", ""], &facts),
        )
    }

    fn json(&self) -> Value {
        let works: Vec<Value> = self
            .works
            .iter()
            .flat_map(|sides| sides.iter().map(move |side| (sides, side)))
            .map(|(sides, side)| {
                json!({
                    "work": side.work, "side": side.side,
                    "seconds": side.seconds,
                    "median_s": median(&side.seconds),
                    "min_s": min(&side.seconds),
                    "max_s": max(&side.seconds),
                    "ratio": ratio(sides, side),
                    "peak_mib": side.stopped.peak_mib,
                    "passes": side.shape.passes, "levels": side.shape.levels,
                    "frames": side.shape.frames, "parameters": side.shape.parameters,
                })
            })
            .collect();
        json!({
            "preset": self.preset, "steps": self.steps, "device": self.device,
            "threads": self.threads, "warmup": self.warmup,
            "machine": object(&self.machine),
            "versions": object(&self.versions.iter().cloned().chain(self.side_versions()).collect()),
            "works": works,
        })
    }

    /// What each side says of itself, once.
    fn side_versions(&self) -> Facts {
        let mut facts = Facts::new();
        for side in self.works.iter().flatten() {
            if let Some(versions) = &side.stopped.versions
                && !facts.iter().any(|(name, _)| *name == side.side)
            {
                facts.push((side.side.clone(), versions.clone()));
            }
        }
        facts
    }
}

/// Its median to that of the last of the sides, or nothing for the last itself.
fn ratio(sides: &[Measured], side: &Measured) -> Option<f64> {
    let last = sides.last().filter(|last| last.side != side.side)?;
    Some(median(&side.seconds) / median(&last.seconds))
}

fn object(facts: &Facts) -> Value {
    Value::Object(
        facts
            .iter()
            .map(|(k, v)| (k.clone(), json!(v)))
            .collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let side = |name: &str, seconds: &[f64]| Measured {
            work: "forward".to_owned(),
            side: name.to_owned(),
            seconds: seconds.to_vec(),
            shape: Shape {
                passes: 1,
                levels: 12,
                frames: 500,
                parameters: 7,
            },
            stopped: Stopped {
                peak_mib: Some(99.5),
                versions: Some(format!("{name} 1")),
            },
        };
        Report {
            preset: "reference".to_owned(),
            steps: "16,1".to_owned(),
            device: "cpu".to_owned(),
            threads: 2,
            warmup: 1,
            machine: vec![("processor".to_owned(), "Fast".to_owned())],
            versions: vec![],
            works: vec![vec![
                side("ours", &[3.0, 2.0, 2.5]),
                side("peer", &[5.0, 4.0, 6.0]),
            ]],
        }
    }

    #[test]
    fn the_ratio_is_to_the_peer() {
        let table = report().table();
        let row = |name: &str| table.lines().find(|line| line.contains(name)).map(cells);
        assert_eq!(
            row("ours"),
            Some(expect("forward ours 2.500 2.000 3.000 0.50 100 1 12 500 7"))
        );
        assert_eq!(
            row("peer"),
            Some(expect("forward peer 5.000 4.000 6.000 - 100 1 12 500 7"))
        );
    }

    fn cells(line: &str) -> Vec<String> {
        let cells = line.trim_matches('|').split('|').map(str::trim);
        cells
            .map(|cell| if cell.is_empty() { "-" } else { cell }.to_owned())
            .collect()
    }

    fn expect(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn json_holds_every_run() {
        let json = report().json();
        assert_eq!(json["works"][0]["seconds"], json!([3.0, 2.0, 2.5]));
        assert_eq!(json["works"][0]["ratio"], json!(0.5));
        assert_eq!(json["works"][1]["ratio"], Value::Null);
        assert_eq!(json["versions"]["peer"], json!("peer 1"));
        assert_eq!(json["machine"]["processor"], json!("Fast"));
    }

    #[test]
    fn markdown_names_method_and_machine() {
        let text = report().markdown("reference-500");
        for part in [
            "# reference-500",
            "3 timed runs",
            "2 threads",
            "Fast",
            "ours 1",
            "0.50",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
