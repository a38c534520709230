//! Spans of frames that are filled together (MAGNeT, arXiv 2401.04577).

use burn::tensor::{Bool, Int, Tensor, TensorData, backend::Backend};

/// Spans over the masked frames of each row, in their order; the last of a row may be shorter.
pub(crate) struct Spans<B: Backend> {
    /// The frames of each span, and one past the last frame where it has fewer:
    /// `[rows, spans * length]`.
    frames: Tensor<B, 2, Int>,
    /// The span of each frame, 0 for frames of none: `[rows, frames]`.
    span: Tensor<B, 2, Int>,
    length: usize,
}

impl<B: Backend> Spans<B> {
    /// Spans of `length` over the frames `masked` of each row.
    pub(crate) fn new(
        masked: &[Vec<usize>],
        frames: usize,
        length: usize,
        device: &B::Device,
    ) -> Self {
        let rows = masked.len();
        let most = masked.iter().map(Vec::len).max().unwrap_or(0);
        let slots = most.div_ceil(length) * length;
        let mut of_span = vec![frames as i64; rows * slots];
        let mut span = vec![0i64; rows * frames];
        for (row, masked) in masked.iter().enumerate() {
            for (place, &frame) in masked.iter().enumerate() {
                of_span[row * slots + place] = frame as i64;
                span[row * frames + frame] = (place / length) as i64;
            }
        }
        Self {
            frames: Tensor::from_data(TensorData::new(of_span, [rows, slots]), device),
            span: Tensor::from_data(TensorData::new(span, [rows, frames]), device),
            length,
        }
    }

    /// For each frame the largest confidence among the candidates of its span, `[rows, frames]`.
    pub(crate) fn best(
        &self,
        confidence: Tensor<B, 2>,
        candidates: Tensor<B, 2, Bool>,
    ) -> Tensor<B, 2> {
        let [rows, slots] = self.frames.dims();
        if slots == 0 {
            return confidence;
        }
        // Finite, as all that is ranked.
        let none = confidence
            .clone()
            .mask_fill(candidates.bool_not(), f32::MIN);
        let past = Tensor::full([rows, 1], f32::MIN, &none.device());
        let best = Tensor::cat(vec![none, past], 1)
            .gather(1, self.frames.clone())
            .reshape([rows, slots / self.length, self.length])
            .max_dim(2)
            .squeeze_dim::<2>(2);
        best.gather(1, self.span.clone())
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn a_span_is_as_confident_as_its_best_candidate() {
        let device = Default::default();
        // Row 0: spans (1, 2, 4) and (5, 6); row 1: one span (0, 3), of which 3 is no candidate.
        let masked = [vec![1, 2, 4, 5, 6], vec![0, 3]];
        let spans = Spans::<Flex>::new(&masked, 7, 3, &device);
        let confidence = Tensor::from_data(
            [
                [9.0, -3.0, -1.0, 9.0, -2.0, -7.0, -5.0],
                [-4.0, 9.0, 9.0, -2.0, 9.0, 9.0, 9.0],
            ],
            &device,
        );
        let candidates = Tensor::<Flex, 2, Int>::from_data(
            [[0, 1, 1, 0, 1, 1, 1], [1, 0, 0, 0, 0, 0, 0]],
            &device,
        )
        .bool();
        let best: Vec<f32> = spans
            .best(confidence, candidates)
            .into_data()
            .iter()
            .collect();
        let at = |row: usize, frame: usize| best[row * 7 + frame];
        for frame in [1, 2, 4] {
            assert_eq!(at(0, frame), -1.0);
        }
        for frame in [5, 6] {
            assert_eq!(at(0, frame), -5.0);
        }
        assert_eq!(at(1, 0), -4.0);
    }
}
