//! The channel norm of the convolution module.

use burn::tensor::{Tensor, backend::Backend};

use super::{Floats, by_rows, vector::sum};

/// `(x - mean) / sqrt(max(variance, floor)) * gamma` of every row, in place,
/// `[batch, frames, channels]`.
pub(crate) fn channel_norm<B: Backend>(
    x: Tensor<B, 3>,
    gamma: &Tensor<B, 1>,
    floor: f32,
) -> Result<Tensor<B, 3>, Tensor<B, 3>> {
    let Some(gamma) = Floats::read(gamma) else {
        return Err(x);
    };
    let mut x = Floats::take(x)?;
    norm_rows(x.numbers_mut(), gamma.numbers(), floor);
    Ok(x.give())
}

fn norm_rows(x: &mut [f32], gamma: &[f32], floor: f32) {
    let width = gamma.len();
    by_rows(x, width, |_, numbers| {
        for row in numbers.chunks_exact_mut(width) {
            let mean = sum(row, |x| x) / width as f32;
            let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
            // Written so that a variance that is NaN stays one.
            let floored = if variance < floor { floor } else { variance };
            let gain = floored.sqrt().recip();
            for (x, gamma) in row.iter_mut().zip(gamma) {
                *x = (*x - mean) * gain * gamma;
            }
        }
    });
}
