//! Scores on what is held out, level by level: one window from the beginning of each file.

use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};
use soundstorm::{LevelScore, SoundStorm};

use crate::{
    Result, TrainConfig,
    data::{Dataset, Window},
    objective::batch,
};

/// Scores of a model on held-out files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// The step that the model had reached.
    pub step: u64,
    /// Mean over the levels of the cross-entropy, in nats.
    pub loss: f64,
    /// Each level with that level and all finer ones masked.
    pub levels: Vec<LevelScore>,
}

/// One window of each file, of as many as are scored, spread over all; the shortest first.
pub(crate) fn windows(
    files: &[usize],
    frames: impl Fn(usize) -> usize,
    config: &TrainConfig,
) -> Vec<Window> {
    let count = config.validation.files.min(files.len());
    let chosen = (0..count).map(|i| files[i * files.len() / count]);
    let mut windows: Vec<Window> = chosen
        .map(|utterance| Window {
            utterance,
            start: 0,
            frames: frames(utterance).min(config.data.max_frames),
        })
        .collect();
    windows.sort_by_key(|window| window.frames);
    windows
}

pub(crate) fn score<B: Backend>(
    model: &SoundStorm<B>,
    windows: &[Window],
    dataset: &Dataset,
    config: &TrainConfig,
    step: u64,
    device: &B::Device,
) -> Result<Validation> {
    let rows = config.data.batch / config.data.micro_batches;
    let mut levels: Vec<LevelScore> = Vec::new();
    let mut all = 0.0;
    for windows in windows.chunks(rows.max(1)) {
        let batch = batch::<B>(windows, &config.model, dataset, device);
        let lengths = batch.lengths.as_deref();
        let scores = model.evaluate(batch.codes, lengths, batch.semantic.as_deref(), |_| ())?;
        let frames = windows.iter().map(|window| window.frames).sum::<usize>() as f64;
        if levels.is_empty() {
            let zero = |score: &LevelScore| LevelScore {
                level: score.level,
                loss: 0.0,
                accuracy: 0.0,
            };
            levels = scores.iter().map(zero).collect();
        }
        for (sum, score) in levels.iter_mut().zip(scores) {
            sum.loss += score.loss * frames;
            sum.accuracy += score.accuracy * frames;
        }
        all += frames;
    }
    for level in &mut levels {
        level.loss /= all;
        level.accuracy /= all;
    }
    let loss = levels.iter().map(|level| level.loss).sum::<f64>() / levels.len().max(1) as f64;
    Ok(Validation { step, loss, levels })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_files_that_are_scored_are_spread_over_all() {
        let text = "steps = 9\n[data]\npath = \"x\"\nmax_frames = 53\n[schedule]\nwarmup = 1\n\
            [model]\npreset = \"small\"\n[validation]\nfiles = 3\n";
        let config = TrainConfig::parse(text, &[]).unwrap();
        let files: Vec<usize> = (10..17).collect();
        let of = |files: &[usize]| {
            let windows = windows(files, |number| 100 - 4 * number, &config);
            windows
                .iter()
                .map(|w| (w.utterance, w.start, w.frames))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&files), [(14, 0, 44), (12, 0, 52), (10, 0, 53)]);
        assert_eq!(of(&files[..1]), [(10, 0, 53)]);
        assert!(of(&[]).is_empty());
    }
}
