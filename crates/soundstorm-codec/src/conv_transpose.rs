//! Transposed convolution that trims what its windows overlap: exactly `frames * stride` samples.

use burn::module::Param;
use burn::prelude::*;
use soundstorm_nn::conv_transpose1d;

use crate::init::uniform;
use crate::{ConvNorm, Padding, TimeGroupNorm};

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
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

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
