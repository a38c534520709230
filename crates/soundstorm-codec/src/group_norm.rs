//! Group normalization with a single group (Wu and He 2018): over all channels and frames of a row.

use burn::module::{Initializer, Param};
use burn::prelude::*;
use soundstorm_nn::group_norm;

/// Keeps a constant signal from being divided by zero, as in PyTorch.
const EPSILON: f64 = 1e-5;

/// What follows a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConvNorm {
    /// Nothing; a weight norm is folded into the weight.
    #[default]
    None,
    /// A [`TimeGroupNorm`].
    TimeGroup,
}

impl ConvNorm {
    /// The norm on `channels` channels, if there is one.
    pub fn init<B: Backend>(self, channels: usize, device: &B::Device) -> Option<TimeGroupNorm<B>> {
        match self {
            Self::None => None,
            Self::TimeGroup => Some(TimeGroupNorm {
                gamma: Initializer::Ones.init([channels], device),
                beta: Initializer::Zeros.init([channels], device),
            }),
        }
    }
}

/// Each row of the batch to mean 0 and variance 1 over all its channels and
/// frames, then each channel by its own scale and offset.
#[derive(Module, Debug)]
pub struct TimeGroupNorm<B: Backend> {
    /// Scale, `[channels]`
    pub gamma: Param<Tensor<B, 1>>,
    /// Offset, `[channels]`
    pub beta: Param<Tensor<B, 1>>,
}

impl<B: Backend> TimeGroupNorm<B> {
    /// Normalizes. Mean and variance are taken in 32 bits whatever the type of `x`.
    ///
    /// # Shapes
    /// - x, output: `[batch, channels, frames]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        group_norm(x, self.gamma.val(), self.beta.val(), EPSILON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use burn::tensor::{DType, Distribution, Tolerance};

    type B = burn_flex::Flex;

    fn norm(channels: usize) -> TimeGroupNorm<B> {
        let noise = |mean| Initializer::Normal { mean, std: 0.5 };
        let device = Default::default();
        TimeGroupNorm {
            gamma: noise(1.0).init([channels], &device),
            beta: noise(0.3).init([channels], &device),
        }
    }

    /// In 64 bits and by the definition.
    #[test]
    fn each_row_is_normalized_over_channels_and_frames() {
        let norm = norm(3);
        let noise = Distribution::Normal(2.0, 3.0);
        let x = Tensor::<B, 3>::random([2, 3, 7], noise, &Default::default());
        let y = norm.forward(x.clone()).to_data();
        let y = y.iter::<f64>().collect::<Vec<_>>();
        let numbers = |data: TensorData| data.iter::<f64>().collect::<Vec<_>>();
        let (x, gamma, beta) = (
            numbers(x.to_data()),
            numbers(norm.gamma.to_data()),
            numbers(norm.beta.to_data()),
        );
        for (x, y) in x.chunks(21).zip(y.chunks(21)) {
            let mean = x.iter().sum::<f64>() / 21.0;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 21.0;
            for (index, (x, y)) in x.iter().zip(y).enumerate() {
                let normal = (x - mean) / (variance + 1e-5).sqrt();
                let expected = normal * gamma[index / 7] + beta[index / 7];
                assert!((y - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn silence_stays_finite() {
        let norm = norm(2);
        let y = norm.forward(Tensor::zeros([1, 2, 5], &Default::default()));
        let beta = norm
            .beta
            .val()
            .unsqueeze_dims::<3>(&[0, -1])
            .repeat_dim(2, 5);
        y.to_data()
            .assert_approx_eq::<f32>(&beta.to_data(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn half_precision_comes_back_in_half() {
        let x = Tensor::<B, 3>::random([1, 2, 5], Distribution::Default, &Default::default());
        let y = norm(2).forward(x.cast(DType::BF16));
        assert_eq!(y.dtype(), DType::BF16);
    }
}
