//! Transposed convolution that trims what its windows overlap: exactly `frames * stride` samples.

use burn::module::Param;
use burn::prelude::*;

use crate::conv::pad_zeros;
use crate::init::uniform;
use crate::{Carry, Padding};

/// Configuration of a [`TrimmedConvTranspose1d`].
#[derive(Debug, Clone)]
pub struct TrimmedConvTranspose1dConfig {
    /// Channels in.
    pub channels_in: usize,
    /// Channels out.
    pub channels_out: usize,
    /// Taps; at least the stride.
    pub kernel: usize,
    /// Samples per frame.
    pub stride: usize,
    /// Which side is trimmed: both, the odd one on the left, or only the right.
    pub padding: Padding,
}

impl TrimmedConvTranspose1dConfig {
    /// A transposed convolution trimmed on both sides.
    pub fn new(channels_in: usize, channels_out: usize, kernel: usize, stride: usize) -> Self {
        Self {
            channels_in,
            channels_out,
            kernel,
            stride,
            padding: Padding::default(),
        }
    }

    /// Sets which side is trimmed.
    pub fn with_padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// A transposed convolution with random weights.
    ///
    /// # Panics
    /// If the kernel is shorter than the stride, which would leave gaps.
    pub fn init<B: Backend>(&self, device: &B::Device) -> TrimmedConvTranspose1d<B> {
        assert!(
            self.stride >= 1 && self.kernel >= self.stride,
            "a kernel of {} at stride {} would leave gaps",
            self.kernel,
            self.stride
        );
        let fan_in = self.channels_out * self.kernel;
        TrimmedConvTranspose1d {
            weight: uniform(
                [self.channels_in, self.channels_out, self.kernel],
                fan_in,
                device,
            ),
            bias: uniform([self.channels_out], fan_in, device),
            stride: self.stride,
            padding: self.padding,
        }
    }
}

/// A transposed convolution over time that gives `frames * stride` samples.
#[derive(Module, Debug)]
pub struct TrimmedConvTranspose1d<B: Backend> {
    /// `[channels_in, channels_out, kernel]`, its weight norm folded in
    pub weight: Param<Tensor<B, 3>>,
    /// `[channels_out]`
    pub bias: Param<Tensor<B, 1>>,
    stride: usize,
    padding: Padding,
}

impl<B: Backend> TrimmedConvTranspose1d<B> {
    /// Convolves.
    ///
    /// # Shapes
    /// - x: `[batch, channels_in, frames]`
    /// - output: `[batch, channels_out, frames * stride]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [_, _, frames] = x.dims();
        let [_, _, kernel] = self.weight.dims();
        let total = kernel - self.stride;
        let left = match self.padding {
            Padding::Centered => total - total / 2,
            Padding::Causal => 0,
        };
        let bias = self.bias.val().unsqueeze_dims(&[0, -1]);
        let y = convolve_transposed(x, self.weight.val(), self.stride);
        y.narrow(2, left, frames * self.stride) + bias
    }

    /// [`TrimmedConvTranspose1d::forward`] piece by piece: what reaches past the end of a piece is
    /// added to the next.
    ///
    /// # Shapes
    /// - x: `[batch, channels_in, frames]`
    /// - output: `[batch, channels_out, frames * stride]`
    ///
    /// # Panics
    /// If not only the right is trimmed: samples would depend on later frames.
    pub fn stream(&self, x: Tensor<B, 3>, carry: &mut Carry<B>) -> Tensor<B, 3> {
        assert!(
            self.padding == Padding::Causal,
            "only a transposed convolution trimmed on the right can be streamed"
        );
        let [_, _, kernel] = self.weight.dims();
        let bias = self.bias.val().unsqueeze_dims(&[0, -1]);
        let y = convolve_transposed(x, self.weight.val(), self.stride);
        carry.add(y, (kernel.div_ceil(self.stride) - 1) * self.stride) + bias
    }
}

