//! Linear layers: a product split over threads by columns, onto a bias or onto
//! what the layer's output is added to.

use std::sync::Arc;

use burn::tensor::{Tensor, backend::Backend};
use soundstorm_gemm::PackedWeights;

use super::{Floats, by_rows, give};
use crate::Packed;

/// `x * weight + bias`.
///
/// - `x`: `[rows, input]`, `weight`: `[input, output]`, `bias`: `[output]`
/// - output: `[rows, output]`
pub(crate) fn linear<B: Backend>(
    x: Tensor<B, 2>,
    weight: &Tensor<B, 2>,
    bias: Option<&Tensor<B, 1>>,
    packed: &Packed,
) -> Result<Tensor<B, 2>, Tensor<B, 2>> {
    let [rows, output] = [x.dims()[0], weight.dims()[1]];
    let (Some(weight), Some(bias)) = (Matrix::read(weight, packed), Floats::read_if(bias)) else {
        return Err(x);
    };
    let x = Floats::take(x)?;
    let mut out = weight.product(x.numbers(), rows);
    if let Some(bias) = bias {
        add_to_rows(&mut out, bias.numbers(), 1.0);
    }
    Ok(give(out, [rows, output]))
}

/// `sum + scale * (x * weight + bias)`, in place.
///
/// - `sum`, output: `[rows, output]`, the others as of [`linear`]
pub(crate) fn add_linear<B: Backend>(
    sum: Tensor<B, 2>,
    scale: f32,
    x: &Tensor<B, 2>,
    weight: &Tensor<B, 2>,
    bias: Option<&Tensor<B, 1>>,
    packed: &Packed,
) -> Result<Tensor<B, 2>, Tensor<B, 2>> {
    let (Some(x), Some(weight), Some(bias)) = (
        Floats::read(x),
        Matrix::read(weight, packed),
        Floats::read_if(bias),
    ) else {
        return Err(sum);
    };
    let mut sum = Floats::take(sum)?;
    let numbers = sum.numbers_mut();
    if let Some(bias) = bias {
        add_to_rows(numbers, bias.numbers(), scale);
    }
    weight.add_product(numbers, scale, x.numbers());
    Ok(sum.give())
}

/// Weights in the form that they are multiplied in.
enum Matrix {
    /// As they lie, and their shape.
    F32(Floats, [usize; 2]),
    /// Packed for the processor's bf16 instructions.
    BF16(Arc<PackedWeights>),
}

impl Matrix {
    fn read<B: Backend>(weight: &Tensor<B, 2>, packed: &Packed) -> Option<Self> {
        match packed.kept.get(weight) {
            Some(packed) => Some(Self::BF16(packed)),
            None => Some(Self::F32(Floats::read(weight)?, weight.dims())),
        }
    }

    /// `x * weight`, `[rows, output]`.
    fn product(&self, x: &[f32], rows: usize) -> Vec<f32> {
        match self {
            Self::F32(weight, [input, output]) => {
                soundstorm_gemm::product(x, weight.numbers(), [rows, *input, *output])
            }
            Self::BF16(weight) => soundstorm_gemm::product_bf16(x, weight, rows),
        }
    }

    /// Adds `scale * (x * weight)`.
    fn add_product(&self, sum: &mut [f32], scale: f32, x: &[f32]) {
        match self {
            Self::F32(weight, [input, output]) => {
                let shape = [sum.len() / output, *input, *output];
                soundstorm_gemm::add_product(sum, scale, x, weight.numbers(), shape);
            }
            Self::BF16(weight) => soundstorm_gemm::add_product_bf16(sum, scale, x, weight),
        }
    }
}

fn add_to_rows(rows: &mut [f32], bias: &[f32], scale: f32) {
    by_rows(rows, bias.len(), |_, rows| {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (x, bias) in row.iter_mut().zip(bias) {
                *x += scale * bias;
            }
        }
    });
}
