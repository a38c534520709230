//! What the encoder is given of a spectrum.

use burn::prelude::*;

use crate::stft::Spectrum;

/// The least squared magnitude: a bin below it counts as silent.
const FLOOR: f64 = 1e-10;
/// The power to which magnitudes are raised where they carry the phase.
const COMPRESSION: f64 = 0.3;

/// Three numbers for each bin: its logarithmic magnitude, and its real and imaginary part with the
/// magnitude compressed.
///
/// Losses and the decoder's head work in logarithmic magnitudes, which alone would lose the phase.
/// A phase as an angle jumps; as a unit vector it would be as large in silent bins, where it is
/// noise, as in loud ones. With a compressed magnitude it fades with the bin, and still weak partials
/// are not lost beside strong ones.
///
/// # Shapes
/// - spectrum: `[batch, frames, bins]`
/// - output: `[batch, frames, 3 * bins]`
pub(super) fn features<B: Backend>(spectrum: Spectrum<B>) -> Tensor<B, 3> {
    let log_power = (spectrum.power() + FLOOR).log();
    let compressed = (log_power.clone() * ((COMPRESSION - 1.0) / 2.0)).exp();
    Tensor::cat(
        vec![
            log_power * 0.5,
            spectrum.real * compressed.clone(),
            spectrum.imaginary * compressed,
        ],
        2,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn magnitudes_are_compressed_and_phases_kept() {
        let bins = |numbers: [f32; 3]| Tensor::<B, 3>::from_data([[numbers]], &Default::default());
        let spectrum = Spectrum {
            real: bins([3.0, 0.0, 0.0]),
            imaginary: bins([-4.0, 0.01, 0.0]),
        };
        let got: Vec<f32> = features(spectrum).into_data().iter().collect();
        let strong = 5f32.powf(0.3);
        let weak = 0.01f32.powf(0.3);
        let expected = [
            5f32.ln(),
            0.01f32.ln(),
            1e-5f32.ln(),
            0.6 * strong,
            0.0,
            0.0,
            -0.8 * strong,
            weak,
            0.0,
        ];
        for (got, expected) in got.into_iter().zip(expected) {
            assert!((got - expected).abs() < 1e-4, "{got} is not {expected}");
        }
    }
}