/// A transposed convolution: one matrix product, whose windows are summed where
/// they overlap. burn's own scatters sample by sample.
///
/// # Shapes
/// - x: `[batch, channels_in, frames]`
/// - weight: `[channels_in, channels_out, kernel]`
/// - output: `[batch, channels_out, at least (frames - 1) * stride + kernel]`, zero after that
fn convolve_transposed<B: Backend>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 3>,
    stride: usize,
) -> Tensor<B, 3> {
    let [batch, channels_in, frames] = x.dims();
    let [_, channels_out, kernel] = weight.dims();
    // A window is as many strides long as it takes, its last taps zero.
    let strides = kernel.div_ceil(stride);
    let taps = strides * stride;
    let weight = pad_zeros(weight, 0, taps - kernel)
        .reshape([1, channels_in, channels_out * taps])
        .swap_dims(1, 2);
    let windows = weight
        .matmul(x)
        .reshape([batch, channels_out, strides, stride, frames]);
    overlap(windows)
}

/// The sum of windows that follow each other by one stride each.
///
/// # Shapes
/// - windows: `[batch, channels, strides, stride, frames]`
/// - output: `[batch, channels, (frames + strides - 1) * stride]`
pub(crate) fn overlap<B: Backend>(windows: Tensor<B, 5>) -> Tensor<B, 3> {
    let [batch, channels, strides, stride, frames] = windows.dims();
    // Stride `i` of a window falls on the frame `i` later.
    let stretch = |index: usize| {
        let part = windows.clone().narrow(2, index, 1).squeeze_dim::<4>(2);
        pad_zeros(part, index, strides - 1 - index)
    };
    let sum = (1..strides).fold(stretch(0), |sum, index| sum + stretch(index));
    let total = (frames + strides - 1) * stride;
    sum.swap_dims(2, 3).reshape([batch, channels, total])
}

#[cfg(test)]
mod tests {
    use super::*;

    use burn::tensor::module::conv_transpose1d;
    use burn::tensor::ops::ConvTransposeOptions;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    #[test]
    fn windows_sum_to_burns_transposed_convolution() {
        let device = Default::default();
        let noise = Distribution::Normal(0.0, 1.0);
        for (kernel, stride) in [(2, 1), (6, 3), (5, 2), (3, 3), (7, 2)] {
            let x = Tensor::<B, 3>::random([2, 3, 11], noise, &device);
            let weight = Tensor::<B, 3>::random([3, 5, kernel], noise, &device);
            let options = ConvTransposeOptions::new([stride], [0], [0], [1], 1);
            let expected = conv_transpose1d(x.clone(), weight.clone(), None, options);
            let [_, _, samples] = expected.dims();
            let got = convolve_transposed(x, weight, stride).narrow(2, 0, samples);
            let tolerance = Tolerance::absolute(1e-4);
            got.to_data()
                .assert_approx_eq::<f32>(&expected.to_data(), tolerance);
        }
    }

    #[test]
    fn pieces_give_what_the_whole_does() {
        let device = Default::default();
        for (kernel, stride) in [(6, 3), (3, 3), (7, 2)] {
            let conv = TrimmedConvTranspose1dConfig::new(3, 5, kernel, stride)
                .with_padding(Padding::Causal)
                .init::<B>(&device);
            let pieces = [1, 1, 5, 2];
            let shape = [2, 3, pieces.iter().sum()];
            let x = Tensor::<B, 3>::random(shape, Distribution::Default, &device);
            let (mut carry, mut start) = (Carry::default(), 0);
            let parts = pieces.map(|piece| {
                start += piece;
                conv.stream(x.clone().narrow(2, start - piece, piece), &mut carry)
            });
            let whole = conv.forward(x).to_data();
            Tensor::cat(parts.to_vec(), 2)
                .to_data()
                .assert_approx_eq::<f32>(&whole, Tolerance::absolute(1e-5));
        }
    }

    fn upsampled(padding: Padding) -> Vec<f32> {
        let device = Default::default();
        let mut conv = TrimmedConvTranspose1dConfig::new(1, 1, 5, 2)
            .with_padding(padding)
            .init::<B>(&device);
        conv.weight = Param::from_data([[[1.0, 2.0, 3.0, 4.0, 5.0]]], &device);
        conv.bias = Param::from_data([100.0], &device);
        let x = Tensor::<B, 3>::from_floats([[[1.0, 10.0]]], &device);
        conv.forward(x).to_data().iter().collect()
    }

    /// Untrimmed and without bias the output is 1 2 13 24 35 40 50.
    #[test]
    fn trims_the_odd_sample_on_the_left() {
        assert_eq!(upsampled(Padding::Centered), [113.0, 124.0, 135.0, 140.0]);
        assert_eq!(upsampled(Padding::Causal), [101.0, 102.0, 113.0, 124.0]);
    }
}
