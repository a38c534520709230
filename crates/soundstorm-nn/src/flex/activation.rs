//! Swish and the gated linear unit, with the bias of the layer before them.

use burn::tensor::{Tensor, backend::Backend};

use super::{
    Floats, Function, Kernel, SummingKernel, applies, apply, by_rows_and_sums, input, input_if,
    vector::sigmoid, vectorized_by_rows,
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
        let none = vec![0.0; width];
        let bias = bias.numbers_if().unwrap_or(&none);
        vectorized_by_rows(width, x.numbers_mut(), width, SwishRows { bias });
        x
    }

    fn backward(
        &self,
        [x, bias]: [Floats; 2],
        mut gradient: Floats,
        wanted: [bool; 2],
    ) -> [Option<Floats>; 2] {
        let width = x.width();
        let none = vec![0.0; width];
        let slopes = SwishSlopes {
            x: x.numbers(),
            bias: bias.numbers_if().unwrap_or(&none),
        };
        let sums = if wanted[1] { width } else { 0 };
        let sums = by_rows_and_sums(gradient.numbers_mut(), width, sums, slopes);
        let of_bias = wanted[1].then(|| Floats::new(sums, [width]));
        [Some(gradient), of_bias]
    }
}

struct SwishRows<'a> {
    bias: &'a [f32],
}

impl Kernel for SwishRows<'_> {
    #[inline(always)]
    fn run(&self, _: usize, rows: &mut [f32]) {
        for row in rows.chunks_exact_mut(self.bias.len()) {
            for (x, bias) in row.iter_mut().zip(self.bias) {
                let sum = *x + bias;
                *x = sum * sigmoid(sum);
            }
        }
    }
}

/// From the output's gradient to the input's, and its sums.
struct SwishSlopes<'a> {
    x: &'a [f32],
    bias: &'a [f32],
}

impl SummingKernel for SwishSlopes<'_> {
    #[inline(always)]
    fn run(&self, first: usize, rows: &mut [f32], sums: &mut [f32]) {
        let width = self.bias.len();
        let x = self.x[first * width..].chunks_exact(width);
        for (row, x) in rows.chunks_exact_mut(width).zip(x) {
            for (gradient, (x, bias)) in row.iter_mut().zip(x.iter().zip(self.bias)) {
                let x = x + bias;
                let gate = sigmoid(x);
                *gradient *= gate * (1.0 + x * (1.0 - gate));
            }
            for (sum, gradient) in sums.iter_mut().zip(row) {
                *sum += *gradient;
            }
        }
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
        let none = vec![0.0; 2 * width];
        let gates = GluRows {
            x: x.numbers(),
            bias: bias.numbers_if().unwrap_or(&none).split_at(width),
        };
        let mut out = vec![0.0; gates.x.len() / 2];
        vectorized_by_rows(width, &mut out, width, gates);
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
        let slopes = GluSlopes {
            x: x.numbers(),
            bias: bias.numbers_if().unwrap_or(&none).split_at(width),
            gradient: gradient.numbers(),
        };
        let mut out = vec![0.0; slopes.x.len()];
        let sums = if wanted[1] { 2 * width } else { 0 };
        let sums = by_rows_and_sums(&mut out, 2 * width, sums, slopes);
        let of_bias = wanted[1].then(|| Floats::new(sums, [2 * width]));
        [Some(x.like(out, 2 * width)), of_bias]
    }
}

struct GluRows<'a> {
    x: &'a [f32],
    /// Of values and of gates.
    bias: (&'a [f32], &'a [f32]),
}

impl Kernel for GluRows<'_> {
    #[inline(always)]
    fn run(&self, first: usize, out: &mut [f32]) {
        let width = self.bias.0.len();
        let rows = self.x[2 * first * width..].chunks_exact(2 * width);
        for (out, row) in out.chunks_exact_mut(width).zip(rows) {
            let (values, gates) = row.split_at(width);
            let value = values.iter().zip(self.bias.0);
            let gate = gates.iter().zip(self.bias.1);
            for (out, (value, gate)) in out.iter_mut().zip(value.zip(gate)) {
                *out = (value.0 + value.1) * sigmoid(gate.0 + gate.1);
            }
        }
    }
}

/// From the output's gradient to the input's, and its sums.
struct GluSlopes<'a> {
    x: &'a [f32],
    bias: (&'a [f32], &'a [f32]),
    gradient: &'a [f32],
}

impl SummingKernel for GluSlopes<'_> {
    #[inline(always)]
    fn run(&self, first: usize, out: &mut [f32], sums: &mut [f32]) {
        let width = self.bias.0.len();
        let x = self.x[2 * first * width..].chunks_exact(2 * width);
        let gradients = self.gradient[first * width..].chunks_exact(width);
        for ((out, x), gradient) in out.chunks_exact_mut(2 * width).zip(x).zip(gradients) {
            let (values, gates) = x.split_at(width);
            let (value_out, gate_out) = out.split_at_mut(width);
            let value = values.iter().zip(self.bias.0);
            let gate = gates.iter().zip(self.bias.1);
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
    }
}
