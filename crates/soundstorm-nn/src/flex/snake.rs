//! ELU and Snake, in place.

use burn::tensor::{Tensor, backend::Backend};

use super::{
    Floats, Kernel,
    vector::{SINE_RANGE, exp, largest, sin, smallest},
    vectorized_by_rows,
};

/// `x` above zero, `exp(x) - 1` below.
pub(crate) fn elu<B: Backend, const D: usize>(
    x: Tensor<B, D>,
) -> Result<Tensor<B, D>, Tensor<B, D>> {
    let mut x = Floats::take(x)?;
    elu_numbers(x.numbers_mut());
    Ok(x.give())
}

fn elu_numbers(x: &mut [f32]) {
    vectorized_by_rows(1, x, 1, Elu);
}

struct Elu;

impl Kernel for Elu {
    #[inline(always)]
    fn run(&self, _: usize, numbers: &mut [f32]) {
        for x in numbers {
            *x = x.max(0.0) + (exp(x.min(0.0)) - 1.0);
        }
    }
}

/// `x + sin(alpha * x)^2 / (alpha + 1e-9)`.
///
/// - `x`, output: `[batch, channels, samples]`, `alpha`: `[channels]`
pub(crate) fn snake<B: Backend>(
    x: Tensor<B, 3>,
    alpha: &Tensor<B, 1>,
) -> Result<Tensor<B, 3>, Tensor<B, 3>> {
    let [_, _, samples] = x.dims();
    let Some(alpha) = Floats::read(alpha) else {
        return Err(x);
    };
    let mut x = Floats::take(x)?;
    snake_rows(x.numbers_mut(), alpha.numbers(), samples);
    Ok(x.give())
}

fn snake_rows(x: &mut [f32], alpha: &[f32], samples: usize) {
    vectorized_by_rows(samples, x, samples, Snake { alpha, samples });
}

struct Snake<'a> {
    alpha: &'a [f32],
    samples: usize,
}

impl Kernel for Snake<'_> {
    #[inline(always)]
    fn run(&self, first: usize, numbers: &mut [f32]) {
        for (row, x) in numbers.chunks_exact_mut(self.samples).enumerate() {
            snake_row(x, self.alpha[(first + row) % self.alpha.len()]);
        }
    }
}

#[inline(always)]
fn snake_row(x: &mut [f32], alpha: f32) {
    let scale = 1.0 / (alpha + 1e-9);
    let furthest = largest(x).max(-smallest(x));
    if furthest * alpha.abs() < SINE_RANGE {
        for x in x {
            let wave = sin(*x * alpha);
            *x += wave * wave * scale;
        }
    } else {
        for x in x {
            let wave = (*x * alpha).sin();
            *x += wave * wave * scale;
        }
    }
}
