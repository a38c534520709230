//! The gate at the end of a residual unit (squeeze and excitation, Hu et al. 2018, as
//! audiolm-pytorch has it).

use burn::prelude::*;
use burn::tensor::activation::sigmoid;
use soundstorm_nn::swish;

use crate::{PaddedConv1d, PaddedConv1dConfig};

/// How many times narrower the gate is inside.
const REDUCTION: usize = 4;
/// The fewest channels inside.
const NARROWEST: usize = 8;

/// `x * sigmoid(output(swish(input(means))))`.
///
/// The means are those of each channel and all channels before it, sample by sample. In the paper
/// they go over time; the package says so too, and goes over the other axis.
#[derive(Module, Debug)]
pub struct SqueezeExcite<B: Backend> {
    /// To the gate's inside; sees one sample.
    pub input: PaddedConv1d<B>,
    /// Back to all channels; sees one sample.
    pub output: PaddedConv1d<B>,
}

/// Channels inside the gate.
pub(super) fn inner(channels: usize) -> usize {
    NARROWEST.max(channels / REDUCTION)
}

impl<B: Backend> SqueezeExcite<B> {
    pub(super) fn new(channels: usize, device: &B::Device) -> Self {
        let inner = inner(channels);
        Self {
            input: PaddedConv1dConfig::new(channels, inner, 1).init(device),
            output: PaddedConv1dConfig::new(inner, channels, 1).init(device),
        }
    }

    /// # Shapes
    /// - x, output: `[batch, channels, samples]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [_, channels, _] = x.dims();
        let counts = Tensor::<B, 1, Int>::arange(1..channels as i64 + 1, &x.device());
        let counts = counts.float().cast(x.dtype()).reshape([1, channels, 1]);
        let means = x.clone().cumsum(1).div(counts);
        let gate = self.output.forward(swish(self.input.forward(means)));
        x * sigmoid(gate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    /// Every number by itself.
    #[test]
    fn a_channel_is_gated_by_the_means_up_to_each_channel() {
        let device = Default::default();
        let (channels, samples) = (5, 3);
        let gate = SqueezeExcite::<B>::new(channels, &device);
        let x = Tensor::random(
            [2, channels, samples],
            Distribution::Normal(0.0, 1.0),
            &device,
        );
        let numbers = |x: Tensor<B, 1>| x.into_data().iter::<f32>().collect::<Vec<_>>();
        let of = |conv: &PaddedConv1d<B>| {
            let weight = conv.weight.val().reshape([-1]);
            (numbers(weight), numbers(conv.bias.val()))
        };
        let (input, output) = (of(&gate.input), of(&gate.output));
        let dense = |(weight, bias): &(Vec<f32>, Vec<f32>), x: &[f32]| -> Vec<f32> {
            let rows = weight.chunks(x.len()).zip(bias);
            rows.map(|(row, bias)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + bias)
                .collect()
        };
        let logistic = |x: f32| 1.0 / (1.0 + (-x).exp());
        let mut expected = vec![0.0; 2 * channels * samples];
        let flat = numbers(x.clone().reshape([-1]));
        for row in 0..2 {
            for sample in 0..samples {
                let at = |channel| (row * channels + channel) * samples + sample;
                let values: Vec<f32> = (0..channels).map(|channel| flat[at(channel)]).collect();
                let means: Vec<f32> = (1..=channels)
                    .map(|count| values[..count].iter().sum::<f32>() / count as f32)
                    .collect();
                let inside = dense(&input, &means);
                assert_eq!(inside.len(), 8);
                let inside: Vec<f32> = inside.iter().map(|x| x * logistic(*x)).collect();
                for (channel, gate) in dense(&output, &inside).into_iter().enumerate() {
                    expected[at(channel)] = values[channel] * logistic(gate);
                }
            }
        }
        let expected = TensorData::new(expected, [2, channels, samples]);
        gate.forward(x)
            .into_data()
            .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    }
}
