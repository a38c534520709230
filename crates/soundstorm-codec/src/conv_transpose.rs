//! Transposed convolution that trims what its windows overlap: exactly `frames * stride` samples.

use burn::module::Param;
use burn::prelude::*;
use soundstorm_nn::conv_transpose1d;

use crate::conv::pad_zeros;
use crate::init::uniform;
use crate::{Carry, ConvNorm, Padding, TimeGroupNorm, Window};

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
    /// Which side is trimmed: both, the odd one on the left, or the right.
    pub padding: Padding,
    /// How much of the trimming is on the right where the padding is causal, by default all of it.
    pub trim_right_ratio: f64,
    /// What follows the convolution, by default nothing.
    pub norm: ConvNorm,
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
            trim_right_ratio: 1.0,
            norm: ConvNorm::default(),
        }
    }

    /// Sets which side is trimmed.
    pub fn with_padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// Sets how much of a causal trimming is on the right, from 0 to 1.
    pub fn with_trim_right_ratio(mut self, ratio: f64) -> Self {
        self.trim_right_ratio = ratio;
        self
    }

    /// Sets what follows the convolution.
    pub fn with_norm(mut self, norm: ConvNorm) -> Self {
        self.norm = norm;
        self
    }

    /// Samples trimmed on the left.
    pub(crate) fn trim_left(&self) -> usize {
        let total = self.kernel - self.stride;
        match self.padding {
            Padding::Centered => total - total / 2,
            Padding::Causal => {
                let right = (total as f64 * self.trim_right_ratio).ceil() as usize;
                total.saturating_sub(right)
            }
        }
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
            norm: self.norm.init(self.channels_out, device),
            stride: self.stride,
            trim_left: self.trim_left(),
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
    /// After the convolution, before the trimming
    pub norm: Option<TimeGroupNorm<B>>,
    stride: usize,
    trim_left: usize,
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
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let samples = frames * self.stride;
        let convolve = |range| conv_transpose1d(x, weight, Some(bias), self.stride, range);
        match &self.norm {
            Some(norm) => {
                // The norm's mean and variance are those of what is trimmed, too.
                let untrimmed = samples + kernel - self.stride;
                let y = norm.forward(convolve([0, untrimmed]));
                y.narrow(2, self.trim_left, samples)
            }
            None => convolve([self.trim_left, samples]),
        }
    }

    /// Which frames a sample depends on.
    pub(crate) fn window(&self) -> Window {
        let [_, _, kernel] = self.weight.dims();
        Window::Transposed {
            reach: kernel - 1,
            stride: self.stride,
            left: self.trim_left,
        }
    }

    /// Samples per frame.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// [`TrimmedConvTranspose1d::forward`] piece by piece: what reaches past the end of a piece is
    /// added to the next.
    ///
    /// # Shapes
    /// - x: `[batch, channels_in, frames]`
    /// - output: `[batch, channels_out, frames * stride]`
    ///
    /// # Panics
    /// If not only the right is trimmed, or a norm follows: samples would depend on later frames.
    pub fn stream(&self, x: Tensor<B, 3>, carry: &mut Carry<B>) -> Tensor<B, 3> {
        assert!(
            self.trim_left == 0 && self.norm.is_none(),
            "only a transposed convolution trimmed on the right and without a norm can be streamed"
        );
        let [_, _, frames] = x.dims();
        let [_, _, kernel] = self.weight.dims();
        let beyond = (kernel.div_ceil(self.stride) - 1) * self.stride;
        let range = [0, frames * self.stride + beyond];
        let y = conv_transpose1d(x, self.weight.val(), None, self.stride, range);
        carry.add(y, beyond) + self.bias.val().unsqueeze_dims(&[0, -1])
    }
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

    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

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

    fn upsampled(config: &TrimmedConvTranspose1dConfig) -> Vec<f32> {
        let device = Default::default();
        let mut conv = config.init::<B>(&device);
        conv.weight = Param::from_data([[[1.0, 2.0, 3.0, 4.0, 5.0]]], &device);
        conv.bias = Param::from_data([100.0], &device);
        let x = Tensor::<B, 3>::from_floats([[[1.0, 10.0]]], &device);
        conv.forward(x).to_data().iter().collect()
    }

    /// Untrimmed and without bias the output is 1 2 13 24 35 40 50.
    #[test]
    fn trims_the_odd_sample_on_the_left() {
        let centered = TrimmedConvTranspose1dConfig::new(1, 1, 5, 2);
        assert_eq!(upsampled(&centered), [113.0, 124.0, 135.0, 140.0]);
        let causal = centered.with_padding(Padding::Causal);
        assert_eq!(upsampled(&causal), [101.0, 102.0, 113.0, 124.0]);
    }

    /// Of 3 samples, 0.4 is 2 on the right: the share is rounded up.
    #[test]
    fn trims_a_share_of_a_causal_overlap_on_the_right() {
        let config = TrimmedConvTranspose1dConfig::new(1, 1, 5, 2).with_padding(Padding::Causal);
        let trimmed = |ratio| upsampled(&config.clone().with_trim_right_ratio(ratio));
        assert_eq!(trimmed(0.4), [102.0, 113.0, 124.0, 135.0]);
        assert_eq!(trimmed(0.0), [124.0, 135.0, 140.0, 150.0]);
    }

    /// The mean and the variance are those of all seven samples, of which four are left.
    #[test]
    fn normalizes_before_trimming() {
        let config = TrimmedConvTranspose1dConfig::new(1, 1, 5, 2).with_padding(Padding::Causal);
        let got = upsampled(&config.with_norm(ConvNorm::TimeGroup));
        let all = [101.0, 102.0, 113.0, 124.0, 135.0, 140.0, 150.0f32];
        let mean = all.iter().sum::<f32>() / 7.0;
        let variance = all.iter().map(|y| (y - mean).powi(2)).sum::<f32>() / 7.0;
        for (got, y) in got.into_iter().zip(all) {
            assert!((got - (y - mean) / variance.sqrt()).abs() < 1e-5);
        }
    }
}
