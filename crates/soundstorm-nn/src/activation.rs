//! Swish and the gated linear unit (Conformer, arXiv 2005.08100, section 2),
//! alone and after a linear layer.

use burn::tensor::{Tensor, activation, backend::Backend};

use crate::{
    Linear,
    linear::{affine, bias},
};

/// Swish, `x * sigmoid(x)`.
///
/// # Shapes
/// - input, output: any
pub fn swish<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    biased_swish(x, None)
}

/// Gated linear unit over the last dimension: the first half, times the sigmoid
/// of the second.
///
/// # Shapes
/// - input: `[..., 2 * channels]`
/// - output: `[..., channels]`
///
/// # Panics
/// If the number of channels is odd.
pub fn glu<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    biased_glu(x, None)
}

/// A linear layer, then [`swish`].
///
/// # Shapes
/// - input: `[batch, frames, input]`
/// - output: `[batch, frames, output]`
pub fn linear_swish<B: Backend>(x: Tensor<B, 3>, linear: &Linear<B>) -> Tensor<B, 3> {
    let x = affine(x, linear.weight.val(), None, &linear.packed);
    biased_swish(x, bias(linear).as_ref())
}

/// A linear layer, then [`glu`].
///
/// # Shapes
/// - input: `[batch, frames, input]`
/// - output: `[batch, frames, output / 2]`
pub fn linear_glu<B: Backend>(x: Tensor<B, 3>, linear: &Linear<B>) -> Tensor<B, 3> {
    let x = affine(x, linear.weight.val(), None, &linear.packed);
    biased_glu(x, bias(linear).as_ref())
}

fn biased_swish<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    bias: Option<&Tensor<B, 1>>,
) -> Tensor<B, D> {
    #[cfg(feature = "flex")]
    let x = match crate::flex::swish(x, bias) {
        Ok(done) => return done,
        Err(x) => x,
    };
    plain_swish(x, bias)
}

fn plain_swish<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    bias: Option<&Tensor<B, 1>>,
) -> Tensor<B, D> {
    activation::silu(add(x, bias))
}

fn biased_glu<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    bias: Option<&Tensor<B, 1>>,
) -> Tensor<B, D> {
    assert_eq!(
        x.dims()[D - 1] % 2,
        0,
        "glu needs an even number of channels"
    );
    #[cfg(feature = "flex")]
    let x = match crate::flex::glu(x, bias) {
        Ok(done) => return done,
        Err(x) => x,
    };
    plain_glu(x, bias)
}

fn plain_glu<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    bias: Option<&Tensor<B, 1>>,
) -> Tensor<B, D> {
    let x = add(x, bias);
    let half = x.dims()[D - 1] / 2;
    let value = x.clone().narrow(D - 1, 0, half);
    value * activation::sigmoid(x.narrow(D - 1, half, half))
}

fn add<B: Backend, const D: usize>(x: Tensor<B, D>, bias: Option<&Tensor<B, 1>>) -> Tensor<B, D> {
    match bias {
        Some(bias) => x + bias.clone().unsqueeze(),
        None => x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinearConfig;
    use burn::tensor::{Distribution, TensorData, Tolerance};

    type B = burn_flex::Flex;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
        Tensor::random(shape, Distribution::Normal(0.0, 3.0), &Default::default())
    }

    #[test]
    fn swish_and_glu_follow_their_definitions() {
        let device = Default::default();
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        let values = [-7.0f32, -0.3, 0.0, 1.7, 2.0, -3.1];
        let x = Tensor::<B, 2>::from_data(TensorData::new(values.to_vec(), [1, 6]), &device);

        let want: Vec<f32> = values.iter().map(|&v| v * sigmoid(v)).collect();
        swish(x.clone())
            .into_data()
            .assert_approx_eq::<f32>(&TensorData::new(want, [1, 6]), Tolerance::absolute(1e-6));

        let want: Vec<f32> = (0..3).map(|i| values[i] * sigmoid(values[i + 3])).collect();
        glu(x)
            .into_data()
            .assert_approx_eq::<f32>(&TensorData::new(want, [1, 3]), Tolerance::absolute(1e-6));
    }

    #[test]
    fn after_a_linear_layer_they_are_what_they_are_alone() {
        let x = random([2, 7, 5]);
        for bias in [false, true] {
            let linear = LinearConfig::new(5, 22)
                .with_bias(bias)
                .init::<B>(&Default::default());
            let close = |got: Tensor<B, 3>, want: Tensor<B, 3>| {
                assert_eq!(got.dims(), want.dims());
                got.into_data()
                    .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-5));
            };
            let applied = crate::linear(x.clone(), &linear);
            close(linear_swish(x.clone(), &linear), swish(applied.clone()));
            close(linear_glu(x.clone(), &linear), glu(applied));
        }
    }

    /// Sizes that fill no vector and no thread's piece, and a view into another tensor.
    #[cfg(feature = "flex")]
    #[test]
    fn the_kernels_equal_plain_burn() {
        let whole = random([3, 1009, 38]);
        let bias = random([34]);
        for bias in [None, Some(&bias)] {
            let x = whole.clone().narrow(2, 2, 34);
            let close = |got: Tensor<B, 3>, want: Tensor<B, 3>| {
                got.into_data()
                    .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-5));
            };
            let before = x.to_data();
            let got = crate::flex::swish(x.clone(), bias).expect("f32 on flex");
            close(got, plain_swish(x.clone(), bias));
            let got = crate::flex::glu(x.clone(), bias).expect("f32 on flex");
            close(got, plain_glu(x.clone(), bias));
            x.into_data().assert_eq(&before, true);
        }
        assert!(crate::flex::swish(whole.cast(burn::tensor::DType::F16), None).is_err());
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernels_have_the_gradients_of_plain_burn() {
        use crate::testing::assert_same_gradients;

        let (rows, width) = (3 * 2003, 34);
        assert_same_gradients(
            [rows * width, width],
            |[x, bias]| crate::flex::swish(x.reshape([3, 2003, 34]), Some(&bias)).expect("f32"),
            |[x, bias]| plain_swish(x.reshape([3, 2003, 34]), Some(&bias)),
        );
        assert_same_gradients(
            [rows * width, width],
            |[x, bias]| crate::flex::glu(x.reshape([3, 2003, 34]), Some(&bias)).expect("f32"),
            |[x, bias]| plain_glu(x.reshape([3, 2003, 34]), Some(&bias)),
        );
        assert_same_gradients(
            [7 * width],
            |[x]| crate::flex::swish(x.reshape([7, 34]), None).expect("f32"),
            |[x]| plain_swish(x.reshape([7, 34]), None),
        );
        assert_same_gradients(
            [7 * width],
            |[x]| crate::flex::glu(x.reshape([7, 34]), None).expect("f32"),
            |[x]| plain_glu(x.reshape([7, 34]), None),
        );
    }
}
