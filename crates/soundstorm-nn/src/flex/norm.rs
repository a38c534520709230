//! Norms over the channels of a frame: the layer norm, and the channel norm of the convolution
//! module.

use burn::tensor::{Tensor, backend::Backend};

use super::{
    Floats, Function, Kernel, SummingKernel, applies, apply, by_rows_and_sums, input, input_if,
    vector::{dot, sum},
    vectorized_by_rows,
};
use crate::norm::Epsilon;

/// `(x - mean) / sqrt(variance) * gamma + beta` of every row, in place.
///
/// - `x`, output: `[..., channels]`
/// - `gamma`, `beta`: `[channels]`
pub(crate) fn norm<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    gamma: &Tensor<B, 1>,
    beta: Option<&Tensor<B, 1>>,
    epsilon: Epsilon,
) -> Result<Tensor<B, D>, Tensor<B, D>> {
    let beta_dtype = beta.map_or(x.dtype(), Tensor::dtype);
    if !applies::<B>(&[x.dtype(), gamma.dtype(), beta_dtype]) {
        return Err(x);
    }
    let beta = input_if(beta, &x);
    Ok(apply(Norm(epsilon), [input(x), input(gamma.clone()), beta]))
}

#[derive(Clone, Debug)]
struct Norm(Epsilon);

impl Function<3> for Norm {
    const READS: [bool; 3] = [true, true, false];

    fn forward(&self, [mut x, gamma, beta]: [Floats; 3]) -> Floats {
        let width = x.width();
        let none = vec![0.0; width];
        let rows = NormRows {
            norm: self,
            gamma: gamma.numbers(),
            beta: beta.numbers_if().unwrap_or(&none),
        };
        vectorized_by_rows(width, x.numbers_mut(), width, rows);
        x
    }

    fn backward(
        &self,
        [x, gamma, _]: [Floats; 3],
        mut gradient: Floats,
        wanted: [bool; 3],
    ) -> [Option<Floats>; 3] {
        let width = x.width();
        let slopes = NormSlopes {
            norm: self,
            x: x.numbers(),
            gamma: gamma.numbers(),
        };
        let sums = by_rows_and_sums(gradient.numbers_mut(), width, 2 * width, slopes);
        let (gamma, beta) = sums.split_at(width);
        [
            Some(gradient),
            wanted[1].then(|| Floats::new(gamma.to_vec(), [width])),
            wanted[2].then(|| Floats::new(beta.to_vec(), [width])),
        ]
    }
}

struct NormRows<'a> {
    norm: &'a Norm,
    gamma: &'a [f32],
    beta: &'a [f32],
}

impl Kernel for NormRows<'_> {
    #[inline(always)]
    fn run(&self, _: usize, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.gamma.len()) {
            let Spread { mean, gain, .. } = self.norm.spread(row);
            for (x, (gamma, beta)) in row.iter_mut().zip(self.gamma.iter().zip(self.beta)) {
                *x = (*x - mean) * gain * gamma + beta;
            }
        }
    }
}

/// From the output's gradient to the input's; and the sums that are gamma's and beta's.
struct NormSlopes<'a> {
    norm: &'a Norm,
    x: &'a [f32],
    gamma: &'a [f32],
}

impl SummingKernel for NormSlopes<'_> {
    #[inline(always)]
    fn run(&self, first: usize, rows: &mut [f32], sums: &mut [f32]) {
        let width = self.gamma.len();
        let (gamma_sums, beta_sums) = sums.split_at_mut(width);
        let mut normed = vec![0.0; width];
        let x = self.x[first * width..].chunks_exact(width);
        for (row, x) in rows.chunks_exact_mut(width).zip(x) {
            let spread = self.norm.spread(x);
            for (normed, x) in normed.iter_mut().zip(x) {
                *normed = (x - spread.mean) * spread.gain;
            }
            let sums = gamma_sums.iter_mut().zip(beta_sums.iter_mut());
            for ((gradient, normed), sum) in row.iter().zip(&normed).zip(sums) {
                *sum.0 += gradient * normed;
                *sum.1 += gradient;
            }
            for (gradient, gamma) in row.iter_mut().zip(self.gamma) {
                *gradient *= gamma;
            }
            spread.pull_back(row, &normed);
        }
    }
}

/// How the numbers of a row lie.
struct Spread {
    mean: f32,
    /// The reciprocal of the deviation.
    gain: f32,
    /// Whether the deviation is the numbers', and not a floor.
    own: bool,
}

impl Norm {
    #[inline(always)]
    fn spread(&self, row: &[f32]) -> Spread {
        let width = row.len() as f32;
        let mean = sum(row, |x| x) / width;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / width;
        // Written so that a variance that is NaN stays one.
        let (variance, own) = match self.0 {
            Epsilon::Added(epsilon) => (variance + epsilon as f32, true),
            Epsilon::Floor(floor) if variance < floor as f32 => (floor as f32, false),
            Epsilon::Floor(_) => (variance, true),
        };
        Spread {
            mean,
            gain: variance.sqrt().recip(),
            own,
        }
    }
}

impl Spread {
    /// From the gradient of the row's normed numbers to that of the row, in place.
    #[inline(always)]
    fn pull_back(&self, gradient: &mut [f32], normed: &[f32]) {
        let width = gradient.len() as f32;
        let mean = sum(gradient, |x| x) / width;
        let slope = match self.own {
            true => dot(gradient, normed) / width,
            false => 0.0,
        };
        for (gradient, normed) in gradient.iter_mut().zip(normed) {
            *gradient = (*gradient - mean - *normed * slope) * self.gain;
        }
    }
}
