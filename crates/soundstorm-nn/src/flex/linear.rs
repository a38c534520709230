//! Linear layers: a product split over threads by columns, onto a bias or onto
//! what the layer's output is added to.

use burn::tensor::{Tensor, backend::Backend};

use super::{Floats, by_rows, give};

/// `x * weight + bias`.
///
/// - `x`: `[rows, input]`, `weight`: `[input, output]`, `bias`: `[output]`
/// - output: `[rows, output]`
pub(crate) fn linear<B: Backend>(
    x: Tensor<B, 2>,
    weight: &Tensor<B, 2>,
    bias: Option<&Tensor<B, 1>>,
) -> Result<Tensor<B, 2>, Tensor<B, 2>> {
    let [rows, input] = x.dims();
    let [_, output] = weight.dims();
    let (Some(weight), Some(bias)) = (Floats::read(weight), Floats::read_if(bias)) else {
        return Err(x);
    };
    let x = Floats::take(x)?;
    let shape = [rows, input, output];
    let mut out = soundstorm_gemm::product(x.numbers(), weight.numbers(), shape);
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
) -> Result<Tensor<B, 2>, Tensor<B, 2>> {
    let [rows, output] = sum.dims();
    let input = x.dims()[1];
    let (Some(x), Some(weight), Some(bias)) =
        (Floats::read(x), Floats::read(weight), Floats::read_if(bias))
    else {
        return Err(sum);
    };
    let mut sum = Floats::take(sum)?;
    let numbers = sum.numbers_mut();
    if let Some(bias) = bias {
        add_to_rows(numbers, bias.numbers(), scale);
    }
    let shape = [rows, input, output];
    soundstorm_gemm::add_product(numbers, scale, x.numbers(), weight.numbers(), shape);
    Ok(sum.give())
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
