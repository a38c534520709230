//! The chunks that EnCodec cuts long audio into (Défossez et al. 2022, section 3.1: one second, 1 % of it shared).

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Chunks of `length` samples, each starting `stride` samples after the one before it.
///
/// A chunk starts at every multiple of the stride that lies within the audio,
/// so the last one is shorter, and may lie within the one before it.
///
/// A [valid](super::EncodecConfig::validate) stride is at least 1 and at most the length; the
/// methods panic at a stride or a hop of 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunking {
    /// Samples of a chunk.
    pub length: usize,
    /// Samples from one chunk's start to the next one's.
    pub stride: usize,
}

impl Chunking {
    /// Where the chunks of `samples` samples lie.
    pub fn ranges(self, samples: usize) -> impl Iterator<Item = Range<usize>> {
        self.ranges_from(0, samples)
    }

    /// The frames of each chunk of `samples` samples, the last one of each partial.
    pub fn frames(self, samples: usize, hop: usize) -> Vec<usize> {
        let chunks = self.ranges(samples);
        chunks.map(|chunk| chunk.len().div_ceil(hop)).collect()
    }

    /// The frames of all chunks of `samples` samples together.
    pub fn total_frames(self, samples: usize, hop: usize) -> usize {
        // Counting the full chunks leaves as many as overlap at one sample.
        let full = match samples.checked_sub(self.length) {
            Some(rest) => rest / self.stride + 1,
            None => 0,
        };
        let others = self.ranges_from(full, samples);
        let others: usize = others.map(|chunk| chunk.len().div_ceil(hop)).sum();
        full * self.length.div_ceil(hop) + others
    }

    /// The frames of each chunk, of all of them together; `None` if no audio has so many.
    ///
    /// There is one answer at most. One sample more never makes a chunk shorter,
    /// and a chunk more makes frames more; so two lengths of audio with equal
    /// totals have equally many chunks, and each of them equally many frames.
    pub fn split_frames(self, total: usize, hop: usize) -> Option<Vec<usize>> {
        // The shortest audio with so many frames, or more.
        let (mut short, mut enough) = (0, total.checked_mul(hop)?);
        while short + 1 < enough {
            let middle = short + (enough - short) / 2;
            if self.total_frames(middle, hop) < total {
                short = middle;
            } else {
                enough = middle;
            }
        }
        let found = total > 0 && self.total_frames(enough, hop) == total;
        found.then(|| self.frames(enough, hop))
    }

    fn ranges_from(self, first: usize, samples: usize) -> impl Iterator<Item = Range<usize>> {
        (first * self.stride..samples)
            .step_by(self.stride)
            .map(move |start| start..samples.min(start + self.length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: Chunking = Chunking {
        length: 48_000,
        stride: 47_520,
    };

    #[test]
    fn a_chunk_starts_at_every_stride() {
        let chunks: Vec<_> = PUBLISHED.ranges(100_000).collect();
        assert_eq!(chunks, [0..48_000, 47_520..95_520, 95_040..100_000]);
        assert_eq!(PUBLISHED.frames(100_000, 320), [150, 150, 16]);
        // One second to the sample has a second chunk, of what the first one shares with it.
        assert_eq!(PUBLISHED.frames(48_000, 320), [150, 2]);
        assert_eq!(PUBLISHED.frames(47_520, 320), [149]);
        assert_eq!(PUBLISHED.frames(47_521, 320), [149, 1]);
        assert_eq!(PUBLISHED.frames(47_681, 320), [150, 1]);
    }

    #[test]
    fn totals_tell_the_frames_of_each_chunk() {
        // Without overlap, with little, with more than two chunks on a sample, shorter than a frame.
        for (length, stride, hop) in [(12, 12, 5), (23, 19, 3), (31, 7, 4), (29, 2, 3), (5, 3, 7)] {
            let chunking = Chunking { length, stride };
            let mut reached = vec![false; 100];
            for samples in 1..800 {
                let frames = chunking.frames(samples, hop);
                let total = frames.iter().sum();
                assert_eq!(chunking.total_frames(samples, hop), total);
                assert_eq!(chunking.split_frames(total, hop), Some(frames));
                if let Some(reached) = reached.get_mut(total) {
                    *reached = true;
                }
            }
            for (total, reached) in reached.into_iter().enumerate() {
                assert_eq!(
                    chunking.split_frames(total, hop).is_some(),
                    reached,
                    "{total}"
                );
            }
        }
    }

    #[test]
    fn the_published_chunks_can_have_any_number_of_frames() {
        for total in 1..1000 {
            let frames = PUBLISHED.split_frames(total, 320).unwrap_or_default();
            assert_eq!(frames.iter().sum::<usize>(), total);
        }
        assert_eq!(PUBLISHED.split_frames(0, 320), None);
        assert_eq!(PUBLISHED.split_frames(usize::MAX, 320), None);
    }
}
