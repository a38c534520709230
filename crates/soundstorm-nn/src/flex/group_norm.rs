//! The norm over all channels and frames of a row.

use burn::tensor::{Tensor, backend::Backend};
use rayon::prelude::*;

use super::{Floats, Kernel, SUMMING_TASK, vector::sum, vectorized_by_rows};

/// - `x`, output: `[batch, channels, frames]`, in place
/// - `gamma`, `beta`: `[channels]`
pub(crate) fn group_norm<B: Backend>(
    x: Tensor<B, 3>,
    gamma: &Tensor<B, 1>,
    beta: &Tensor<B, 1>,
    epsilon: f64,
) -> Result<Tensor<B, 3>, Tensor<B, 3>> {
    let [_, channels, frames] = x.dims();
    let (Some(gamma), Some(beta)) = (Floats::read(gamma), Floats::read(beta)) else {
        return Err(x);
    };
    let mut x = Floats::take(x)?;
    if channels * frames > 0 {
        let epsilon = epsilon as f32;
        for row in x.numbers_mut().chunks_exact_mut(channels * frames) {
            norm_row(row, frames, gamma.numbers(), beta.numbers(), epsilon);
        }
    }
    Ok(x.give())
}

fn norm_row(row: &mut [f32], frames: usize, gamma: &[f32], beta: &[f32], epsilon: f32) {
    let mean = mean(row, Moment::First);
    let variance = self::mean(row, Moment::Second { mean });
    let kernel = Scaled {
        mean,
        gain: (variance + epsilon).sqrt().recip(),
        gamma,
        beta,
        frames,
    };
    vectorized_by_rows(frames, row, frames, kernel);
}

#[derive(Clone, Copy)]
enum Moment {
    First,
    /// About the mean.
    Second {
        mean: f32,
    },
}

/// The mean of a moment: pieces are summed on all threads, their sums in double precision.
fn mean(numbers: &[f32], moment: Moment) -> f32 {
    let arch = pulp::Arch::new();
    let pieces = numbers.par_chunks(SUMMING_TASK);
    let sums: Vec<f32> = pieces
        .map(|numbers| arch.dispatch(Sum { numbers, moment }))
        .collect();
    let sum: f64 = sums.into_iter().map(f64::from).sum();
    (sum / numbers.len() as f64) as f32
}

struct Sum<'a> {
    numbers: &'a [f32],
    moment: Moment,
}

impl pulp::NullaryFnOnce for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn call(self) -> f32 {
        match self.moment {
            Moment::First => sum(self.numbers, |x| x),
            Moment::Second { mean } => sum(self.numbers, |x| (x - mean) * (x - mean)),
        }
    }
}

struct Scaled<'a> {
    mean: f32,
    gain: f32,
    gamma: &'a [f32],
    beta: &'a [f32],
    frames: usize,
}

impl Kernel for Scaled<'_> {
    #[inline(always)]
    fn run(&self, first: usize, rows: &mut [f32]) {
        for (row, x) in rows.chunks_exact_mut(self.frames).enumerate() {
            let (gamma, beta) = (self.gamma[first + row], self.beta[first + row]);
            for x in x {
                *x = (*x - self.mean) * self.gain * gamma + beta;
            }
        }
    }
}
