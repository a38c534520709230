//! What a configuration amounts to, before anything is computed.

use burn::tensor::backend::Backend;
use serde::Serialize;

use crate::{
    Result, TrainConfig,
    data::{Batches, Dataset, Position, split},
    objective::grid,
    optimizer::{ParameterInfo, parameters},
};

/// Memory that is held from step to step, in bytes. What a step needs besides grows with
/// the rows and frames of a piece of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Weights.
    pub weights: u64,
    /// Gradients, twice while pieces of a batch are added.
    pub gradients: u64,
    /// Both moments.
    pub moments: u64,
    /// The running mean of the weights.
    pub average: u64,
    /// The data set.
    pub data: u64,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.moments + self.average + self.data
    }
}

/// A run in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Numbers in the model.
    pub parameters: u64,
    /// Those of them that decay.
    pub decaying: u64,
    /// Names and shapes of the parameters.
    pub shapes: Vec<(String, Vec<usize>)>,
    /// Memory.
    pub memory: Memory,
    /// Shape of the codes of the largest piece of a batch: rows, levels, frames.
    pub piece: [usize; 3],
    /// Pieces of a batch.
    pub pieces: usize,
    /// Files to train on.
    pub training_files: usize,
    /// Files that are held out.
    pub validation_files: usize,
    /// Files that could not be used.
    pub skipped_files: usize,
    /// Length of all of them, in seconds of audio.
    pub audio_seconds: f64,
    /// Batches of an epoch.
    pub batches: usize,
    /// Epochs of the run.
    pub epochs: f64,
}

impl Plan {
    /// Works out what a run of a configuration on a data set is.
    ///
    /// # Errors
    /// Whatever would keep the run from beginning.
    pub fn new<B: Backend>(
        config: &TrainConfig,
        dataset: &Dataset,
        device: &B::Device,
    ) -> Result<Self> {
        config.validate()?;
        config.check_codec(dataset.codec(), dataset.info().semantic)?;
        let list = parameters(&config.model.init::<B>(device)?);
        let numbers = |infos: &[&ParameterInfo]| -> u64 {
            infos.iter().map(|info| info.numbers() as u64).sum()
        };
        let all: Vec<_> = list.iter().collect();
        let decaying: Vec<_> = list.iter().filter(|info| info.decays).collect();
        let split = split(dataset, &config.validation, config.seed)?;
        let frames = |number: usize| dataset.utterances()[number].entry.frames;
        let files = split.training.iter().map(|&n| (n, frames(n))).collect();
        let (data, start) = (&config.data, Position::default());
        let batches = Batches::new(files, data, config.seed, grid(&config.model), start)?;
        let bytes = 4 * numbers(&all);
        let pieces = u64::try_from(data.micro_batches.min(2)).unwrap_or(2);
        Ok(Self {
            parameters: numbers(&all),
            decaying: numbers(&decaying),
            memory: Memory {
                weights: bytes,
                gradients: pieces * bytes,
                moments: 2 * bytes,
                average: match config.optimizer.ema_decay > 0.0 {
                    true => bytes,
                    false => 0,
                },
                data: 2 * (dataset.frames() * dataset.codec().levels) as u64,
            },
            shapes: list
                .iter()
                .map(|i| (i.name.clone(), i.shape.clone()))
                .collect(),
            piece: [
                data.batch / data.micro_batches,
                config.model.levels(),
                data.max_frames,
            ],
            pieces: data.micro_batches,
            training_files: split.training.len(),
            validation_files: split.validation.len(),
            skipped_files: dataset.skipped().len(),
            audio_seconds: dataset.codec().seconds(dataset.frames()),
            batches: batches.per_epoch(),
            epochs: config.steps as f64 / batches.per_epoch() as f64,
        })
    }
}
