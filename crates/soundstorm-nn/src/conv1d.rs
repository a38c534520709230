//! Convolutions over time and their transposes, channels first and without padding, as codecs use
//! them: products of matrices on views of the signal, where burn rearranges it first.

use burn::tensor::{Tensor, backend::Backend, module, ops::ConvOptions, s};

/// Below this many input channels a tap's product is not worth its pass over memory.
const FEW_CHANNELS: usize = 8;

/// A convolution without padding.
///
/// # Shapes
/// - `x`: `[batch, input, samples]`
/// - `weight`: `[output, input, kernel]`
/// - `bias`: `[output]`
/// - output: `[batch, output, (samples - (kernel - 1) * dilation - 1) / stride + 1]`
///
/// # Panics
/// If the signal is shorter than the kernel reaches.
pub fn conv1d<B: Backend>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 3>,
    bias: Option<Tensor<B, 1>>,
    stride: usize,
    dilation: usize,
) -> Tensor<B, 3> {
    #[cfg(feature = "flex")]
    let x = match crate::flex::conv1d(x, &weight, bias.as_ref(), stride, dilation) {
        Ok(done) => return done,
        Err(x) => x,
    };
    plain(x, weight, bias, stride, dilation)
}

fn plain<B: Backend>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 3>,
    bias: Option<Tensor<B, 1>>,
    stride: usize,
    dilation: usize,
) -> Tensor<B, 3> {
    let [_, input, samples] = x.dims();
    let [_, _, kernel] = weight.dims();
    let product = if input < FEW_CHANNELS {
        let options = ConvOptions::new([stride], [0], [dilation], 1);
        module::conv1d(x, weight, None, options)
    } else {
        let reach = (kernel - 1) * dilation;
        let span = (samples - reach - 1) / stride * stride + 1;
        let tap = |tap: usize| {
            let start = tap * dilation;
            let window = s![start..start + span;stride as isize];
            let weight = weight.clone().narrow(2, tap, 1).permute([2, 0, 1]);
            weight.matmul(x.clone().slice_dim(2, window))
        };
        (1..kernel).fold(tap(0), |sum, index| sum + tap(index))
    };
    add(product, bias)
}

/// A transposed convolution: the samples from `start` on, so many of them, zero where no window
/// reaches.
///
/// # Shapes
/// - `x`: `[batch, input, frames]`
/// - `weight`: `[input, output, kernel]`
/// - `bias`: `[output]`
/// - output: `[batch, output, samples]`
pub fn conv_transpose1d<B: Backend>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 3>,
    bias: Option<Tensor<B, 1>>,
    stride: usize,
    [start, samples]: [usize; 2],
) -> Tensor<B, 3> {
    #[cfg(feature = "flex")]
    let x = match crate::flex::conv_transpose1d(x, &weight, bias.as_ref(), stride, [start, samples])
    {
        Ok(done) => return done,
        Err(x) => x,
    };
    plain_transpose(x, weight, bias, stride, [start, samples])
}

fn plain_transpose<B: Backend>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 3>,
    bias: Option<Tensor<B, 1>>,
    stride: usize,
    [start, samples]: [usize; 2],
) -> Tensor<B, 3> {
    let [_, output, kernel] = weight.dims();
    let [batch, input, frames] = x.dims();
    // A window is as many strides long as it takes, its last taps zero.
    let strides = kernel.div_ceil(stride);
    let taps = strides * stride;
    let weight = after(weight, taps - kernel)
        .reshape([1, input, output * taps])
        .swap_dims(1, 2);
    let windows = weight
        .matmul(x)
        .reshape([batch, output, strides, stride, frames]);
    // Stride `i` of a window falls on the frame `i` later.
    let stretch = |index: usize| {
        let part = windows.clone().narrow(2, index, 1).squeeze_dim::<4>(2);
        let zeros = |length: usize| zeros_like(&part, length);
        let parts = [zeros(index), Some(part.clone()), zeros(strides - 1 - index)];
        Tensor::cat(parts.into_iter().flatten().collect(), 3)
    };
    let sum = (1..strides).fold(stretch(0), |sum, index| sum + stretch(index));
    let total = (frames + strides - 1) * stride;
    let sum = sum.swap_dims(2, 3).reshape([batch, output, total]);
    let missing = (start + samples).saturating_sub(total);
    add(after(sum, missing).narrow(2, start, samples), bias)
}

/// So many zeros after the last dimension.
fn after<B: Backend, const D: usize>(x: Tensor<B, D>, length: usize) -> Tensor<B, D> {
    match zeros_like(&x, length) {
        Some(zeros) => Tensor::cat(vec![x, zeros], D - 1),
        None => x,
    }
}

