//! Swish and the gated linear unit, with the bias of the layer before them.

use burn::tensor::{Tensor, backend::Backend};

use super::{
    Floats, Function, applies, apply, by_rows, by_rows_and_sums, input, input_if, vector::sigmoid,
};

/// `swish(x + bias)` in place, `[..., channels]`.
pub(crate) fn swish<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    bias: Option<&Tensor<B, 1>>,
) -> Result<Tensor<B, D>, Tensor<B, D>> {
    if !applies::<B>(&[x.dtype(), bias.map_or(x.dtype(), Tensor::dtype)]) {
        return Err(x);
    }
    let bias = input_if(bias, &x);
    Ok(apply(Swish, [input(x), bias]))
}

#[derive(Clone, Debug)]
struct Swish;

impl Function<2> for Swish {
    const READS: [bool; 2] = [true, true];

    fn forward(&self, [mut x, bias]: [Floats; 2]) -> Floats {
        let width = x.width();
        swish_rows(x.numbers_mut(), bias.numbers_if(), width);
        x
    }

    fn backward(
        &self,
        [x, bias]: [Floats; 2],
        mut gradient: Floats,
        wanted: [bool; 2],
    ) -> [Option<Floats>; 2] {
        let width = x.width();
        let sums = if wanted[1] { width } else { 0 };
        let slope = |gradient: &mut f32, x: f32| {
            let gate = sigmoid(x);
            *gradient *= gate * (1.0 + x * (1.0 - gate));
        };
        let none = vec![0.0; width];
        let (x, bias) = (x.numbers(), bias.numbers_if().unwrap_or(&none));
        let numbers = gradient.numbers_mut();
        let bias_gradient = by_rows_and_sums(numbers, width, sums, |first, rows, sums| {
            let x = x[first * width..].chunks_exact(width);
            for (row, x) in rows.chunks_exact_mut(width).zip(x) {
                for (gradient, (x, bias)) in row.iter_mut().zip(x.iter().zip(bias)) {
                    slope(gradient, x + bias);
                }
                for (sum, gradient) in sums.iter_mut().zip(row) {
                    *sum += *gradient;
                }
            }
        });
        let bias = wanted[1].then(|| Floats::new(bias_gradient, [width]));
        [Some(gradient), bias]
    }
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
    if !applies::<B>(&[x.dtype(), bias.map_or(x.dtype(), Tensor::dtype)]) {
        return Err(x);
    }
    let bias = input_if(bias, &x);
    Ok(apply(Glu, [input(x), bias]))
}

#[derive(Clone, Debug)]
struct Glu;

impl Function<2> for Glu {
    const READS: [bool; 2] = [true, true];

    fn forward(&self, [x, bias]: [Floats; 2]) -> Floats {
        let width = x.width() / 2;
        let out = glu_rows(x.numbers(), bias.numbers_if(), width);
        x.like(out, width)
    }

    fn backward(
        &self,
        [x, bias]: [Floats; 2],
        gradient: Floats,
        wanted: [bool; 2],
    ) -> [Option<Floats>; 2] {
        let width = x.width() / 2;
        let none = vec![0.0; 2 * width];
        let (value_bias, gate_bias) = bias.numbers_if().unwrap_or(&none).split_at(width);
        let (numbers, gradient) = (x.numbers(), gradient.numbers());
        let mut out = vec![0.0; numbers.len()];
        let sums = if wanted[1] { 2 * width } else { 0 };
        let bias_gradient = by_rows_and_sums(&mut out, 2 * width, sums, |first, out, sums| {
            let x = numbers[2 * first * width..].chunks_exact(2 * width);
            let gradients = gradient[first * width..].chunks_exact(width);
            for ((out, x), gradient) in out.chunks_exact_mut(2 * width).zip(x).zip(gradients) {
                let (values, gates) = x.split_at(width);
                let (value_out, gate_out) = out.split_at_mut(width);
                let value = values.iter().zip(value_bias);
                let gate = gates.iter().zip(gate_bias);
                let outs = value_out.iter_mut().zip(gate_out);
                for (((value, gate), gradient), out) in value.zip(gate).zip(gradient).zip(outs) {
                    let open = sigmoid(gate.0 + gate.1);
                    *out.0 = gradient * open;
                    *out.1 = gradient * (value.0 + value.1) * open * (1.0 - open);
                }
                for (sum, gradient) in sums.iter_mut().zip(out) {
                    *sum += *gradient;
                }
            }
        });
        let bias = wanted[1].then(|| Floats::new(bias_gradient, [2 * width]));
        [Some(x.like(out, 2 * width)), bias]
    }
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
