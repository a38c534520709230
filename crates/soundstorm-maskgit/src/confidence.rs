//! Which candidates are kept: confidence, and its rank within the level (MaskGIT, section 3.2).

use burn::tensor::{BasicOps, Bool, Int, Numeric, Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::sampler::below_best;

/// Comparisons made at once; longer batches are ranked in pieces.
const COMPARISONS: usize = 1 << 22;

/// Entropies are rounded to parts of a nat, so that their sums are exact in any order.
const PARTS_OF_A_NAT: f64 = 1024.0;

/// The least margin that is told from none.
const LEAST_MARGIN: f32 = 1e-9;

/// What a frame's confidence is. All are of the softmax as it is, without temperature or filter, and
/// larger is surer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The log-probability of the frame's code, as in MaskGIT.
    #[default]
    Probability,
    /// The logarithm of how much more probable the most likely code is than the second (Kim et al.,
    /// 2025, arXiv 2502.06768), whichever code was drawn.
    Margin,
    /// The entropy in nats, negative, whichever code was drawn.
    Entropy,
    /// The score that a critic gives the frame's code, with the candidates of all other frames
    /// beside it (Lezama et al., 2022, Token-Critic, arXiv 2209.04439): one more pass a step.
    Critic,
}

/// The log-probability of each frame's code under the softmax of the logits as they are, without
/// temperature or filter: as in MaskGIT's published code, a flat distribution stays a doubtful one
/// however cold the draw.
///
/// # Shapes
/// - logits: `[batch, frames, codebook]`
/// - codes: `[batch, frames]`
/// - output: `[batch, frames]`, f32
pub fn log_probability<B: Backend>(logits: Tensor<B, 3>, codes: Tensor<B, 2, Int>) -> Tensor<B, 2> {
    let below_best = below_best(logits);
    let chosen = below_best.clone().gather(2, codes.unsqueeze_dim(2));
    let normalizer = below_best.exp().sum_dim(2).log();
    (chosen - normalizer).squeeze_dim(2)
}

/// The logarithm of the margin between each frame's two most likely codes, never below that of 1e-9.
///
/// # Shapes
/// - logits: `[batch, frames, codebook]`
/// - output: `[batch, frames]`, f32
pub fn log_margin<B: Backend>(logits: Tensor<B, 3>) -> Tensor<B, 2> {
    let below_best = below_best(logits);
    let best = below_best.clone().argmax(2);
    let codebook = below_best.dims()[2];
    let codes = Tensor::<B, 1, Int>::arange(0..codebook as i64, &below_best.device());
    let is_best = codes.reshape([1, 1, codebook]).equal(best);
    let second = below_best
        .clone()
        .mask_fill(is_best, f32::NEG_INFINITY)
        .max_dim(2)
        .exp();
    let normalizer = below_best.exp().sum_dim(2);
    let margin = (second.neg() + 1.0) / normalizer;
    margin.clamp_min(LEAST_MARGIN).log().squeeze_dim(2)
}

/// The entropy of each frame's softmax, in nats.
///
/// # Shapes
/// - logits: `[batch, frames, codebook]`
/// - output: `[batch, frames]`, f32
pub fn entropy<B: Backend>(logits: Tensor<B, 3>) -> Tensor<B, 2> {
    // What is clamped has no weight, and is finite.
    let below_best = below_best(logits).clamp_min(-1e4);
    let weights = below_best.clone().exp();
    let total = weights.clone().sum_dim(2);
    let mean = (weights * below_best).sum_dim(2) / total.clone();
    (total.log() - mean).clamp_min(0.0).squeeze_dim(2)
}

/// The most confident candidates of each row whose entropies sum to at most `budget` nats, the
/// largest of them left aside: one at least, where there is any (EB-Sampler, arXiv 2505.24857).
/// Entropies are rounded to 1/1024 nat.
///
/// # Shapes
/// - confidence: `[batch, frames]`
/// - candidates: `[batch, frames]`, true where a frame may be chosen
/// - entropy: `[batch, frames]`, in nats
/// - output: `[batch, frames]`, true where a frame is chosen
pub fn within_budget<B: Backend>(
    confidence: Tensor<B, 2>,
    candidates: Tensor<B, 2, Bool>,
    entropy: Tensor<B, 2>,
    budget: f64,
) -> Tensor<B, 2, Bool> {
    let [batch, frames] = confidence.dims();
    let entropy = entropy.mul_scalar(PARTS_OF_A_NAT).round();
    let entropy: Tensor<B, 3> = entropy
        .mask_fill(candidates.clone().bool_not(), 0.0)
        .unsqueeze_dim(1);
    let spent = by_frame(confidence, &candidates, COMPARISONS, true, |before| {
        let piece = before.dims()[1];
        let counted = entropy
            .clone()
            .expand([batch, piece, frames])
            .mask_fill(before.bool_not(), 0.0);
        (counted.clone().sum_dim(2) - counted.max_dim(2)).squeeze_dim::<2>(2)
    });
    spent
        .lower_equal_elem(budget * PARTS_OF_A_NAT)
        .bool_and(candidates)
}

