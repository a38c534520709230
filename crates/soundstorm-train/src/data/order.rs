//! Batches of windows: which frames of which files, in an order that the seed and the epoch
//! decide, so that a position is two numbers.

use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use soundstorm::maskgit::row_seed;

use crate::{Result, TrainError, config::DataConfig};

/// The stream of a seed that orders are drawn from.
const ORDER: usize = 0;

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The file's number in the data set.
    pub utterance: usize,
    /// Its first frame.
    pub start: usize,
    /// Its length in frames.
    pub frames: usize,
}

/// How far a run has come in its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The epoch, from 0.
    pub epoch: u64,
    /// Batches of it that were taken.
    pub batch: usize,
}

/// Batches without end.
///
/// In an epoch a file is drawn from once for each full or partial `max_frames` of it. Windows are
/// shuffled, those that do not fill a batch are left out, and within every `bucket_batches` batches
/// those of like length come together.
#[derive(Clone, Debug)]
pub struct Batches {
    files: Vec<(usize, usize)>,
    config: DataConfig,
    seed: u64,
    /// Windows start at multiples of so many frames.
    grid: usize,
    position: Position,
    epoch: Vec<Vec<Window>>,
}

impl Batches {
    /// Batches of files, each its number and its frames, from a position on.
    ///
    /// # Errors
    /// [`TrainError::BatchTooLarge`] where an epoch has not one batch.
    pub fn new(
        files: Vec<(usize, usize)>,
        config: &DataConfig,
        seed: u64,
        grid: usize,
        position: Position,
    ) -> Result<Self> {
        let mut batches = Self {
            files,
            config: config.clone(),
            seed: row_seed(seed, ORDER),
            grid: grid.max(1),
            position,
            epoch: Vec::new(),
        };
        if batches.windows() < config.batch {
            return Err(TrainError::BatchTooLarge {
                batch: config.batch,
                windows: batches.windows(),
                files: batches.files.len(),
            });
        }
        batches.epoch = batches.draw();
        Ok(batches)
    }

    /// Windows of an epoch, with those that do not fill a batch.
    pub fn windows(&self) -> usize {
        let counts = self.files.iter().map(|&(_, frames)| self.count(frames));
        counts.sum()
    }

    /// Batches of an epoch.
    pub fn per_epoch(&self) -> usize {
        self.windows() / self.config.batch
    }

    /// Where the next batch is.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next batch.
    pub fn next_batch(&mut self) -> Vec<Window> {
        if self.position.batch >= self.epoch.len() {
            self.position = Position {
                epoch: self.position.epoch + 1,
                batch: 0,
            };
            self.epoch = self.draw();
        }
        let batch = self.epoch[self.position.batch].clone();
        self.position.batch += 1;
        batch
    }

    fn count(&self, frames: usize) -> usize {
        frames.div_ceil(self.config.max_frames)
    }

    fn draw(&self) -> Vec<Vec<Window>> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(self.position.epoch);
        let mut windows = Vec::with_capacity(self.windows());
        for &(utterance, frames) in &self.files {
            for _ in 0..self.count(frames) {
                let longest = self.config.max_frames.min(frames);
                let shortest = self.config.min_frames.min(longest);
                let length = rng.random_range(shortest..=longest);
                let start = rng.random_range(0..=frames - length);
                windows.push(Window {
                    utterance,
                    start: start - start % self.grid,
                    frames: length,
                });
            }
        }
        windows.shuffle(&mut rng);
        let batch = self.config.batch;
        windows.truncate(windows.len() / batch * batch);
        let mut batches = Vec::with_capacity(windows.len() / batch);
        for pool in windows.chunks_mut(batch * self.config.bucket_batches) {
            pool.sort_by_key(|window| window.frames);
            batches.extend(pool.chunks(batch).map(<[Window]>::to_vec));
        }
        batches.shuffle(&mut rng);
        batches
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config() -> DataConfig {
        DataConfig {
            max_frames: 23,
            min_frames: 5,
            batch: 3,
            bucket_batches: 4,
            ..DataConfig::new("unused")
        }
    }

