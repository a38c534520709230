//! Swish and the gated linear unit, with the bias of the layer before them.

use burn::tensor::{Tensor, backend::Backend};

use super::{Floats, by_rows, give, vector::sigmoid};

/// `swish(x + bias)` in place, `[..., channels]`.
pub(crate) fn swish<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    bias: Option<&Tensor<B, 1>>,
) -> Result<Tensor<B, D>, Tensor<B, D>> {
    let width = x.dims()[D - 1];
    let Some(bias) = Floats::read_if(bias) else {
        return Err(x);
    };
    let mut x = Floats::take(x)?;
    swish_rows(x.numbers_mut(), bias.as_ref().map(Floats::numbers), width);
    Ok(x.give())
}

fn swish_rows(x: &mut [f32], bias: Option<&[f32]>, width: usize) {
    match bias {
        None => by_rows(x, width, |_, numbers| {
            for x in numbers {
                *x *= sigmoid(*x);
            }
        }),
        Some(bias) => by_rows(x, width, |_, numbers| {
            for row in numbers.chunks_exact_mut(width) {
                for (x, bias) in row.iter_mut().zip(bias) {
                    let sum = *x + bias;
                    *x = sum * sigmoid(sum);
                }
            }
        }),
    }
}

/// The first half of the channels of `x + bias`, times the sigmoid of the second,
/// `[..., 2 * channels]` to `[..., channels]`.
pub(crate) fn glu<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    bias: Option<&Tensor<B, 1>>,
) -> Result<Tensor<B, D>, Tensor<B, D>> {
    let mut shape = x.dims();
    shape[D - 1] /= 2;
    let Some(bias) = Floats::read_if(bias) else {
        return Err(x);
    };
    let x = Floats::take(x)?;
    let bias = bias.as_ref().map(Floats::numbers);
    Ok(give(glu_rows(x.numbers(), bias, shape[D - 1]), shape))
}

fn glu_rows(x: &[f32], bias: Option<&[f32]>, width: usize) -> Vec<f32> {
    let none = vec![0.0; 2 * width];
    let (value_bias, gate_bias) = bias.unwrap_or(&none).split_at(width);
    let mut out = vec![0.0; x.len() / 2];
    by_rows(&mut out, width, |first, out| {
        let rows = x[2 * first * width..].chunks_exact(2 * width);
        for (out, row) in out.chunks_exact_mut(width).zip(rows) {
            let (values, gates) = row.split_at(width);
            let value = values.iter().zip(value_bias);
            let gate = gates.iter().zip(gate_bias);
            for (out, (value, gate)) in out.iter_mut().zip(value.zip(gate)) {
                *out = (value.0 + value.1) * sigmoid(gate.0 + gate.1);
            }
        }
    });
    out
}
