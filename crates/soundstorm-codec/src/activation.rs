//! Activations of SEANet codecs: ELU, and Snake (Ziyin, Hartwig and Ueda 2020).

use burn::module::{Initializer, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use soundstorm_nn::{elu, snake};

/// Which activation stands between the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationKind {
    /// `x` above zero, `exp(x) - 1` below.
    #[default]
    Elu,
    /// `x + sin(alpha x)^2 / alpha`, with one learned alpha per channel.
    Snake,
}

impl ActivationKind {
    /// An activation on `channels` channels.
    pub fn init<B: Backend>(self, channels: usize, device: &B::Device) -> Activation<B> {
        Activation {
            alpha: match self {
                Self::Elu => None,
                Self::Snake => Some(Initializer::Ones.init([channels], device)),
            },
        }
    }
}

/// ELU, or Snake where there is an alpha.
#[derive(Module, Debug)]
pub struct Activation<B: Backend> {
    /// Snake's frequency for each channel, `[channels]`; ELU has none.
    pub alpha: Option<Param<Tensor<B, 1>>>,
}

impl<B: Backend> Activation<B> {
    /// Applies the activation.
    ///
    /// # Shapes
    /// - x, output: `[batch, channels, frames]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        match &self.alpha {
            None => elu(x),
            Some(alpha) => snake(x, alpha.val()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    type B = burn_flex::Flex;

    #[test]
    fn elu_is_the_identity_above_zero_and_bounded_below() {
        let device = Default::default();
        let x = Tensor::<B, 3>::from_floats([[[-100.0, -1.0, 0.0, 2.0, 100.0]]], &device);
        let y = ActivationKind::Elu.init(1, &device).forward(x);
        let expected = TensorData::from([[[-1.0, (-1.0f32).exp() - 1.0, 0.0, 2.0, 100.0]]]);
        y.to_data()
            .assert_approx_eq::<f32>(&expected, Tolerance::default());
    }

    #[test]
    fn snake_has_an_alpha_for_each_channel() {
        let device = Default::default();
        let mut snake = ActivationKind::Snake.init::<B>(2, &device);
        let alphas = [0.5f32, 3.0];
        snake.alpha = Some(Param::from_data(alphas, &device));
        let x = Tensor::<B, 3>::from_floats([[[0.3, -2.0, 1.0], [0.3, -2.0, 1.0]]], &device);
        let y = snake.forward(x).to_data();
        let y = y.iter::<f32>().collect::<Vec<_>>();
        for (channel, alpha) in alphas.into_iter().enumerate() {
            for (frame, x) in [0.3f32, -2.0, 1.0].into_iter().enumerate() {
                let expected = x + (alpha * x).sin().powi(2) / alpha;
                assert!((y[channel * 3 + frame] - expected).abs() < 1e-6);
            }
        }
    }
}
