//! Codes from logits: the most likely one, or one drawn by inverse CDF from the filtered softmax.

use burn::tensor::{DType, Int, Tensor, backend::Backend};
use soundstorm_nn::kth_largest;

/// Below this, dividing by the temperature could overflow, and nothing but the most likely code
/// has any weight left.
const COLDEST: f64 = 1e-6;

/// Halvings of the interval that holds the bound of a filter by share.
const BISECTIONS: usize = 24;

/// The most likely code of each frame.
///
/// # Shapes
/// - logits: `[batch, frames, codebook]`
/// - output: `[batch, frames]`
pub fn most_likely<B: Backend>(logits: Tensor<B, 3>) -> Tensor<B, 2, Int> {
    logits.argmax(2).squeeze_dim(2)
}

/// What codes are drawn by. In this order: the logits are divided by the temperature, `top_k` takes
/// the most likely codes, `top_p` the most likely ones of what is left, `typical` the most typical
/// ones of what is then left; shares are of the probability that is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filters {
    /// Divides the logits; below 1e-6 the most likely code is taken.
    pub temperature: f64,
    /// How many of the most likely codes are left; with 1 the most likely code is taken.
    pub top_k: Option<usize>,
    /// Their share of the probability, within `(0, 1]`.
    pub top_p: Option<f64>,
    /// The share of the most typical ones, within `(0, 1]`: those whose information `-log p` is
    /// nearest to the entropy.
    pub typical: Option<f64>,
}

impl Default for Filters {
    /// The softmax as it is.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: None,
            top_p: None,
            typical: None,
        }
    }
}

