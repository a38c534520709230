//! From the lengths of a batch's rows to a mask of real frames.

use burn::tensor::{Bool, Int, Tensor, TensorData, backend::Backend};

/// The mask of real frames, true where a frame is not padding, or `None` when
/// every row fills all frames and nothing needs masking.
///
/// # Shapes
/// - `lengths`: one number of real frames for each row
/// - output: `[batch, frames]`
pub fn frame_mask<B: Backend>(
    lengths: &[usize],
    frames: usize,
    device: &B::Device,
) -> Option<Tensor<B, 2, Bool>> {
    if lengths.iter().all(|&length| length >= frames) {
        return None;
    }
    let batch = lengths.len();
    let ends: Vec<i64> = lengths.iter().map(|&length| length as i64).collect();
    let ends = Tensor::<B, 2, Int>::from_data(TensorData::new(ends, [batch, 1]), device);
    let index = Tensor::<B, 1, Int>::arange(0..frames as i64, device).unsqueeze::<2>();
    Some(
        index
            .expand([batch, frames])
            .lower(ends.expand([batch, frames])),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn real_frames_are_true_and_a_full_batch_has_no_mask() {
        let device = Default::default();
        let mask = frame_mask::<B>(&[2, 3, 0], 3, &device).expect("two rows are padded");
        let got: Vec<bool> = mask.into_data().iter::<bool>().collect();
        assert_eq!(
            got,
            [true, true, false, true, true, true, false, false, false]
        );
        assert!(frame_mask::<B>(&[5, 5], 5, &device).is_none());
    }
}
