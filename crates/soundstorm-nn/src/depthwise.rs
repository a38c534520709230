//! The depthwise convolution over frames (Conformer, arXiv 2005.08100, section
//! 2.2), with channels last and padding kept out.

use burn::tensor::{Bool, Tensor, backend::Backend, module::conv1d, ops::PaddedConvOptions};

/// Convolves every channel with its own kernel. Frames before the first and
/// after the last count as zero, and so do those that are padding.
///
/// # Shapes
/// - `x`, output: `[batch, frames, channels]`; the output has as many frames as
///   `x` if `pad_left + pad_right` is the kernel's size less one
/// - `weight`: `[channels, 1, kernel]`
/// - `bias`: `[channels]`
/// - `padding`: frames before the first and after the last
/// - `mask`: `[batch, frames]`, true for real frames; all, when absent
pub fn depthwise<B: Backend>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 3>,
    bias: Tensor<B, 1>,
    padding: [usize; 2],
    mask: Option<&Tensor<B, 2, Bool>>,
) -> Tensor<B, 3> {
    #[cfg(feature = "flex")]
    let x = match crate::flex::depthwise(x, &weight, &bias, padding, mask) {
        Ok(done) => return done,
        Err(x) => x,
    };
    plain(x, weight, bias, padding, mask)
}

fn plain<B: Backend>(
    mut x: Tensor<B, 3>,
    weight: Tensor<B, 3>,
    bias: Tensor<B, 1>,
    [left, right]: [usize; 2],
    mask: Option<&Tensor<B, 2, Bool>>,
) -> Tensor<B, 3> {
    if let Some(mask) = mask {
        let padding = mask.clone().bool_not().unsqueeze_dim::<3>(2);
        let padding = padding.expand(x.dims());
        x = x.mask_fill(padding, 0.0);
    }
    let channels = x.dims()[2];
    let options = PaddedConvOptions::asymmetric([1], [left], [right], [1], channels);
    conv1d(x.swap_dims(1, 2), weight, Some(bias), options).swap_dims(1, 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData, Tolerance};

    type B = burn_flex::Flex;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
    }

    #[test]
    fn a_delayed_impulse_is_the_kernel() {
        let device = Default::default();
        let x = TensorData::new(vec![0.0f32, 1.0, 0.0, 0.0, 0.0], [1, 5, 1]);
        let weight = TensorData::new(vec![2.0f32, 3.0, 5.0], [1, 1, 3]);
        let bias = Tensor::from_data([0.5f32], &device);
        let got = depthwise::<B>(
            Tensor::from_data(x, &device),
            Tensor::from_data(weight, &device),
            bias,
            [1, 1],
            None,
        );
        let want = TensorData::new(vec![5.5f32, 3.5, 2.5, 0.5, 0.5], [1, 5, 1]);
        got.into_data().assert_eq(&want, false);
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernel_equals_plain_burn() {
        let flags = (0..3 * 131).map(|at| at % 131 < [131, 57, 0][at / 131]);
        let flags: Vec<bool> = flags.collect();
        let mask = TensorData::new(flags, [3, 131]);
        let mask = Tensor::from_data(mask, &Default::default());
        let (x, bias) = (random([3, 131, 77]), random([77]));
        for (kernel, padding) in [(1, [0, 0]), (4, [2, 1]), (7, [6, 0]), (31, [15, 15])] {
            let weight = random([77, 1, kernel]);
            for mask in [None, Some(&mask)] {
                let got = crate::flex::depthwise(x.clone(), &weight, &bias, padding, mask);
                let want = plain(x.clone(), weight.clone(), bias.clone(), padding, mask);
                got.expect("f32 on flex")
                    .into_data()
                    .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-4));
            }
        }
    }

    #[test]
    fn without_padding_there_are_fewer_frames() {
        let (x, weight, bias) = (random([2, 11, 5]), random([5, 1, 3]), random([5]));
        let got = depthwise::<B>(x.clone(), weight.clone(), bias.clone(), [0, 0], None);
        // The frames that no padding reaches.
        let want = depthwise::<B>(x, weight, bias, [1, 1], None).narrow(1, 1, 9);
        got.into_data()
            .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-5));
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernel_has_the_gradient_of_plain_burn() {
        let (shape, channels) = ([3, 307, 37], 37);
        let flags = (0..3 * 307).map(|at| at % 307 < [307, 57, 0][at / 307]);
        let mask = TensorData::new(flags.collect::<Vec<bool>>(), [3, 307]);
        let mask = Tensor::from_data(mask, &Default::default());
        for (taps, padding) in [(1, [0, 0]), (4, [2, 1]), (7, [6, 0]), (5, [2, 2])] {
            for mask in [None, Some(&mask)] {
                crate::testing::assert_same_gradients(
                    [shape.iter().product(), channels * taps, channels],
                    |[x, weight, bias]| {
                        let (x, weight) = (x.reshape(shape), weight.reshape([channels, 1, taps]));
                        crate::flex::depthwise(x, &weight, &bias, padding, mask).expect("f32")
                    },
                    |[x, weight, bias]| {
                        let weight = weight.reshape([channels, 1, taps]);
                        plain(x.reshape(shape), weight, bias, padding, mask)
                    },
                );
            }
        }
    }
}
