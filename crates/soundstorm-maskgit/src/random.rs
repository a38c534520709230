//! Random numbers by counter: a function of (row seed, level, step, frame) and of nothing else.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The odd constant of SplitMix64, 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014), a bijection of 64 bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The seed of a row from the seed of its job and its index in the job.
///
/// Rows of one job never share a seed, and neighbouring jobs do not share rows.
pub fn row_seed(job_seed: u64, row: usize) -> u64 {
    let start = mix(job_seed.wrapping_add(GOLDEN));
    mix(start.wrapping_add((row as u64).wrapping_add(1).wrapping_mul(GOLDEN)))
}

/// The random numbers of one row at one step of one level.
#[derive(Debug, Clone, PartialEq)]
pub struct StepNoise {
    /// One uniform on `[0, 1)` a frame, a multiple of 2^-24: chooses the code.
    pub uniforms: Vec<f32>,
    /// One standard Gumbel a frame: noise on the confidence.
    pub gumbels: Vec<f32>,
}

/// Draws the noise of the first `frames` frames; more frames only append to it.
///
/// The stream is ChaCha8 keyed by the row's seed, its 64-bit stream number `level << 32 | step`,
/// two 32-bit words a frame: the uniform's, then the Gumbel's.
pub fn step_noise(seed: u64, level: usize, step: usize, frames: usize) -> StepNoise {
    let mut key = [0; 32];
    for (i, bytes) in key.chunks_exact_mut(8).enumerate() {
        let word = mix(seed.wrapping_add((i as u64 + 1).wrapping_mul(GOLDEN)));
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream((level as u64) << 32 | step as u64);
    let mut noise = StepNoise {
        uniforms: Vec::with_capacity(frames),
        gumbels: Vec::with_capacity(frames),
    };
    for _ in 0..frames {
        noise.uniforms.push(uniform(rng.next_u32()));
        noise.gumbels.push(gumbel(rng.next_u32()));
    }
    noise
}

/// 24 bits, so that the number is exact in f32 and below 1.
fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 / (1 << 24) as f32
}

/// The half keeps the argument of both logarithms inside (0, 1).
fn gumbel(word: u32) -> f32 {
    let open = (f64::from(word) + 0.5) / 2f64.powi(32);
    -(-open.ln()).ln() as f32
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_longer_row_starts_like_a_shorter_one() {
        let long = step_noise(5, 1, 2, 101);
        let short = step_noise(5, 1, 2, 37);
        assert_eq!(long.uniforms[..37], short.uniforms);
        assert_eq!(long.gumbels[..37], short.gumbels);
    }

    #[test]
    fn seed_level_and_step_each_change_everything() {
        let mut seen = HashSet::new();
        for seed in 0..3 {
            for level in 0..5 {
                for step in 0..7 {
                    let noise = step_noise(seed, level, step, 2);
                    let bits: Vec<_> = noise.uniforms.iter().map(|u| u.to_bits()).collect();
                    assert!(seen.insert(bits), "{seed} {level} {step}");
                }
            }
        }
    }

    #[test]
    fn row_seeds_differ_between_rows_and_jobs() {
        let seeds: HashSet<_> = (0..101)
            .flat_map(|job| (0..103).map(move |row| row_seed(job, row)))
            .collect();
        assert_eq!(seeds.len(), 101 * 103);
    }

    #[test]
    fn extremes_are_finite_and_in_range() {
        assert_eq!(uniform(0), 0.0);
        assert_eq!(uniform(u32::MAX), 1.0 - 2f32.powi(-24));
        assert!(gumbel(0).is_finite() && gumbel(u32::MAX).is_finite());
        assert!(gumbel(0) < gumbel(u32::MAX));
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let n = 100_003;
        let noise = step_noise(11, 0, 1, n);
        let mean = |x: &[f32]| x.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
        // Standard errors are 0.0009 and 0.004; the Gumbel's mean is Euler's constant.
        assert!((mean(&noise.uniforms) - 0.5).abs() < 0.004);
        assert!((mean(&noise.gumbels) - 0.577_215_7).abs() < 0.016);
    }
}
