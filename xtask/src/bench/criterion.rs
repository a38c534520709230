//! The criterion benches: run, and read from what criterion leaves under the target folder.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::plot::{Bar, Panel};
use super::report::Part;
use super::stats::table;
use crate::process;
use crate::workspace::Workspace;

/// One bench, in seconds.
#[derive(Debug, PartialEq)]
struct Estimate {
    group: String,
    name: String,
    median: f64,
    /// Of the median, 95 %.
    low: f64,
    high: f64,
    deviation: f64,
}

/// Runs all benches and reads what they wrote.
pub(super) fn run(workspace: &Workspace, quick: bool) -> Result<Part> {
    let started = SystemTime::now();
    // The profile that everything uses, or `bench` would compile the world anew.
    let mut command = process::cargo();
    command
        .args(["bench", "-p", "soundstorm-benches", "--profile", "dev"])
        .current_dir(&workspace.root);
    if quick {
        command.args(["--", "--warm-up-time", "0.2", "--measurement-time", "0.5"]);
    }
    process::run(&mut command)?;
    let mut estimates = Vec::new();
    read(&workspace.target.join("criterion"), started, &mut estimates)?;
    estimates.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    Ok(part(&estimates))
}

/// All benches below `folder` that were written since; a bench that is gone leaves its folder.
fn read(folder: &Path, since: SystemTime, found: &mut Vec<Estimate>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let path: PathBuf = entry?.path();
        let file = path.join("new/estimates.json");
        let written = file.metadata().and_then(|about| about.modified());
        if written.is_ok_and(|time| time >= since) {
            let name = |path: &Path| {
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into()
            };
            let text = std::fs::read_to_string(&file)?;
            let estimate = parse(name(folder), name(&path), &text);
            found.push(estimate.with_context(|| file.display().to_string())?);
        } else if path.is_dir() {
            read(&path, since, found)?;
        }
    }
    Ok(())
}

fn parse(group: String, name: String, text: &str) -> Result<Estimate> {
    let value: Value = serde_json::from_str(text)?;
    // Criterion counts nanoseconds.
    let seconds = |pointer: &str| {
        let number = value.pointer(pointer).and_then(Value::as_f64);
        Ok::<_, anyhow::Error>(number.with_context(|| format!("no {pointer}"))? * 1e-9)
    };
    Ok(Estimate {
        group,
        name,
        median: seconds("/median/point_estimate")?,
        low: seconds("/median/confidence_interval/lower_bound")?,
        high: seconds("/median/confidence_interval/upper_bound")?,
        deviation: seconds("/std_dev/point_estimate")?,
    })
}

fn part(estimates: &[Estimate]) -> Part {
    let ms = |seconds: f64| format!("{:.4}", seconds * 1e3);
    let row = |e: &Estimate| {
        let times = [e.median, e.low, e.high, e.deviation].map(ms);
        [&[e.group.clone(), e.name.clone()], times.as_slice()].concat()
    };
    let head = [
        "group",
        "bench",
        "median ms",
        "low ms",
        "high ms",
        "std. dev. ms",
    ];
    let json = |e: &Estimate| {
        json!({
            "group": e.group, "bench": e.name, "median_s": e.median, "low_s": e.low,
            "high_s": e.high, "std_dev_s": e.deviation,
        })
    };
    let bar = |e: &Estimate| Bar {
        label: e.name.clone(),
        middle: e.median * 1e3,
        low: e.low * 1e3,
        high: e.high * 1e3,
    };
    let panels = estimates
        .chunk_by(|a, b| a.group == b.group)
        .map(|group| Panel::Bars {
            title: format!("{}, milliseconds", group[0].group),
            unit: "ms",
            bars: group.iter().map(bar).collect(),
        });
    let rows: Vec<_> = estimates.iter().map(row).collect();
    Part {
        key: "criterion",
        title: "Parts".to_owned(),
        text: format!(
            "By criterion, on the CPU with its default threads (`benches/`): medians with the 95 % interval of the \
             median, and the standard deviation of the samples. The whiskers of the picture are the interval.\n\n{}",
            table(&head, &rows)
        ),
        rows: estimates.iter().map(json).collect(),
        panels: panels.collect(),
        ..Part::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    const TEXT: &str = r#"{
        "mean": {"point_estimate": 9e9},
        "median": {"confidence_interval": {"confidence_level": 0.95, "lower_bound": 1e9, "upper_bound": 4e9},
                   "point_estimate": 2e9, "standard_error": 5.0},
        "std_dev": {"point_estimate": 5e8}
    }"#;

    fn estimate(group: &str, name: &str) -> Estimate {
        Estimate {
            group: group.to_owned(),
            name: name.to_owned(),
            median: 2.0,
            low: 1.0,
            high: 4.0,
            deviation: 0.5,
        }
    }

    #[test]
    fn what_this_run_wrote_is_read() {
        let root = std::env::temp_dir().join(format!("xtask-criterion-{}", std::process::id()));
        let write = |path: &str| {
            let folder = root.join(path);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("estimates.json"), TEXT).unwrap();
        };
        write("layers/block/new");
        write("layers/block/base");
        write("report");
        let mut found = Vec::new();
        let before = SystemTime::now() - Duration::from_secs(60);
        read(&root, before, &mut found).unwrap();
        let mut stale = Vec::new();
        let later = SystemTime::now() + Duration::from_secs(60);
        read(&root, later, &mut stale).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, [estimate("layers", "block")]);
        assert_eq!(stale, []);
        let error = parse("a".into(), "b".into(), "{}").unwrap_err().to_string();
        assert_eq!(error, "no /median/point_estimate");
    }

    #[test]
    fn each_group_is_a_picture() {
        let part = part(&[estimate("a", "x"), estimate("a", "y"), estimate("b", "z")]);
        let bars = |panel: &Panel| match panel {
            Panel::Bars { bars, .. } => bars.iter().map(|bar| bar.label.clone()).collect(),
            Panel::Lines { .. } => Vec::new(),
        };
        let labels: Vec<Vec<String>> = part.panels.iter().map(bars).collect();
        assert_eq!(labels, [vec!["x", "y"], vec!["z"]]);
        assert_eq!(part.rows[2]["low_s"], json!(1.0));
        assert!(
            part.text.contains("2000.0000 | 1000.0000 | 4000.0000"),
            "{}",
            part.text
        );
    }
}
