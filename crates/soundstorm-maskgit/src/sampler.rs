//! Codes from logits: the most likely one, or one drawn by inverse CDF from the filtered softmax.

use burn::tensor::{DType, Int, Tensor, backend::Backend};
use soundstorm_nn::kth_largest;

/// Below this, dividing by the temperature could overflow, and nothing but the most likely code
/// has any weight left.
const COLDEST: f64 = 1e-6;

/// The most likely code of each frame.
///
/// # Shapes
/// - logits: `[batch, frames, codebook]`
/// - output: `[batch, frames]`
pub fn most_likely<B: Backend>(logits: Tensor<B, 3>) -> Tensor<B, 2, Int> {
    logits.argmax(2).squeeze_dim(2)
}

/// One code a frame, drawn from `softmax(logits / temperature)` over the `top_k` most likely codes
/// (over all if there is no `top_k`): the first code at which the cumulative probability exceeds
/// the frame's uniform.
///
/// A code of logit -inf is never drawn. Codes whose logits differ from the k-th largest by less
/// than 2^-31 of the frame's spread count as equal to it and are kept. A temperature below 1e-6
/// or a `top_k` of 1 draws the most likely code. Computed in f32 whatever the logits' type.
///
/// # Shapes
/// - logits: `[batch, frames, codebook]`
/// - uniforms: `[batch, frames]`, on `[0, 1)`, f32
/// - output: `[batch, frames]`
pub fn draw<B: Backend>(
    logits: Tensor<B, 3>,
    temperature: f64,
    top_k: Option<usize>,
    uniforms: Tensor<B, 2>,
) -> Tensor<B, 2, Int> {
    if temperature < COLDEST || top_k == Some(1) {
        return most_likely(logits);
    }
    let [batch, frames, codebook] = logits.dims();
    let below_best = below_best(logits);
    let weights = below_best.clone().div_scalar(temperature).exp();
    let weights = match top_k {
        Some(k) if k < codebook => {
            let threshold = kth_largest(below_best.clone(), k);
            weights.mask_fill(below_best.lower(threshold), 0.0)
        }
        _ => weights,
    };
    let cumulative = weights.cumsum(2);
    let total = cumulative
        .clone()
        .slice([0..batch, 0..frames, codebook - 1..codebook]);
    // A uniform is at most 1 - 2^-24, so in f32 its product with the total is below the total:
    // the last code is never passed, nor one without weight taken.
    let target = uniforms.unsqueeze_dim(2) * total;
    cumulative
        .lower_equal(target)
        .int()
        .sum_dim(2)
        .squeeze_dim(2)
}

/// Logits in f32, less the largest of their frame.
pub(crate) fn below_best<B: Backend>(logits: Tensor<B, 3>) -> Tensor<B, 3> {
    let logits = logits.cast(DType::F32);
    let best = logits.clone().max_dim(2);
    logits - best
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn_flex::Flex;

    use super::*;

    /// Draws one code for each uniform from the same logits.
    fn drawn(logits: &[f32], temperature: f64, top_k: Option<usize>, uniforms: &[f32]) -> Vec<i64> {
        let device = Default::default();
        let frames = uniforms.len();
        let logits = Tensor::<Flex, 1>::from_data(logits, &device)
            .reshape([1, 1, logits.len()])
            .repeat_dim(1, frames);
        let uniforms = Tensor::from_data(TensorData::new(uniforms.to_vec(), [1, frames]), &device);
        draw(logits, temperature, top_k, uniforms)
            .into_data()
            .iter()
            .collect()
    }

    fn logs(weights: &[f32]) -> Vec<f32> {
        weights.iter().map(|w| w.ln()).collect()
    }

    /// Weights 1, 2, 4, 1: the cumulative probabilities are 1/8, 3/8, 7/8, 1.
    #[test]
    fn inverse_cdf_golden() {
        let uniforms = [
            0.0,
            0.124,
            0.126,
            0.374,
            0.376,
            0.874,
            0.876,
            1.0 - 2f32.powi(-24),
        ];
        let codes = drawn(&logs(&[1.0, 2.0, 4.0, 1.0]), 1.0, None, &uniforms);
        assert_eq!(codes, [0, 0, 1, 1, 2, 2, 3, 3]);
    }

    /// At temperature 1/2 the weights are squared: 1, 4, 16, 1 of 22.
    #[test]
    fn inverse_cdf_golden_cold() {
        let uniforms = [0.044, 0.047, 0.226, 0.229, 0.953, 0.956];
        let codes = drawn(&logs(&[1.0, 2.0, 4.0, 1.0]), 0.5, None, &uniforms);
        assert_eq!(codes, [0, 1, 1, 2, 2, 3]);
    }

    /// The two largest of 1, 2, 4, 1 are 2 and 4: cumulative 0, 1/3, 1, 1.
    #[test]
    fn inverse_cdf_golden_filtered() {
        let uniforms = [0.0, 0.332, 0.334, 0.999];
        let codes = drawn(&logs(&[1.0, 2.0, 4.0, 1.0]), 1.0, Some(2), &uniforms);
        assert_eq!(codes, [1, 1, 2, 2]);
    }

    #[test]
    fn equals_of_the_kth_are_kept() {
        // 3, 1, 3, 2, 2: two equal seconds when three are asked for.
        let logits = logs(&[3.0, 1.0, 3.0, 2.0, 2.0]);
        let uniforms = [0.0, 0.299, 0.301, 0.599, 0.601, 0.799, 0.801, 0.999];
        let codes = drawn(&logits, 1.0, Some(3), &uniforms);
        assert_eq!(codes, [0, 0, 2, 2, 3, 3, 4, 4]);
        // Both largest are equal, and more than one is asked for.
        assert_eq!(drawn(&logits, 1.0, Some(2), &[0.0, 0.49, 0.51]), [0, 0, 2]);
    }

    #[test]
    fn as_many_as_there_are_or_more_filter_nothing() {
        let logits = logs(&[1.0, 2.0, 4.0, 1.0]);
        let uniforms = [0.1, 0.2, 0.5, 0.9];
        for k in [4, 5, usize::MAX] {
            assert_eq!(drawn(&logits, 1.0, Some(k), &uniforms), [0, 1, 2, 3]);
        }
    }

    #[test]
    fn banned_codes_are_never_drawn() {
        let banned = f32::NEG_INFINITY;
        let uniforms = [0.0, 0.3, 0.7, 1.0 - 2f32.powi(-24)];
        for top_k in [None, Some(2), Some(3), Some(4)] {
            for temperature in [1e-5, 1.0, 1e30] {
                let codes = drawn(
                    &[banned, 1.5, banned, 1.5, banned],
                    temperature,
                    top_k,
                    &uniforms,
                );
                assert_eq!(codes, [1, 1, 3, 3], "{top_k:?} {temperature}");
            }
        }
    }

    #[test]
    fn cold_and_top_1_are_most_likely() {
        let logits = [0.25, 3.0, 2.9, -7.0, 3.5, 3.4];
        let uniforms = [0.0, 0.2, 0.4, 0.6, 0.8, 0.999];
        assert_eq!(drawn(&logits, 0.0, None, &uniforms), [4; 6]);
        assert_eq!(drawn(&logits, 1e-3, None, &uniforms), [4; 6]);
        assert_eq!(drawn(&logits, 1.0, Some(1), &uniforms), [4; 6]);
    }
}
