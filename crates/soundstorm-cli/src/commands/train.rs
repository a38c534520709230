//! `soundstorm train`: trains a model in a folder, or goes on where a training was left.

use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::Result;
use burn::tensor::backend::AutodiffBackend;
use soundstorm_runtime::{DTypeArg, TrainJob};
use soundstorm_train::{
    Dataset, Ended, Outcome, Plan, TrainConfig, TrainError, TrainEvent, Validation, train,
};

use crate::{
    args::{Common, Train},
    output,
    progress::Progress,
    signals,
    usage::usage,
};

pub(crate) fn run(args: Train, common: Common) -> Result<()> {
    if common.dtype != DTypeArg::F32 {
        return Err(usage("models are trained in f32"));
    }
    if common.seed != 0 {
        return Err(usage(
            "a training's seed is in its configuration: --set seed=N",
        ));
    }
    let config = TrainConfig::read(&args.config, &args.set).map_err(|error| match error {
        TrainError::Setting { .. } => usage(error.to_string()),
        other => other.into(),
    })?;
    let device = common.device;
    if args.dry_run {
        let job = PlanJob {
            config,
            json: common.json,
        };
        return soundstorm_runtime::run_autodiff(&device, job)?;
    }
    let job = RunJob {
        config,
        folder: args.output.unwrap_or_default(),
        wish: signals::wish_to_end()?,
        quiet: common.quiet,
    };
    let outcome = soundstorm_runtime::run_autodiff(&device, job)??;
    report(&outcome, common.json)
}

fn report(outcome: &Outcome, json: bool) -> Result<()> {
    let state = &outcome.checkpoint.state;
    let ended = match outcome.ended {
        Ended::Finished => "finished",
        Ended::Stopped => "stopped",
    };
    if json {
        return output::json(&serde_json::json!({
            "ended": ended,
            "step": state.step,
            "checkpoint": outcome.checkpoint.path,
            "model": outcome.model,
            "best_step": state.best.map(|best| best.step),
            "best_loss": state.best.map(|best| best.loss),
        }));
    }
    output::say(&format!(
        "{ended} after step {}; the model is in {}",
        state.step,
        outcome.model.display()
    ))
}

struct PlanJob {
    config: TrainConfig,
    json: bool,
}

impl TrainJob for PlanJob {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<()> {
        let dataset = Dataset::open(&self.config.data.path)?;
        let plan = Plan::new::<B>(&self.config, &dataset, &device)?;
        if self.json {
            return output::json(&plan);
        }
        for (name, shape) in &plan.shapes {
            output::say(&format!("{name}  {shape:?}"))?;
        }
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        let memory = &plan.memory;
        let [rows, levels, frames] = plan.piece;
        for (name, value) in [
            (
                "parameters",
                format!("{}, of which {} decay", plan.parameters, plan.decaying),
            ),
            ("weights", mib(memory.weights)),
            ("gradients", mib(memory.gradients)),
            ("moments", mib(memory.moments)),
            ("running mean", mib(memory.average)),
            ("data", mib(memory.data)),
            (
                "together",
                format!("{}, beside what a step needs", mib(memory.total())),
            ),
            (
                "batch",
                format!(
                    "{} x {rows} rows x {levels} levels x {frames} frames",
                    plan.pieces
                ),
            ),
            (
                "files",
                format!(
                    "{} to train on, {} held out, {} skipped; {:.2} h",
                    plan.training_files,
                    plan.validation_files,
                    plan.skipped_files,
                    plan.audio_seconds / 3600.0
                ),
            ),
            (
                "steps",
                format!(
                    "{}, {:.2} epochs of {} batches",
                    self.config.steps, plan.epochs, plan.batches
                ),
            ),
        ] {
            output::say(&format!("{name:13} {value}"))?;
        }
        Ok(())
    }
}

struct RunJob {
    config: TrainConfig,
    folder: PathBuf,
    wish: Arc<AtomicBool>,
    quiet: bool,
}

impl TrainJob for RunJob {
    type Output = Result<Outcome>;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Self::Output {
        let mut watch = Watch::new(self.config.steps, self.quiet);
        Ok(train::<B>(&self.config, &self.folder, &device, |event| {
            watch.tell(event);
            match self.wish.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?)
    }
}

/// The progress bar, with the loss and the speed of the last while.
struct Watch {
    progress: Progress,
    steps: u64,
    loss: Option<f64>,
    since: Instant,
    audio_seconds: f64,
    speed: f64,
}

impl Watch {
    fn new(steps: u64, quiet: bool) -> Self {
        Self {
            progress: Progress::new("training", quiet),
            steps,
            loss: None,
            since: Instant::now(),
            audio_seconds: 0.0,
            speed: 0.0,
        }
    }

    fn tell(&mut self, event: &TrainEvent<'_>) {
        match event {
            TrainEvent::Damaged { path, message } => self.progress.aside(|| {
                tracing::warn!(
                    "checkpoint {} is damaged ({message}): going on from the one before, this one is put aside",
                    path.display()
                );
            }),
            TrainEvent::Resumed(checkpoint) => {
                let step = checkpoint.state.step;
                self.progress.begin_at(step, self.steps);
                self.since = Instant::now();
                self.progress
                    .aside(|| tracing::info!("going on after step {step}"));
            }
            TrainEvent::Step(report) => {
                // Losses jump with the masks: a mean that forgets is told.
                let loss = self.loss.map_or(report.loss, |loss| 0.98 * loss + 0.02 * report.loss);
                self.loss = Some(loss);
                self.audio_seconds += report.audio_seconds;
                let taken = self.since.elapsed().as_secs_f64();
                if taken > 1.0 || self.speed == 0.0 {
                    self.speed = self.audio_seconds / taken.max(1e-9);
                    self.since = Instant::now();
                    self.audio_seconds = 0.0;
                }
                self.progress.say(format!(
                    "loss {loss:.3}, rate {:.2e}, {:.1} s/s",
                    report.learning_rate, self.speed
                ));
                self.progress.at_bytes(report.step, self.steps);
                tracing::debug!("step {}: loss {:.4}", report.step, report.loss);
            }
            TrainEvent::Validated { scores, is_best } => {
                self.progress.aside(|| validated(scores, *is_best));
            }
            TrainEvent::Saved(checkpoint) => self.progress.aside(|| {
                tracing::info!("saved {}", checkpoint.path.display());
            }),
            _ => {}
        }
    }
}

fn validated(scores: &Validation, is_best: bool) {
    let levels = scores.levels.iter();
    let accuracies: Vec<_> = levels
        .map(|level| format!("{:.3}", level.accuracy))
        .collect();
    tracing::info!(
        "step {}: held out: loss {:.4}{}, accuracies {}",
        scores.step,
        scores.loss,
        if is_best { ", the best so far" } else { "" },
        accuracies.join(" ")
    );
}
