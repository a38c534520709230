//! Linear layers, alone and at the end of a residual branch.

use burn::{
    nn::Linear,
    tensor::{Tensor, backend::Backend},
};

/// A linear layer, over the last dimension.
///
/// # Shapes
/// - input: `[..., input]`
/// - output: `[..., output]`
pub fn linear<B: Backend, const D: usize>(x: Tensor<B, D>, layer: &Linear<B>) -> Tensor<B, D> {
    affine(x, layer.weight.val(), bias(layer))
}

/// `sum + scale * linear(x)`: a residual and the last layer of its branch.
///
/// # Shapes
/// - `x`: `[..., input]`
/// - `sum`, output: `[..., output]`
pub fn add_linear<B: Backend, const D: usize>(
    sum: Tensor<B, D>,
    scale: f64,
    x: Tensor<B, D>,
    layer: &Linear<B>,
) -> Tensor<B, D> {
    #[cfg(feature = "flex")]
    let sum = {
        let shape = sum.dims();
        let (weight, bias) = (layer.weight.val(), bias(layer));
        let (sum, x) = (rows(sum), rows(x.clone()));
        match crate::flex::add_linear(sum, scale as f32, &x, &weight, bias.as_ref()) {
            Ok(done) => return done.reshape(shape),
            Err(sum) => sum.reshape(shape),
        }
    };
    plain_add(sum, scale, x, layer)
}

fn plain_add<B: Backend, const D: usize>(
    sum: Tensor<B, D>,
    scale: f64,
    x: Tensor<B, D>,
    layer: &Linear<B>,
) -> Tensor<B, D> {
    let x = linear(x, layer);
    sum + if scale == 1.0 { x } else { x * scale }
}

/// `x * weight + bias`, over the last dimension, as a product of two matrices.
///
/// # Shapes
/// - `x`: `[..., input]`
/// - `weight`: `[input, output]`
/// - `bias`: `[output]`
/// - output: `[..., output]`
pub fn affine<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, D> {
    let mut shape = x.dims();
    shape[D - 1] = weight.dims()[1];
    let x = rows(x);
    #[cfg(feature = "flex")]
    let x = match crate::flex::linear(x, &weight, bias.as_ref()) {
        Ok(done) => return done.reshape(shape),
        Err(x) => x,
    };
    plain(x, weight, bias).reshape(shape)
}

fn plain<B: Backend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, 2> {
    let product = x.matmul(weight);
    match bias {
        Some(bias) => product + bias.unsqueeze(),
        None => product,
    }
}

/// All but the last dimension as one.
fn rows<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, 2> {
    let width = x.dims()[D - 1];
    let rows = x.dims()[..D - 1].iter().product();
    x.reshape([rows, width])
}

pub(crate) fn bias<B: Backend>(layer: &Linear<B>) -> Option<Tensor<B, 1>> {
    layer.bias.as_ref().map(|bias| bias.val())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::{
        nn::LinearConfig,
        tensor::{Distribution, TensorData, Tolerance},
    };

    type B = burn_flex::Flex;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
    }

    fn close<const D: usize>(got: Tensor<B, D>, want: Tensor<B, D>) {
        assert_eq!(got.dims(), want.dims());
        got.into_data()
            .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-4));
    }

    #[test]
    fn a_layer_follows_its_definition() {
        let device = Default::default();
        let matrix = |values: [f32; 6], shape: [usize; 2]| {
            Tensor::<B, 2>::from_data(TensorData::new(values.to_vec(), shape), &device)
        };
        let x = matrix([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
        let weight = matrix([1.0, 0.0, 0.0, 1.0, 1.0, 1.0], [3, 2]);
        let bias = Tensor::from_data([10.0f32, 20.0], &device);
        let want = TensorData::new(vec![14.0f32, 25.0, 20.0, 31.0], [2, 2]);
        affine(x.clone(), weight.clone(), Some(bias.clone()))
            .into_data()
            .assert_eq(&want, false);
        plain(x, weight, Some(bias))
            .into_data()
            .assert_eq(&want, false);
    }

    /// Also of a view into another tensor, of one level of a stack of weights, and into a sum
    /// that someone else holds.
    #[cfg(feature = "flex")]
    #[test]
    fn the_kernels_equal_plain_burn() {
        let x = random([3, 337, 67]).narrow(2, 3, 61);
        let weight = random([3 * 61, 131]).narrow(0, 61, 61);
        let sum = random([3, 337, 131]);
        for with_bias in [false, true] {
            let bias = with_bias.then(|| random([131]));
            let x2 = x.clone().reshape([3 * 337, 61]);
            let got = crate::flex::linear(x2.clone(), &weight, bias.as_ref()).expect("f32 on flex");
            let want = plain(x2, weight.clone(), bias);
            close(got, want);

            let layer = LinearConfig::new(61, 131)
                .with_bias(with_bias)
                .init(&Default::default());
            let before = sum.to_data();
            let got = add_linear(sum.clone(), 0.5, x.clone(), &layer);
            close(got, plain_add(sum.clone(), 0.5, x.clone(), &layer));
            sum.to_data().assert_eq(&before, true);
        }
    }
}
