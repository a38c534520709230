//! The picture of a generation: at which pass each frame was filled, and how sure the model was.

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::backend::Backend;
use soundstorm::maskgit::Pass;
use soundstorm_audio::picture::{HeatMap, PictureSize, write_heat_maps};

use crate::audio_io;

/// Height of one level in a picture, and the least of a map, in pixels.
const LEVEL_HEIGHT: u32 = 24;
const LEAST_HEIGHT: u32 = 240;
const WIDTH: u32 = 1000;

/// When a frame was filled, and with what probability; given ones at 0, with certainty.
#[derive(Clone, Copy)]
struct Filled {
    pass: usize,
    probability: f32,
}

const GIVEN: Filled = Filled {
    pass: 0,
    probability: 1.0,
};

/// What is noted of each pass.
#[derive(Default)]
pub(crate) struct Trace {
    /// `[rows][levels][frames]`.
    filled: Vec<Vec<Vec<Filled>>>,
    passes: usize,
}

impl Trace {
    /// Starts anew where a generation does, so that of several candidates the last is kept.
    pub(crate) fn take<B: Backend>(&mut self, pass: &Pass<'_, B>) {
        let info = pass.info();
        let [batch, levels, frames] = pass.tokens().dims();
        if info.passes_done == 1 {
            self.filled = vec![vec![vec![GIVEN; frames]; levels]; batch];
        }
        self.passes = info.passes_done;
        let kept = pass.kept().into_data();
        let probabilities = pass.log_probability().exp().into_data();
        let both = kept.iter::<bool>().zip(probabilities.iter::<f32>());
        for (index, (kept, probability)) in both.enumerate() {
            if kept {
                self.filled[index / frames][info.level][index % frames] = Filled {
                    pass: info.passes_done,
                    probability,
                };
            }
        }
    }

    /// Draws each row, of so many frames.
    pub(crate) fn write(&self, path: &Path, lengths: &[usize], frame_rate: f64) -> Result<()> {
        for (row, (filled, &frames)) in self.filled.iter().zip(lengths).enumerate() {
            let map = |value: &dyn Fn(Filled) -> f32| HeatMap {
                seconds: frames as f64 / frame_rate,
                rows: (1..=filled.len()).map(|level| level.to_string()).collect(),
                columns: (0..frames)
                    .map(|frame| filled.iter().map(|level| value(level[frame])).collect())
                    .collect(),
            };
            let passes = self.passes.max(1) as f32;
            let maps = [
                map(&|filled| filled.pass as f32 / passes),
                map(&|filled| filled.probability),
            ];
            let size = PictureSize {
                width: WIDTH,
                height: LEAST_HEIGHT.max(LEVEL_HEIGHT * filled.len() as u32),
            };
            let path = audio_io::row_path(path, row, lengths.len());
            write_heat_maps(&path, &maps, size).context("picture of the generation")?;
        }
        Ok(())
    }
}
