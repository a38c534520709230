//! Swish and the gated linear unit (Conformer, arXiv 2005.08100, section 2).

use burn::tensor::{Tensor, activation, backend::Backend};

/// Swish, `x * sigmoid(x)`.
///
/// # Shapes
/// - input, output: any
pub fn swish<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    activation::silu(x)
}

/// Gated linear unit over the last dimension: the first half, times the sigmoid
/// of the second.
///
/// # Shapes
/// - input: `[..., 2 * channels]`
/// - output: `[..., channels]`
pub fn glu<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    let mut halves = x.chunk(2, D - 1).into_iter();
    match (halves.next(), halves.next()) {
        (Some(value), Some(gate)) => value * activation::sigmoid(gate),
        _ => panic!("glu needs an even number of channels, at least two"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{TensorData, Tolerance};

    type B = burn_flex::Flex;

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
}