/// Zeros that a tensor can be joined to along its last dimension. burn's own constant padding has
/// the device's default number type, whatever that of the tensor.
fn zeros_like<B: Backend, const D: usize>(x: &Tensor<B, D>, length: usize) -> Option<Tensor<B, D>> {
    let mut shape = x.dims();
    shape[D - 1] = length;
    (length > 0).then(|| Tensor::zeros(shape, (&x.device(), x.dtype())))
}

fn add<B: Backend>(x: Tensor<B, 3>, bias: Option<Tensor<B, 1>>) -> Tensor<B, 3> {
    match bias {
        Some(bias) => x + bias.unsqueeze_dims(&[0, -1]),
        None => x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use burn::tensor::module::conv_transpose1d as burns_transposed;
    use burn::tensor::ops::ConvTransposeOptions;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
    }

    fn close(got: Tensor<B, 3>, want: Tensor<B, 3>) {
        assert_eq!(got.dims(), want.dims());
        got.into_data()
            .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-4));
    }

    /// Channels, taps, stride and dilation; few channels take other ways.
    const CASES: [[usize; 5]; 8] = [
        [1, 13, 7, 1, 1],
        [2, 13, 5, 3, 2],
        [3, 2, 7, 1, 3],
        [11, 13, 1, 1, 1],
        [11, 13, 3, 1, 4],
        [11, 13, 8, 4, 1],
        [17, 1, 7, 1, 1],
        [11, 13, 5, 2, 3],
    ];

    #[test]
    fn convolutions_are_burns() {
        for [input, output, kernel, stride, dilation] in CASES {
            let x = random([2, input, 337]);
            let (weight, bias) = (random([output, input, kernel]), random([output]));
            let options = ConvOptions::new([stride], [0], [dilation], 1);
            let want = module::conv1d(x.clone(), weight.clone(), Some(bias.clone()), options);
            let bias = Some(bias);
            close(
                plain(x.clone(), weight.clone(), bias.clone(), stride, dilation),
                want.clone(),
            );
            close(conv1d(x, weight, bias, stride, dilation), want);
        }
    }

    #[test]
    fn transposed_convolutions_are_burns_cut_out() {
        for (kernel, stride) in [(2, 1), (6, 3), (5, 2), (3, 3), (7, 2), (2, 3)] {
            let (x, weight, bias) = (random([2, 3, 11]), random([3, 5, kernel]), random([5]));
            let options = ConvTransposeOptions::new([stride], [0], [0], [1], 1);
            let want = burns_transposed(x.clone(), weight.clone(), Some(bias.clone()), options);
            let samples = want.dims()[2];
            for [start, length] in [[0, samples], [1, samples - 2], [samples - 1, 1]] {
                let got = conv_transpose1d(
                    x.clone(),
                    weight.clone(),
                    Some(bias.clone()),
                    stride,
                    [start, length],
                );
                close(got, want.clone().narrow(2, start, length));
            }
            // Beyond the last window there is the bias alone.
            let got = conv_transpose1d(x, weight, Some(bias.clone()), stride, [samples, 13]);
            let rest = got.narrow(2, stride, 13 - stride);
            let bias = bias.reshape([1, 5, 1]);
            close(rest, bias.expand([2, 5, 13 - stride]));
        }
    }

    /// Longer than a tile of the kernel; a view; and another number type is left alone.
    #[cfg(feature = "flex")]
    #[test]
    fn the_kernels_equal_plain_burn() {
        let x = random([2, 11, 9001]);
        let view = x.clone().narrow(2, 3, 8997);
        let (weight, bias) = (random([13, 11, 4]), random([13]));
        for bias in [None, Some(bias)] {
            let got = crate::flex::conv1d(view.clone(), &weight, bias.as_ref(), 2, 3);
            let want = plain(view.clone(), weight.clone(), bias, 2, 3);
            close(got.expect("f32 on flex"), want);
        }
        let bias = random([5]);
        for (kernel, stride) in [(6, 3), (5, 3), (8, 8), (4, 1)] {
            let weight = random([11, 5, kernel]);
            let range = [2, 6007 * stride - 2];
            let x = x.clone().narrow(2, 0, 6007);
            let bias = Some(bias.clone());
            let got =
                crate::flex::conv_transpose1d(x.clone(), &weight, bias.as_ref(), stride, range);
            close(
                got.expect("f32 on flex"),
                plain_transpose(x, weight, bias, stride, range),
            );
        }
        let half = x.cast(burn::tensor::DType::F16);
        assert!(crate::flex::conv1d(half, &weight, None, 1, 1).is_err());
    }
}
