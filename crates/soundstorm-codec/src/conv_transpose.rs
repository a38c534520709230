//! Transposed convolution that trims what its windows overlap: exactly `frames * stride` samples.

use burn::module::Param;
use burn::prelude::*;
use soundstorm_nn::conv_transpose1d;

use crate::Padding;
use crate::init::uniform;

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
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let range = [left, frames * self.stride];
        conv_transpose1d(x, weight, Some(bias), self.stride, range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

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
