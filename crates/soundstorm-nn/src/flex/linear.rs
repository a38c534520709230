//! Linear layers: a product split over threads by columns, onto a bias or onto
//! what the layer's output is added to.

use burn::tensor::{Tensor, backend::Backend};
use soundstorm_gemm::{Matrix, add_product, add_product_bf16, product, product_bf16};

use super::{Floats, Function, applies, apply, by_rows, input, input_if, sums_of_rows};
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
    if let (Some(weight), Some(bias)) = (packed.kept.get(weight), Floats::read_if(bias)) {
        let [rows, _] = x.dims();
        let x = Floats::take(x)?;
        let mut out = product_bf16(x.numbers(), &weight, rows);
        if let Some(bias) = bias {
            add_to_rows(&mut out, bias.numbers(), 1.0);
        }
        return Ok(Floats::new(out, [rows, weight.shape()[1]]).give());
    }
    let bias_dtype = bias.map_or(x.dtype(), Tensor::dtype);
    if !applies::<B>(&[x.dtype(), weight.dtype(), bias_dtype]) {
        return Err(x);
    }
    let bias = input_if(bias, &x);
    Ok(apply(Linear, [input(x), input(weight.clone()), bias]))
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
    if let (Some(x), Some(weight), Some(bias)) = (
        Floats::read(x),
        packed.kept.get(weight),
        Floats::read_if(bias),
    ) {
        let mut sum = Floats::take(sum)?;
        let numbers = sum.numbers_mut();
        if let Some(bias) = bias {
            add_to_rows(numbers, bias.numbers(), scale);
        }
        add_product_bf16(numbers, scale, x.numbers(), &weight);
        return Ok(sum.give());
    }
    let bias_dtype = bias.map_or(x.dtype(), Tensor::dtype);
    if !applies::<B>(&[sum.dtype(), x.dtype(), weight.dtype(), bias_dtype]) {
        return Err(sum);
    }
    let bias = input_if(bias, x);
    let (x, weight) = (input(x.clone()), input(weight.clone()));
    Ok(apply(AddLinear(scale), [input(sum), x, weight, bias]))
}

#[derive(Clone, Debug)]
struct Linear;

impl Function<3> for Linear {
    const READS: [bool; 3] = [true, true, false];

    fn forward(&self, [x, weight, bias]: [Floats; 3]) -> Floats {
        let (x, weight) = (matrix(&x), matrix(&weight));
        let mut out = product(x, weight);
        if let Some(bias) = bias.numbers_if() {
            add_to_rows(&mut out, bias, 1.0);
        }
        Floats::new(out, [x.rows(), weight.columns()])
    }

    fn backward(
        &self,
        [x, weight, _]: [Floats; 3],
        gradient: Floats,
        wanted: [bool; 3],
    ) -> [Option<Floats>; 3] {
        let of_output = matrix(&gradient);
        let (x, weight) = (matrix(&x), matrix(&weight));
        let by = |x: Matrix, y: Matrix| Floats::new(product(x, y), [x.rows(), y.columns()]);
        [
            wanted[0].then(|| by(of_output, weight.transposed())),
            wanted[1].then(|| by(x.transposed(), of_output)),
            wanted[2].then(|| {
                let width = gradient.width();
                Floats::new(sums_of_rows(gradient.numbers(), width), [width])
            }),
        ]
    }
}

/// The scale of what is added.
#[derive(Clone, Debug)]
struct AddLinear(f32);

impl Function<4> for AddLinear {
    const READS: [bool; 4] = [false, true, true, false];

    fn forward(&self, [mut sum, x, weight, bias]: [Floats; 4]) -> Floats {
        let numbers = sum.numbers_mut();
        if let Some(bias) = bias.numbers_if() {
            add_to_rows(numbers, bias, self.0);
        }
        add_product(numbers, self.0, matrix(&x), matrix(&weight));
        sum
    }

    fn backward(
        &self,
        [_, x, weight, bias]: [Floats; 4],
        gradient: Floats,
        [sum_wanted, wanted @ ..]: [bool; 4],
    ) -> [Option<Floats>; 4] {
        let of_sum = sum_wanted.then(|| gradient.clone());
        let mut of_output = gradient;
        if self.0 != 1.0 {
            let width = of_output.width();
            by_rows(of_output.numbers_mut(), width, |_, numbers| {
                for number in numbers {
                    *number *= self.0;
                }
            });
        }
        let [of_x, of_weight, of_bias] = Linear.backward([x, weight, bias], of_output, wanted);
        [of_sum, of_x, of_weight, of_bias]
    }
}

fn matrix(x: &Floats) -> Matrix<'_> {
    Matrix::new(x.numbers(), x.dims())
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
