//! Frames of a signal and the sum of frames, as shifted blocks of one hop: both are views and
//! sums, so they have gradients everywhere.

use burn::prelude::*;

use crate::conv::pad_zeros;

/// Overlapping frames; samples after the last whole one are left out.
///
/// # Shapes
/// - signal: `[batch, samples]`
/// - output: `[batch, (samples - window) / hop + 1, window]`
///
/// # Panics
/// If the signal is shorter than the window.
pub(super) fn frames<B: Backend>(signal: Tensor<B, 2>, window: usize, hop: usize) -> Tensor<B, 3> {
    let [batch, samples] = signal.dims();
    assert!(
        samples >= window,
        "a signal of {samples} samples has no frame of {window}"
    );
    let (blocks, overlap) = (samples / hop, window / hop);
    let signal = signal
        .narrow(1, 0, blocks * hop)
        .reshape([batch, blocks, hop]);
    let shifted = |shift| signal.clone().narrow(1, shift, blocks + 1 - overlap);
    Tensor::cat((0..overlap).map(shifted).collect(), 2)
}

/// The sum of frames, each a hop after the one before.
///
/// # Shapes
/// - frames: `[batch, frames, window]`
/// - output: `[batch, (frames - 1) * hop + window]`
pub(super) fn overlap_add<B: Backend>(frames: Tensor<B, 3>, hop: usize) -> Tensor<B, 2> {
    let [batch, count, window] = frames.dims();
    let last = window / hop - 1;
    let part = |shift: usize| {
        let part = frames.clone().narrow(2, shift * hop, hop);
        let part = part.reshape([batch, count * hop]);
        pad_zeros(part, shift * hop, (last - shift) * hop)
    };
    (1..=last).fold(part(0), |sum, shift| sum + part(shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    fn counted(samples: usize) -> Tensor<B, 2> {
        let numbers = Tensor::<B, 1, Int>::arange(0..samples as i64, &Default::default());
        numbers.float().reshape([1, samples])
    }

    #[test]
    fn frames_overlap_and_the_rest_is_left_out() {
        let got = frames(counted(11), 6, 2).into_data();
        let frame = |first: usize| (first..first + 6).map(|at| at as f32);
        let expected: Vec<f32> = [0, 2, 4].into_iter().flat_map(frame).collect();
        got.assert_eq(&TensorData::new(expected, [1, 3, 6]), true);
    }

    /// A sample is added as often as there are frames that hold it.
    #[test]
    fn a_sum_of_frames_counts_each_sample_as_often_as_it_was_taken() {
        let sum = overlap_add(frames(counted(14), 6, 2), 2);
        let times = [1, 1, 2, 2, 3, 3, 3, 3, 3, 3, 2, 2, 1, 1];
        let expected = times
            .iter()
            .enumerate()
            .map(|(at, times)| (at * times) as f32);
        let expected = TensorData::new(expected.collect::<Vec<_>>(), [1, 14]);
        sum.into_data().assert_eq(&expected, true);
    }
}
