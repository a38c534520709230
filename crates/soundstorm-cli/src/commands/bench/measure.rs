//! Timed runs of a piece of work, all at once or one for every line of standard input.

use std::{
    io::BufRead,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use soundstorm_runtime::peak_rss_mib;

use super::BenchJob;
use crate::output;

/// What was done and how long it took, in seconds.
#[derive(Serialize)]
struct Report {
    work: String,
    model: String,
    frames: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_of_audio: Option<f64>,
    batch: u64,
    passes: usize,
    levels: usize,
    parameters: usize,
    backend: &'static str,
    device: String,
    dtype: String,
    /// The processor's instructions that it multiplies with in bf16.
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    median_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_s: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs_s: Vec<f64>,
    peak_mib: Option<f64>,
}

/// Something that can be done again and again; it returns the passes it took.
pub(super) type Once<'a> = Box<dyn FnMut() -> Result<usize> + 'a>;

/// What is worked with.
pub(super) struct Subject<'a> {
    pub(super) name: &'a str,
    pub(super) parameters: usize,
    pub(super) levels: usize,
    pub(super) frames: usize,
    /// Of a codec's work, in each row.
    pub(super) seconds_of_audio: Option<f64>,
}

impl BenchJob {
    /// Warms up, measures, and reports.
    pub(super) fn measure(&self, subject: &Subject, mut once: Once) -> Result<()> {
        let report = |passes: usize| Report {
            work: format!("{:?}", self.args.work).to_lowercase(),
            model: subject.name.to_owned(),
            frames: subject.frames,
            seconds_of_audio: subject.seconds_of_audio,
            batch: self.args.batch,
            passes,
            levels: subject.levels,
            parameters: subject.parameters,
            backend: self.about.backend.name(),
            device: self.about.device.clone(),
            dtype: self.common.dtype.to_string(),
            instructions: self.instructions(),
            version: env!("CARGO_PKG_VERSION"),
            seconds: None,
            median_s: None,
            min_s: None,
            max_s: None,
            runs_s: Vec::new(),
            peak_mib: peak_rss_mib(),
        };
        for _ in 0..self.args.warmup {
            once()?;
        }
        let mut timed = || -> Result<(Duration, usize)> {
            let started = Instant::now();
            let passes = once()?;
            Ok((started.elapsed(), passes))
        };

        if self.args.serve {
            for line in std::io::stdin().lock().lines() {
                if line.context("cannot read from standard input")?.is_empty() {
                    break;
                }
                let (time, passes) = timed()?;
                output::json(&Report {
                    seconds: Some(time.as_secs_f64()),
                    ..report(passes)
                })?;
            }
            return Ok(());
        }

        let mut runs = Vec::new();
        let mut passes = 0;
        for _ in 0..self.args.runs {
            let (time, took) = timed()?;
            runs.push(time.as_secs_f64());
            passes = took;
        }
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        ensure!(!sorted.is_empty(), "nothing was measured");
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
            _ => sorted[middle],
        };
        let report = Report {
            median_s: Some(median),
            min_s: sorted.first().copied(),
            max_s: sorted.last().copied(),
            runs_s: runs,
            ..report(passes)
        };
        if self.common.json {
            return output::json(&report);
        }
        output::say(&format!(
            "{} of {} ({} parameters), {} frames x {} rows, {} passes, {} on {}: {}",
            report.work,
            report.model,
            subject.parameters,
            report.frames,
            report.batch,
            passes,
            report.dtype,
            report.backend,
            report.device
        ))?;
        output::say(&format!(
            "median {median:.4} s, {:.4} to {:.4} s over {} runs; peak memory {}",
            sorted.first().copied().unwrap_or(median),
            sorted.last().copied().unwrap_or(median),
            sorted.len(),
            report
                .peak_mib
                .map_or("unknown".into(), |mib| format!("{mib:.0} MiB"))
        ))
    }
}
