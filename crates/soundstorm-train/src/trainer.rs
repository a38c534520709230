//! The trainer: a model, its optimiser and its place in the data; a step at a time.
//!
//! The gradient of a batch is that of the mean cross-entropy over all of its masked tokens,
//! whatever number of pieces it is computed in: each piece's mean counts by its share of the
//! tokens, and the pieces' gradients are added in their order.

use std::{path::Path, time::Instant};

use burn::{
    module::{AutodiffModule, Module, ModuleMapper, Param},
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};
use serde::Serialize;
use soundstorm::{SoundStorm, SoundStormConfig, maskgit::row_seed};
use soundstorm_hub::{
    Folder, ModelFolder, SafetensorsSource, config_path, load_module, save_module, weights_path,
    write_json,
};

use crate::{
    Checkpoint, Result, TrainConfig, TrainError, Validation,
    checkpoint::{AVERAGE, MODEL, OPTIMIZER},
    data::{Batches, Dataset, Position, Window, split},
    objective::{MicroBatch, grid},
    optimizer::{Gradients, Optimizer, Step, parameters, with_averages, with_updates},
    validate,
};

/// The stream of a seed that dropout is drawn from.
const DROPOUT: usize = 2;

/// What a step did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepReport {
    /// The step, counted from 1.
    pub step: u64,
    /// The epoch that its batch is of, from 0.
    pub epoch: u64,
    /// Mean cross-entropy of the masked tokens, in nats.
    pub loss: f64,
    /// Norm of the gradient of all parameters, before it is clipped.
    pub gradient_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Masked tokens that the loss is a mean over.
    pub tokens: usize,
    /// Frames of all rows, without padding.
    pub frames: usize,
    /// Length of the rows, in seconds of audio.
    pub audio_seconds: f64,
    /// Time that the step took, in seconds.
    pub seconds: f64,
}

/// A run in memory.
#[derive(Debug)]
pub struct Trainer<B: AutodiffBackend> {
    config: TrainConfig,
    dataset: Dataset,
    validation: Vec<Window>,
    batches: Batches,
    /// Absent only while a step is taken.
    model: Option<SoundStorm<B>>,
    optimizer: Optimizer<B::InnerBackend>,
    step: u64,
    device: B::Device,
}

impl<B: AutodiffBackend> Trainer<B> {
    /// A run before its first step.
    ///
    /// # Errors
    /// The configuration contradicts the data set, or the folder that it begins from; or there is
    /// too little data.
    pub fn new(config: TrainConfig, dataset: Dataset, device: &B::Device) -> Result<Self> {
        let mut trainer = Self::at(config, dataset, 0, Position::default(), device)?;
        let model = trainer.uninitialised()?;
        let model = match &trainer.config.init {
            Some(folder) => {
                Folder::read_model(folder)?;
                load_module(model, &SafetensorsSource::open(weights_path(folder))?)?
            }
            None => {
                B::seed(device, trainer.config.seed);
                // Parameters are drawn when they are first seen: now, in their order.
                model.map(&mut Draw)
            }
        };
        trainer.model = Some(model);
        Ok(trainer)
    }

    /// A run where a checkpoint was made.
    ///
    /// # Errors
    /// As [`Self::new`], and a checkpoint of another model or data set.
    pub fn resume(
        config: TrainConfig,
        dataset: Dataset,
        checkpoint: &Checkpoint,
        device: &B::Device,
    ) -> Result<Self> {
        let state = &checkpoint.state;
        if state.data_sha256 != dataset.sha256() {
            return Err(TrainError::Dataset {
                path: dataset.path().to_path_buf(),
                message: format!(
                    "it is not what {} was trained on",
                    checkpoint.path.display()
                ),
            });
        }
        let mut trainer = Self::at(config, dataset, state.step, state.position, device)?;
        let path = |name: &str| checkpoint.path.join(name);
        let source = SafetensorsSource::open(weights_path(path(MODEL)))?;
        trainer.model = Some(load_module(trainer.uninitialised()?, &source)?);
        trainer.optimizer.load(&path(OPTIMIZER), device)?;
        if trainer.keeps_average() {
            let weights = weights_path(path(AVERAGE));
            trainer.optimizer.load_averages(&weights, device)?;
        }
        Ok(trainer)
    }

    fn at(
        config: TrainConfig,
        dataset: Dataset,
        step: u64,
        position: Position,
        device: &B::Device,
    ) -> Result<Self> {
        config.validate()?;
        config.check_codec(dataset.codec(), dataset.info().semantic)?;
        let split = split(&dataset, &config.validation, config.seed)?;
        let frames = |number: usize| dataset.utterances()[number].entry.frames;
        let files = split.training.iter().map(|&n| (n, frames(n))).collect();
        let batches = Batches::new(
            files,
            &config.data,
            config.seed,
            grid(&config.model),
            position,
        )?;
        let validation = validate::windows(&split.validation, frames, &config);
        let mut trainer = Self {
            config,
            dataset,
            validation,
            batches,
            model: None,
            optimizer: Optimizer { slots: Vec::new() },
            step,
            device: device.clone(),
        };
        let parameters = parameters(&trainer.uninitialised()?);
        trainer.optimizer = Optimizer::new(parameters);
        Ok(trainer)
    }

    fn uninitialised(&self) -> Result<SoundStorm<B>> {
        Ok(self.config.model.init::<B>(&self.device)?)
    }

    fn keeps_average(&self) -> bool {
        self.config.optimizer.ema_decay > 0.0
    }

