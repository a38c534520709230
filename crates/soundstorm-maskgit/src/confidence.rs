//! Which candidates are kept: confidence, and its rank within the level (MaskGIT, section 3.2).

use burn::tensor::{Bool, Int, Tensor, backend::Backend};

use crate::sampler::below_best;

/// Comparisons made at once; longer batches are ranked in pieces.
const COMPARISONS: usize = 1 << 22;

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
    let [batch, frames] = confidence.dims();
    let device = confidence.device();
    // Confidences are finite, so that those who are no candidates come behind all who are.
    let confidence = confidence.mask_fill(candidates.clone().bool_not(), f32::NEG_INFINITY);
    let others: Tensor<B, 3> = confidence.clone().unsqueeze_dim(1);
    let other_frames =
        Tensor::<B, 1, Int>::arange(0..frames as i64, &device).reshape([1, 1, frames]);

    let piece = (comparisons / (batch * frames)).clamp(1, frames);
    let mut ranks = Vec::with_capacity(frames.div_ceil(piece));
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
        let earlier = other_frames.clone().lower(own_frames);
        let equal = others.clone().equal(own.clone());
        let ahead = others
            .clone()
            .greater(own)
            .bool_or(equal.bool_and(earlier.expand([batch, end - start, frames])));
        ranks.push(ahead.int().sum_dim(2).squeeze_dim::<2>(2));
    }
    Tensor::cat(ranks, 1).lower(counts).bool_and(candidates)
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
}
