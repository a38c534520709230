//! Cross-entropy, from logits.

use burn::tensor::{Int, Tensor, activation, backend::Backend};

/// Minus the logarithm of the probability of each row's target, in nats.
///
/// # Shapes
/// - `logits`: `[rows, classes]`
/// - `targets`, output: `[rows]`, the targets below `classes`
pub fn cross_entropy<B: Backend>(logits: Tensor<B, 2>, targets: Tensor<B, 1, Int>) -> Tensor<B, 1> {
    #[cfg(feature = "flex")]
    let logits = match crate::flex::cross_entropy(logits, &targets) {
        Ok(done) => return done,
        Err(logits) => logits,
    };
    plain(logits, targets)
}

fn plain<B: Backend>(logits: Tensor<B, 2>, targets: Tensor<B, 1, Int>) -> Tensor<B, 1> {
    let log = activation::log_softmax(logits, 1);
    log.gather(1, targets.unsqueeze_dim(1))
        .squeeze_dim::<1>(1)
        .neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData, Tolerance};

    type B = burn_flex::Flex;

    #[test]
    fn equal_logits_share_the_probability() {
        let device = Default::default();
        let logits = TensorData::new(vec![3.0f32, 3.0, 3.0, 0.0, 0.0, 5f32.ln()], [2, 3]);
        let targets = Tensor::from_data([1, 2], &device);
        let got = cross_entropy::<B>(Tensor::from_data(logits, &device), targets);
        let want = TensorData::new(vec![3f32.ln(), (7f32 / 5.0).ln()], [2]);
        got.into_data()
            .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-6));
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernel_equals_plain_burn() {
        let device = Default::default();
        let logits = Tensor::<B, 2>::random([211, 37], Distribution::Normal(50.0, 9.0), &device);
        let targets: Vec<i64> = (0..211).map(|row| row * row % 37).collect();
        let targets = Tensor::from_data(TensorData::new(targets, [211]), &device);
        let got = crate::flex::cross_entropy(logits.clone(), &targets).expect("f32 on flex");
        let want = plain(logits, targets).into_data();
        got.into_data()
            .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-4));
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernel_has_the_gradient_of_plain_burn() {
        let targets: Vec<i64> = (0..811).map(|row| row * row % 37).collect();
        let targets = Tensor::from_data(TensorData::new(targets, [811]), &Default::default());
        crate::testing::assert_same_gradients(
            [811 * 37],
            |[x]| crate::flex::cross_entropy(x.reshape([811, 37]), &targets).expect("f32"),
            |[x]| plain(x.reshape([811, 37]), targets.clone()),
        );
    }
}