    /// Steps that are done.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// The place in the data.
    pub fn position(&self) -> Position {
        self.batches.position()
    }

    /// The batches that it takes from.
    pub fn batches(&self) -> &Batches {
        &self.batches
    }

    /// The data set.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The model.
    ///
    /// # Panics
    /// Never, unless a step panicked before.
    pub fn model(&self) -> &SoundStorm<B> {
        self.model.as_ref().expect("a step puts it back")
    }

    /// The model to generate with: of the running mean of the weights where one is kept.
    pub fn averaged(&self) -> SoundStorm<B::InnerBackend> {
        with_averages(self.model().valid(), &self.optimizer)
    }

    /// Takes a step.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`], and then nothing has changed but the place in the data; what the
    /// model refuses.
    pub fn step(&mut self) -> Result<StepReport> {
        let started = Instant::now();
        let step = self.step + 1;
        let windows = self.batches.next_batch();
        let epoch = self.batches.position().epoch;
        let pieces = MicroBatch::cut(
            &windows,
            self.config.data.micro_batches,
            self.config.model.levels(),
            self.config.seed,
            step,
        )?;
        let tokens: usize = pieces.iter().map(|piece| piece.counted).sum();
        let mut gradients = Gradients::new();
        let mut losses = Vec::with_capacity(pieces.len());
        for (number, piece) in pieces.iter().enumerate() {
            if has_dropout(&self.config.model) {
                let seed = row_seed(row_seed(self.config.seed, DROPOUT), step as usize);
                B::seed(&self.device, row_seed(seed, number));
            }
            let config = &self.config.model;
            let loss = piece.loss(self.model(), config, &self.dataset, &self.device)?;
            let share = loss * (piece.counted as f64 / tokens as f64);
            gradients.add(self.model(), &share);
            losses.push(share.inner());
        }
        let losses = Tensor::cat(losses, 0).into_data();
        let loss: f64 = losses.iter::<f64>().sum();
        let gradient_norm = gradients.norm();
        for (what, value) in [("loss", loss), ("norm of the gradient", gradient_norm)] {
            if !value.is_finite() {
                return Err(TrainError::NotFinite {
                    step,
                    what,
                    value,
                    checkpoint: None,
                });
            }
        }

        let config = &self.config;
        let factor = config.schedule.factor(step, config.steps);
        let learning_rate = config.optimizer.learning_rate * factor;
        let scale = match config.optimizer.clip {
            0.0 => 1.0,
            // PyTorch's clip_grad_norm_ adds as much.
            clip => (clip / (gradient_norm + 1e-6)).min(1.0),
        };
        let update = Step {
            config: &config.optimizer,
            learning_rate,
            number: step,
            scale,
        };
        if let Some(model) = self.model.take() {
            self.model = Some(with_updates(model, &mut self.optimizer, gradients, update));
        }
        self.step = step;
        let frames: usize = windows.iter().map(|window| window.frames).sum();
        Ok(StepReport {
            step,
            epoch,
            loss,
            gradient_norm,
            learning_rate,
            tokens,
            frames,
            audio_seconds: self.dataset.codec().seconds(frames),
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Scores the model that would be generated with on what is held out; `None` if nothing is.
    ///
    /// # Errors
    /// What the model refuses.
    pub fn validate(&self) -> Result<Option<Validation>> {
        if self.validation.is_empty() {
            return Ok(None);
        }
        let model = self.averaged();
        let (windows, dataset) = (&self.validation, &self.dataset);
        validate::score(
            &model,
            windows,
            dataset,
            &self.config,
            self.step,
            &self.device,
        )
        .map(Some)
    }

    /// Writes weights, running mean and moments into a folder.
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let config = &self.config.model;
        write_model(self.model(), config, &folder.join(MODEL), self.step)?;
        if self.keeps_average() {
            write_model(&self.averaged(), config, &folder.join(AVERAGE), self.step)?;
        }
        self.optimizer.save(&folder.join(OPTIMIZER))?;
        Ok(())
    }

    /// Writes the model to generate with as a model folder.
    pub(crate) fn export(&self, folder: &Path) -> Result<()> {
        let part = soundstorm_hub::AtomicFolder::create(folder, true)?;
        write_weights(&self.averaged(), &self.config.model, part.path(), self.step)?;
        Ok(part.commit()?)
    }
}

fn has_dropout(config: &SoundStormConfig) -> bool {
    let conformer = &config.conformer;
    [
        conformer.attn_dropout,
        conformer.ff_dropout,
        conformer.conv_dropout,
    ]
    .iter()
    .any(|&dropout| dropout > 0.0)
}

fn write_model<B: Backend>(
    model: &SoundStorm<B>,
    config: &SoundStormConfig,
    folder: &Path,
    step: u64,
) -> Result<()> {
    std::fs::create_dir(folder).map_err(TrainError::io("create", folder))?;
    write_weights(model, config, folder, step)
}

fn write_weights<B: Backend>(
    model: &SoundStorm<B>,
    config: &SoundStormConfig,
    folder: &Path,
    step: u64,
) -> Result<()> {
    let metadata = [
        ("format", "soundstorm".to_owned()),
        ("step", step.to_string()),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value)).into();
    save_module(model, weights_path(folder), &metadata)?;
    Ok(write_json(
        config_path(folder),
        &ModelFolder::new(config.clone()),
    )?)
}

/// Draws every parameter.
struct Draw;

impl<B: Backend> ModuleMapper<B> for Draw {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|value| value)
    }
}