    /// 2 windows of 31 frames, 1 of 3, 1 of 23, 5 of 97, and 8 of 13.
    fn files() -> Vec<(usize, usize)> {
        let mut files = vec![(11, 31), (7, 3), (2, 23), (5, 97)];
        files.extend((20..28).map(|number| (number, 13)));
        files
    }

    fn batches(seed: u64, grid: usize, position: Position) -> Batches {
        Batches::new(files(), &config(), seed, grid, position).unwrap()
    }

    #[test]
    fn an_epoch_draws_from_every_file_by_its_length() {
        let mut all = batches(7, 1, Position::default());
        assert_eq!((all.windows(), all.per_epoch()), (17, 5));
        let lengths: std::collections::BTreeMap<_, _> = files().into_iter().collect();
        let mut left_out = std::collections::BTreeSet::new();
        let mut long = Vec::new();
        for epoch in 0..400 {
            let mut seen = std::collections::BTreeMap::new();
            for _ in 0..5 {
                let batch = all.next_batch();
                assert_eq!(all.position().epoch, epoch);
                assert_eq!(batch.len(), 3);
                for window in batch {
                    let frames = lengths[&window.utterance];
                    assert!(window.start + window.frames <= frames);
                    assert!(window.frames >= 5.min(frames) && window.frames <= 23);
                    *seen.entry(window.utterance).or_insert(0) += 1;
                    if window.utterance == 5 {
                        long.push(window);
                    }
                }
            }
            assert_eq!(seen.values().sum::<usize>(), 15);
            assert!(
                seen.iter()
                    .all(|(file, n)| *n <= lengths[file].div_ceil(23))
            );
            left_out.extend(
                lengths
                    .keys()
                    .filter(|file| !seen.contains_key(file))
                    .copied(),
            );
        }
        assert!(left_out.len() > 3, "another file each time: {left_out:?}");
        // Every start and length that there can be comes up at the ends.
        assert!(long.iter().any(|w| w.start == 0) && long.iter().any(|w| w.start + w.frames == 97));
        assert!(long.iter().any(|w| w.frames == 5) && long.iter().any(|w| w.frames == 23));
    }

    #[test]
    fn a_position_is_where_it_was_left() {
        let mut whole = batches(7, 1, Position::default());
        let mut after = Vec::new();
        for _ in 0..13 {
            after.push((whole.next_batch(), whole.position()));
        }
        for at in 0..13 {
            let mut resumed = batches(7, 1, after[at].1);
            for (batch, position) in &after[at + 1..] {
                assert_eq!(&resumed.next_batch(), batch);
                assert_eq!(resumed.position(), *position);
            }
        }
        assert_ne!(batches(8, 1, Position::default()).next_batch(), after[0].0);
        assert_ne!(after[0].0, after[5].0, "an epoch is not the one before");
    }

    #[test]
    fn like_lengths_come_together_and_starts_lie_on_the_grid() {
        let config = DataConfig {
            bucket_batches: 100,
            ..config()
        };
        let mut sorted = Batches::new(files(), &config, 3, 4, Position::default()).unwrap();
        let mut spans: Vec<_> = (0..5)
            .map(|_| {
                let batch = sorted.next_batch();
                assert!(batch.iter().all(|window| window.start % 4 == 0));
                (batch[0].frames, batch[2].frames)
            })
            .collect();
        let drawn = spans.clone();
        spans.sort_unstable();
        assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        assert_ne!(drawn, spans, "batches come in any order");
    }

    #[test]
    fn a_batch_larger_than_the_set_is_refused() {
        let config = DataConfig {
            batch: 18,
            ..config()
        };
        let error = Batches::new(files(), &config, 7, 1, Position::default()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("18") && text.contains("17 windows of 12 files"),
            "{text}"
        );
    }
}