/// One code a frame, drawn from the softmax of the logits through [`Filters`]: the first code at
/// which the cumulative probability exceeds the frame's uniform.
///
/// A code of logit -inf is never drawn. Codes whose logits differ from the k-th largest by less
/// than 2^-31 of the frame's spread count as equal to it and are kept, and so with `top_p` and
/// `typical` up to 2^-24. Computed in f32 whatever the logits' type.
///
/// # Shapes
/// - logits: `[batch, frames, codebook]`
/// - uniforms: `[batch, frames]`, on `[0, 1)`, f32
/// - output: `[batch, frames]`
pub fn draw<B: Backend>(
    logits: Tensor<B, 3>,
    filters: &Filters,
    uniforms: Tensor<B, 2>,
) -> Tensor<B, 2, Int> {
    if filters.temperature < COLDEST || filters.top_k == Some(1) {
        return most_likely(logits);
    }
    let [batch, frames, codebook] = logits.dims();
    let below_best = below_best(logits);
    let scaled = below_best.clone().div_scalar(filters.temperature);
    let mut weights = scaled.clone().exp();
    if let Some(k) = filters.top_k
        && k < codebook
    {
        let threshold = kth_largest(below_best.clone(), k);
        weights = weights.mask_fill(below_best.lower(threshold), 0.0);
    }
    // A share of 1 leaves all.
    if let Some(share) = filters.top_p.filter(|&share| share < 1.0) {
        weights = heaviest(scaled.clone(), weights, share);
    }
    if let Some(share) = filters.typical.filter(|&share| share < 1.0) {
        weights = heaviest(typicality(scaled, &weights), weights, share);
    }
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

/// How near the information of each code is to the entropy, the nearest being 0: with log-weights
/// s and their mean m under the weights it is `-|s - m|`, for both are off by the normalizer.
fn typicality<B: Backend>(scaled: Tensor<B, 3>, weights: &Tensor<B, 3>) -> Tensor<B, 3> {
    // The weight of what is clamped is 0.
    let scaled = scaled.clamp_min(-1e4);
    let total = weights.clone().sum_dim(2);
    let mean = (weights.clone() * scaled.clone()).sum_dim(2) / total;
    (scaled - mean).abs().neg()
}

/// The weights of the codes of highest score that together have `share` of the frame's weight, as
/// few as it takes; 0 for the others. The bound of the scores is found by bisection: a sort would
/// leave the device on GPU backends.
fn heaviest<B: Backend>(scores: Tensor<B, 3>, weights: Tensor<B, 3>, share: f64) -> Tensor<B, 3> {
    let out = weights.clone().equal_elem(0.0);
    let scores = scores.mask_fill(out.clone(), f32::NEG_INFINITY);
    let mut high = scores.clone().max_dim(2);
    let mut low = scores
        .clone()
        .mask_where(out, high.clone().expand(scores.shape()))
        .min_dim(2);
    let wanted = weights.clone().sum_dim(2).mul_scalar(share);
    for _ in 0..BISECTIONS {
        let middle = (low.clone() + high.clone()).mul_scalar(0.5);
        let below = scores.clone().lower(middle.clone());
        let weight = weights.clone().mask_fill(below, 0.0).sum_dim(2);
        let enough = weight.greater_equal(wanted.clone());
        low = low.mask_where(enough.clone(), middle.clone());
        high = middle.mask_where(enough, high);
    }
    weights.mask_fill(scores.lower(low), 0.0)
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
        let filters = Filters {
            temperature,
            top_k,
            ..Default::default()
        };
        filtered(logits, &filters, uniforms)
    }

    fn filtered(logits: &[f32], filters: &Filters, uniforms: &[f32]) -> Vec<i64> {
        let device = Default::default();
        let frames = uniforms.len();
        let logits = Tensor::<Flex, 1>::from_data(logits, &device)
            .reshape([1, 1, logits.len()])
            .repeat_dim(1, frames);
        let uniforms = Tensor::from_data(TensorData::new(uniforms.to_vec(), [1, frames]), &device);
        draw(logits, filters, uniforms).into_data().iter().collect()
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

    /// The codes that can be drawn at all.
    fn left(weights: &[f32], filters: &Filters) -> Vec<i64> {
        let uniforms: Vec<f32> = (0..1000).map(|i| i as f32 / 1000.0).collect();
        let mut codes = filtered(&logs(weights), filters, &uniforms);
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    /// Weights 8, 1, 4, 2, 1 of 16: the most likely have shares 8/16, 12/16, 14/16.
    #[test]
    fn top_p_keeps_the_fewest_that_have_the_share() {
        let weights = [8.0, 1.0, 4.0, 2.0, 1.0];
        for (share, expected) in [
            (0.01, vec![0]),
            (0.49, vec![0]),
            (0.51, vec![0, 2]),
            (0.74, vec![0, 2]),
            (0.76, vec![0, 2, 3]),
            // Of equals all are kept.
            (0.88, vec![0, 1, 2, 3, 4]),
            (1.0, vec![0, 1, 2, 3, 4]),
        ] {
            let filters = Filters {
                top_p: Some(share),
                ..Default::default()
            };
            assert_eq!(left(&weights, &filters), expected, "{share}");
        }
    }

    /// At temperature 2 the weights are the roots of 64, 1, 16, 4: 8, 1, 4, 2 of 15. The best two
    /// have 12/15 of them, and 12/12 of the best two.
    #[test]
    fn top_p_comes_after_temperature_and_top_k() {
        let weights = [64.0, 1.0, 16.0, 4.0];
        let filters = |top_k, top_p| Filters {
            temperature: 2.0,
            top_k,
            top_p: Some(top_p),
            ..Default::default()
        };
        assert_eq!(left(&weights, &filters(None, 0.79)), [0, 2]);
        assert_eq!(left(&weights, &filters(None, 0.81)), [0, 2, 3]);
        assert_eq!(left(&weights, &filters(Some(2), 0.66)), [0]);
        assert_eq!(left(&weights, &filters(Some(2), 0.67)), [0, 2]);
    }

    /// Weights 8, 4, 2, 1, 1 of 16 have information 1, 2, 3, 4, 4 bits and an entropy of 1.875 bits:
    /// the most typical are 4 (off by 0.125), 8 (0.875), 2 (1.125), 1 and 1 (2.125).
    #[test]
    fn typical_keeps_what_is_near_the_entropy() {
        let weights = [8.0, 4.0, 2.0, 1.0, 1.0];
        for (share, expected) in [
            (0.24, vec![1]),
            (0.26, vec![0, 1]),
            (0.74, vec![0, 1]),
            (0.76, vec![0, 1, 2]),
            (0.88, vec![0, 1, 2, 3, 4]),
        ] {
            let filters = Filters {
                typical: Some(share),
                ..Default::default()
            };
            assert_eq!(left(&weights, &filters), expected, "{share}");
        }
        // After top-p, of 8 and 4 alone: 0.918 bits, and 8 has 0.585, 4 has 1.585.
        let both = |typical| Filters {
            top_p: Some(0.7),
            typical: Some(typical),
            ..Default::default()
        };
        assert_eq!(left(&weights, &both(0.66)), [0]);
        assert_eq!(left(&weights, &both(0.67)), [0, 1]);
    }

    #[test]
    fn shares_leave_out_what_is_banned() {
        let banned = f32::NEG_INFINITY;
        for (top_p, typical) in [(Some(0.6), None), (None, Some(0.6)), (Some(0.9), Some(0.9))] {
            let filters = Filters {
                top_p,
                typical,
                ..Default::default()
            };
            let uniforms = [0.0, 0.3, 0.7, 1.0 - 2f32.powi(-24)];
            let codes = filtered(&[banned, 1.5, banned, 1.5, banned], &filters, &uniforms);
            assert_eq!(codes, [1, 1, 3, 3], "{filters:?}");
        }
    }
}
