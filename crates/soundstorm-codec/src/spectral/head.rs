//! The head: magnitude and phase of every bin, and the inverse transform (Siuzdak 2023, section 3.2).

use burn::prelude::*;
use burn::tensor::DType;
use soundstorm_nn::{Linear, LinearConfig, linear};

use super::SpectralConfig;
use crate::stft::{InverseStft, Spectrum, bins};

/// Frames to audio.
///
/// The phase is given as an angle of any size, of which only cosine and sine are used: nothing
/// jumps where it turns around.
#[derive(Module, Debug)]
pub struct SpectralHead<B: Backend> {
    /// To each bin's logarithmic magnitude, then to each bin's phase.
    pub output: Linear<B>,
    inverse: InverseStft<B>,
    /// No signal within ±1 has a louder bin: the logarithm of the window's sum.
    loudest: f64,
}

impl SpectralConfig {
    pub(super) fn init_head<B: Backend>(&self, device: &B::Device) -> SpectralHead<B> {
        SpectralHead {
            output: LinearConfig::new(self.dimension, 2 * bins(self.window)).init(device),
            inverse: InverseStft::new(self.window, self.hop, device),
            loudest: (self.window as f64 / 2.0).ln(),
        }
    }
}

impl<B: Backend> SpectralHead<B> {
    /// # Shapes
    /// - x: `[batch, frames, dimension]`
    /// - output: `[batch, 1, frames * hop]`, in 32 bits
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [batch, _, _] = x.dims();
        let x = linear(x, &self.output).cast(DType::F32);
        let [_, _, both] = x.dims();
        let magnitude = x.clone().narrow(2, 0, both / 2);
        let magnitude = magnitude.clamp_max(self.loudest).exp();
        let phase = x.narrow(2, both / 2, both / 2);
        let wave = self.inverse.forward(Spectrum {
            real: magnitude.clone() * phase.clone().cos(),
            imaginary: magnitude * phase.sin(),
        });
        let [_, samples] = wave.dims();
        wave.reshape([batch, 1, samples])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    /// However loud the head would be, no bin is louder than that of a full-scale signal.
    #[test]
    fn no_bin_is_louder_than_a_full_signal() {
        let config = SpectralConfig {
            window: 20,
            hop: 5,
            dimension: 3,
            ..SpectralConfig::default()
        };
        let bins = bins(20);
        // All in the bin of 0 Hz, at phase 0: a constant.
        let wave = |magnitude: f32| {
            let mut head = config.init_head::<B>(&Default::default());
            let mut bias = vec![-90.0; bins];
            bias[0] = magnitude.ln();
            bias.resize(2 * bins, 0.0);
            let bias = Tensor::<B, 1>::from_floats(bias.as_slice(), &Default::default());
            head.output.weight = head.output.weight.map(|weight| weight * 0.0);
            head.output.bias = head.output.bias.map(|old| old.map(|_| bias));
            let wave = head.forward(Tensor::zeros([1, 7, 3], &Default::default()));
            wave.narrow(2, 15, 1).into_scalar()
        };
        // Four windows add up to 2 wherever they overlap, and their squares to 3 / 2.
        for (magnitude, expected) in [(5.0, 5.0), (9.9, 9.9), (10.1, 10.0), (f32::MAX, 10.0)] {
            let expected = expected / 20.0 * 4.0 / 3.0;
            let got = wave(magnitude);
            assert!((got - expected).abs() < 1e-5, "{got}, {expected}");
        }
    }
}
