//! A run in a folder: begun or gone on with, logged, saved, stopped when asked.
//!
//! ```text
//! config.toml    the configuration with every key
//! log.jsonl      losses and scores
//! tensorboard/   the same and the speed, for TensorBoard
//! checkpoints/   the newest few and the best
//! model/         the model folder to generate with, when the run is finished
//! ```

mod begin;

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use burn::tensor::backend::AutodiffBackend;

use crate::{
    Checkpoint, Dataset, Result, StepReport, TrainConfig, TrainError, Trainer, Validation,
    checkpoint::{Best, Folders, SinceLine, State},
    log::{Log, LogLine},
    tensorboard::Events,
};

const LOG: &str = "log.jsonl";
const EVENTS: &str = "tensorboard";
const CHECKPOINTS: &str = "checkpoints";
const EXPORT: &str = "model";

/// What happens in a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TrainEvent<'a> {
    /// A checkpoint cannot be used; an older one is tried.
    Damaged {
        /// The checkpoint.
        path: &'a Path,
        /// What is wrong with it.
        message: &'a str,
    },
    /// The run goes on from a checkpoint.
    Resumed(&'a Checkpoint),
    /// A step was taken.
    Step(&'a StepReport),
    /// The model was scored.
    Validated {
        /// Its scores.
        scores: &'a Validation,
        /// Whether they are the best so far.
        is_best: bool,
    },
    /// A checkpoint was published.
    Saved(&'a Checkpoint),
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps are done.
    Finished,
    /// The observer asked for it.
    Stopped,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Why it ended.
    pub ended: Ended,
    /// The last checkpoint.
    pub checkpoint: Checkpoint,
    /// The model folder to generate with.
    pub model: PathBuf,
}

/// Trains in a folder. A run that is there is gone on with from its newest checkpoint that is whole,
/// and comes to what it would have come to without the stop: to the bit on a CPU.
///
/// `observe` is told what happens, and stops the run by `ControlFlow::Break`: after the step that is
/// being taken, and with a checkpoint.
///
/// # Errors
/// The folder was begun with another configuration, is in use, or cannot be written; the
/// configuration contradicts the data; no checkpoint is whole; the loss is no number. What was
/// published before stays.
pub fn train<B: AutodiffBackend>(
    config: &TrainConfig,
    folder: impl AsRef<Path>,
    device: &B::Device,
    mut observe: impl FnMut(&TrainEvent<'_>) -> ControlFlow<()>,
) -> Result<Outcome> {
    let folder = folder.as_ref();
    config.validate()?;
    // Before a folder is made, so that a mistake leaves none.
    let dataset = Dataset::open(&config.data.path)?;
    config.check_codec(dataset.codec(), dataset.info().semantic)?;
    let _lock = begin::lock(folder)?;
    begin::configuration(folder, config)?;
    let folders = Folders::open(folder.join(CHECKPOINTS))?;
    let newest = folders.newest(|path, message| {
        let _ = observe(&TrainEvent::Damaged { path, message });
    })?;
    let data_sha256 = dataset.sha256().to_owned();
    let (trainer, state) = match &newest {
        None => {
            let trainer = Trainer::<B>::new(config.clone(), dataset, device)?;
            (trainer, State::default())
        }
        Some(checkpoint) => {
            let trainer = Trainer::<B>::resume(config.clone(), dataset, checkpoint, device)?;
            (trainer, checkpoint.state.clone())
        }
    };
    let log = Log::open(folder.join(LOG), state.log_bytes)?;
    let events = match config.log.tensorboard {
        true => Some(Events::create(&folder.join(EVENTS))?),
        false => None,
    };
    let mut run = Run {
        config,
        folders,
        trainer,
        log,
        events,
        seconds: [0.0; 2],
        state: State {
            seed: config.seed,
            data_sha256,
            ..state
        },
        saved: newest,
        observe,
        stop: false,
    };
    run.resumed();
    let checkpoint = run.finish()?;
    if run.stop && run.trainer.steps_done() < config.steps {
        return Ok(Outcome {
            ended: Ended::Stopped,
            model: checkpoint.model(),
            checkpoint,
        });
    }
    let model = folder.join(EXPORT);
    run.trainer.export(&model)?;
    Ok(Outcome {
        ended: Ended::Finished,
        checkpoint,
        model,
    })
}

struct Run<'a, B: AutodiffBackend, F> {
    config: &'a TrainConfig,
    folders: Folders,
    trainer: Trainer<B>,
    log: Log,
    events: Option<Events>,
    /// Of audio, and of the time that it took, since the last line of the log.
    seconds: [f64; 2],
    state: State,
    /// The newest checkpoint.
    saved: Option<Checkpoint>,
    observe: F,
    stop: bool,
}

impl<B: AutodiffBackend, F: FnMut(&TrainEvent<'_>) -> ControlFlow<()>> Run<'_, B, F> {
    fn tell(&mut self, event: &TrainEvent<'_>) {
        self.stop |= (self.observe)(event).is_break();
    }

    fn resumed(&mut self) {
        if let Some(checkpoint) = self.saved.clone() {
            self.tell(&TrainEvent::Resumed(&checkpoint));
        }
    }

    fn finish(&mut self) -> Result<Checkpoint> {
        while !self.stop && self.trainer.steps_done() < self.config.steps {
            self.step()?;
        }
        match self.saved.clone() {
            Some(saved) if saved.state.step == self.trainer.steps_done() => Ok(saved),
            _ => self.save(),
        }
    }

    fn step(&mut self) -> Result<()> {
        let report = self.trainer.step().map_err(|error| match error {
            TrainError::NotFinite {
                step, what, value, ..
            } => TrainError::NotFinite {
                step,
                what,
                value,
                checkpoint: self.saved.as_ref().map(|saved| saved.path.clone()),
            },
            other => other,
        })?;
        let config = self.config;
        let last = report.step == config.steps;
        let is_due = |every: u64| report.step.is_multiple_of(every) || last;
        self.log(&report, is_due(config.log.every))?;
        self.tell(&TrainEvent::Step(&report));
        let is_best = is_due(config.validation.every) && self.validate()?;
        if is_best || is_due(config.checkpoint.every) {
            self.save()?;
        }
        Ok(())
    }

    fn log(&mut self, report: &StepReport, is_due: bool) -> Result<()> {
        let since = &mut self.state.since_line;
        since.steps += 1;
        since.loss += report.loss;
        since.tokens += report.tokens as u64;
        since.frames += report.frames as u64;
        self.seconds[0] += report.audio_seconds;
        self.seconds[1] += report.seconds;
        if !is_due {
            return Ok(());
        }
        let since = std::mem::take(&mut self.state.since_line);
        let SinceLine {
            steps,
            loss,
            tokens,
            frames,
        } = since;
        let loss = loss / steps as f64;
        let [audio, taken] = std::mem::take(&mut self.seconds);
        self.scalars(
            report.step,
            [
                ("train/loss".to_owned(), loss),
                ("train/gradient_norm".to_owned(), report.gradient_norm),
                ("train/learning_rate".to_owned(), report.learning_rate),
                ("speed/audio_seconds_per_second".to_owned(), audio / taken),
            ],
        )?;
        self.log.write(&LogLine::Train {
            step: report.step,
            epoch: report.epoch,
            loss,
            gradient_norm: report.gradient_norm,
            learning_rate: report.learning_rate,
            tokens,
            frames,
        })
    }

    fn scalars(
        &mut self,
        step: u64,
        scalars: impl IntoIterator<Item = (String, f64)>,
    ) -> Result<()> {
        match &mut self.events {
            None => Ok(()),
            Some(events) => events.scalars(step, &scalars.into_iter().collect::<Vec<_>>()),
        }
    }

    /// Scores the model; whether it is the best so far.
    fn validate(&mut self) -> Result<bool> {
        let Some(scores) = self.trainer.validate()? else {
            return Ok(false);
        };
        let is_best = self.state.best.is_none_or(|best| scores.loss < best.loss);
        if is_best {
            self.state.best = Some(Best {
                step: scores.step,
                loss: scores.loss,
            });
        }
        let level = |name: &str, level: usize| format!("validation/level_{level}/{name}");
        let levels = scores.levels.iter().flat_map(|score| {
            [
                (level("loss", score.level), score.loss),
                (level("accuracy", score.level), score.accuracy),
            ]
        });
        let mean = ("validation/loss".to_owned(), scores.loss);
        self.scalars(scores.step, levels.chain([mean]))?;
        self.log.write(&LogLine::Validation(scores.clone()))?;
        self.tell(&TrainEvent::Validated {
            scores: &scores,
            is_best,
        });
        Ok(is_best)
    }

    fn save(&mut self) -> Result<Checkpoint> {
        self.state.step = self.trainer.steps_done();
        self.state.position = self.trainer.position();
        self.state.log_bytes = self.log.flushed()?;
        let trainer = &self.trainer;
        let write = |folder: &Path| trainer.save(folder);
        let checkpoint = self.folders.publish(self.config, &self.state, write)?;
        self.saved = Some(checkpoint.clone());
        let best = self.state.best.map(|best| best.step);
        self.folders.prune(self.config.checkpoint.keep, best)?;
        self.tell(&TrainEvent::Saved(&checkpoint));
        Ok(checkpoint)
    }
}