/// The `counts` most confident candidates of each row, the earlier frame where two are equal.
///
/// # Shapes
/// - confidence: `[batch, frames]`
/// - candidates: `[batch, frames]`, true where a frame may be chosen
/// - counts: `[batch, 1]`, how many to choose; at most the row's number of candidates
/// - output: `[batch, frames]`, true where a frame is chosen
///
/// Ranks are counted by comparing every pair of frames: a sort would leave the device on GPU
/// backends.
pub fn most_confident<B: Backend>(
    confidence: Tensor<B, 2>,
    candidates: Tensor<B, 2, Bool>,
    counts: Tensor<B, 2, Int>,
) -> Tensor<B, 2, Bool> {
    ranked(confidence, candidates, counts, COMPARISONS)
}

fn ranked<B: Backend>(
    confidence: Tensor<B, 2>,
    candidates: Tensor<B, 2, Bool>,
    counts: Tensor<B, 2, Int>,
    comparisons: usize,
) -> Tensor<B, 2, Bool> {
    let ranks = by_frame(confidence, &candidates, comparisons, false, |ahead| {
        ahead.int().sum_dim(2).squeeze_dim::<2>(2)
    });
    ranks.lower(counts).bool_and(candidates)
}

/// A number for each frame, `[batch, frames]`, from the frames ahead of it in its row's order; with
/// `inclusive` it is ahead of itself. The frames are taken in pieces, `[batch, piece, frames]`.
fn by_frame<B: Backend, K: Numeric<B> + BasicOps<B>>(
    confidence: Tensor<B, 2>,
    candidates: &Tensor<B, 2, Bool>,
    comparisons: usize,
    inclusive: bool,
    number: impl Fn(Tensor<B, 3, Bool>) -> Tensor<B, 2, K>,
) -> Tensor<B, 2, K> {
    let [batch, frames] = confidence.dims();
    let device = confidence.device();
    // Confidences are finite, so that those who are no candidates come behind all who are.
    let confidence = confidence.mask_fill(candidates.clone().bool_not(), f32::NEG_INFINITY);
    let others: Tensor<B, 3> = confidence.clone().unsqueeze_dim(1);
    let other_frames =
        Tensor::<B, 1, Int>::arange(0..frames as i64, &device).reshape([1, 1, frames]);

    let piece = (comparisons / (batch * frames)).clamp(1, frames);
    let mut numbers = Vec::with_capacity(frames.div_ceil(piece));
    for start in (0..frames).step_by(piece) {
        let end = (start + piece).min(frames);
        let own: Tensor<B, 3> = confidence
            .clone()
            .slice([0..batch, start..end])
            .unsqueeze_dim(2);
        let own_frames = Tensor::<B, 1, Int>::arange(start as i64..end as i64, &device).reshape([
            1,
            end - start,
            1,
        ]);
        let earlier = match inclusive {
            true => other_frames.clone().lower_equal(own_frames),
            false => other_frames.clone().lower(own_frames),
        };
        let equal = others.clone().equal(own.clone());
        let ahead = others
            .clone()
            .greater(own)
            .bool_or(equal.bool_and(earlier.expand([batch, end - start, frames])));
        numbers.push(number(ahead));
    }
    Tensor::cat(numbers, 1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn_flex::Flex;

    use super::*;

    fn chosen(
        confidence: &[f32],
        candidates: &[bool],
        counts: &[i64],
        comparisons: usize,
    ) -> Vec<bool> {
        let device = Default::default();
        let shape = [counts.len(), confidence.len() / counts.len()];
        let data = TensorData::new(confidence.to_vec(), shape);
        let confidence = Tensor::<Flex, 2>::from_data(data, &device);
        let candidates = Tensor::from_data(TensorData::new(candidates.to_vec(), shape), &device);
        let counts = TensorData::new(counts.to_vec(), [counts.len(), 1]);
        let counts = Tensor::from_data(counts, &device);
        let chosen = ranked(confidence, candidates, counts, comparisons);
        chosen.into_data().iter().collect()
    }

    const YES: bool = true;
    const NO: bool = false;

    #[test]
    fn the_most_confident_are_chosen_and_only_candidates() {
        let confidence = [-3.0, -1.0, -2.0, -0.5, -4.0];
        let candidates = [YES, YES, YES, NO, YES];
        let choose = |count| chosen(&confidence, &candidates, &[count], 1 << 22);
        assert_eq!(choose(0), [NO; 5]);
        assert_eq!(choose(1), [NO, YES, NO, NO, NO]);
        assert_eq!(choose(2), [NO, YES, YES, NO, NO]);
        assert_eq!(choose(3), [YES, YES, YES, NO, NO]);
        assert_eq!(choose(4), candidates);
    }

    #[test]
    fn the_earlier_of_equals_is_chosen() {
        let confidence = [-2.0, -1.0, -2.0, -1.0, -1.0];
        let choose = |count| chosen(&confidence, &[YES; 5], &[count], 1 << 22);
        assert_eq!(choose(2), [NO, YES, NO, YES, NO]);
        assert_eq!(choose(4), [YES, YES, NO, YES, YES]);
    }

    #[test]
    fn rows_are_ranked_apart_and_pieces_change_nothing() {
        // 3 rows of 37 frames with many equals: i^2 mod 11.
        let confidence: Vec<f32> = (0..111).map(|i| -((i * i % 11) as f32)).collect();
        let candidates: Vec<bool> = (0..111).map(|i| i % 5 != 2).collect();
        let counts = [7, 0, 23];
        let whole = chosen(&confidence, &candidates, &counts, 1 << 22);
        for (row, &count) in counts.iter().enumerate() {
            let row = row * 37..(row + 1) * 37;
            assert_eq!(
                whole[row.clone()].iter().filter(|&&c| c).count(),
                count as usize
            );
            let alone = chosen(
                &confidence[row.clone()],
                &candidates[row.clone()],
                &[count],
                1 << 22,
            );
            assert_eq!(whole[row], alone);
        }
        for comparisons in [1, 111 * 2, 111 * 5, 111 * 36] {
            assert_eq!(
                chosen(&confidence, &candidates, &counts, comparisons),
                whole
            );
        }
    }

    /// Weights 1, 2, 4, 1 of 8, moved by a large constant, and one banned code.
    #[test]
    fn log_probability_golden() {
        let device = Default::default();
        let logits: Vec<f32> = [1.0f32, 2.0, 4.0, 1.0, 0.0]
            .iter()
            .map(|w| w.ln() + 500.0)
            .collect();
        let logits = Tensor::<Flex, 1>::from_data(logits.as_slice(), &device)
            .reshape([1, 1, 5])
            .repeat_dim(1, 3);
        let codes = Tensor::from_data([[0, 1, 2]], &device);
        let found: Vec<f32> = log_probability(logits, codes).into_data().iter().collect();
        for (found, expected) in found.iter().zip([0.125f32, 0.25, 0.5]) {
            assert!((found - expected.ln()).abs() < 1e-4, "{found} {expected}");
        }
    }

    /// Weights 5, 1, 2: the best is 3/8 more probable than the second. Of equals there is no margin,
    /// and a single code has all.
    #[test]
    fn margin_golden() {
        let device = Default::default();
        let margin = |weights: &[f32]| {
            let logits: Vec<f32> = weights.iter().map(|w| w.ln() - 30.0).collect();
            let logits = Tensor::<Flex, 1>::from_data(logits.as_slice(), &device);
            let codes = weights.len();
            let margin = log_margin(logits.reshape([1, 1, codes])).into_scalar();
            margin.exp()
        };
        assert!((margin(&[5.0, 1.0, 2.0]) - 0.375).abs() < 1e-5);
        assert!((margin(&[2.0, 1.0, 5.0, 0.0]) - 0.375).abs() < 1e-5);
        assert!((margin(&[3.0]) - 1.0).abs() < 1e-6);
        assert!((0.5e-9..2e-9).contains(&margin(&[3.0, 1.0, 3.0])));
    }

    /// Weights 8, 4, 2, 1, 1 of 16 have 1.875 bits, and banned codes none.
    #[test]
    fn entropy_golden() {
        let device = Default::default();
        let of = |weights: &[f32]| {
            let logits: Vec<f32> = weights.iter().map(|w| w.ln() + 100.0).collect();
            let logits = Tensor::<Flex, 1>::from_data(logits.as_slice(), &device);
            let codes = weights.len();
            entropy(logits.reshape([1, 1, codes])).into_scalar() / 2f32.ln()
        };
        assert!((of(&[8.0, 4.0, 2.0, 1.0, 1.0]) - 1.875).abs() < 1e-4);
        assert!((of(&[0.0, 1.0, 0.0, 1.0]) - 1.0).abs() < 1e-4);
        assert_eq!(of(&[0.0, 7.0]), 0.0);
    }

    /// In order of confidence the entropies are 1, 3, 2, 4; less the largest so far they sum to 0, 1,
    /// 3, 6.
    #[test]
    fn the_budget_leaves_the_largest_aside() {
        let device = Default::default();
        let confidence = Tensor::<Flex, 2>::from_data([[-2.0, -1.0, 0.0, -4.0, -3.0]], &device);
        let entropy = Tensor::from_data([[3.0, 1.0, 9.0, 4.0, 2.0]], &device);
        let candidates = Tensor::<Flex, 2, Int>::from_data([[1, 1, 0, 1, 1]], &device).bool();
        let chosen = |budget| -> Vec<bool> {
            let (c, m, e) = (confidence.clone(), candidates.clone(), entropy.clone());
            within_budget(c, m, e, budget).into_data().iter().collect()
        };
        assert_eq!(chosen(0.0), [NO, YES, NO, NO, NO]);
        assert_eq!(chosen(0.999), [NO, YES, NO, NO, NO]);
        assert_eq!(chosen(1.0), [YES, YES, NO, NO, NO]);
        assert_eq!(chosen(3.0), [YES, YES, NO, NO, YES]);
        assert_eq!(chosen(5.9), [YES, YES, NO, NO, YES]);
        assert_eq!(chosen(6.0), [YES, YES, NO, YES, YES]);
    }
}
