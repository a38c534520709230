//! The short-time Fourier transform and its inverse, as products with fixed matrices: on a
//! processor a product of a thousand points costs less than a transform that backends do not have,
//! and its gradient is another product.

mod basis;
mod forward;
mod frames;
mod inverse;

pub use forward::Stft;
pub use inverse::InverseStft;

use burn::prelude::*;

/// The longest window that configurations may have: its matrix has as many numbers as its square.
pub(crate) const LONGEST: usize = 1 << 13;

/// The bins of every frame, from 0 Hz to half the sample rate.
#[derive(Debug, Clone)]
pub struct Spectrum<B: Backend> {
    /// Real parts, `[batch, frames, bins]`
    pub real: Tensor<B, 3>,
    /// Imaginary parts, `[batch, frames, bins]`
    pub imaginary: Tensor<B, 3>,
}

impl<B: Backend> Spectrum<B> {
    /// Squared magnitudes, `[batch, frames, bins]`.
    pub fn power(&self) -> Tensor<B, 3> {
        let square = |x: &Tensor<B, 3>| x.clone().mul(x.clone());
        square(&self.real) + square(&self.imaginary)
    }
}

/// Bins of a window.
pub fn bins(window: usize) -> usize {
    window / 2 + 1
}

/// Samples before and after a signal with which every hop of it has a frame of its own, and its
/// frames are centered on their hops.
pub(crate) fn padding(window: usize, hop: usize) -> (usize, usize) {
    let left = (window - hop) / 2;
    (left, window - hop - left)
}

/// Fails unless frames overlap evenly.
fn assert_overlap(window: usize, hop: usize) {
    assert!(
        hop > 0 && window.is_multiple_of(hop) && window / hop >= 2,
        "a window of {window} samples is not two or more hops of {hop}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::pad_zeros;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    fn noise(shape: [usize; 2]) -> Tensor<B, 2> {
        let normal = Distribution::Normal(0.0, 1.0);
        Tensor::random(shape, normal, &Default::default())
    }

    /// Windows of odd and even lengths, and as few frames as one.
    #[test]
    fn what_passes_through_comes_back() {
        let device = Default::default();
        for (window, hop) in [(20, 5), (21, 7), (12, 6), (64, 16), (33, 3)] {
            let (left, right) = padding(window, hop);
            let (stft, inverse) = (
                Stft::new(window, hop, &device),
                InverseStft::new(window, hop, &device),
            );
            for frames in [1, 2, 3, 11] {
                let signal = noise([3, frames * hop]);
                let spectrum = stft.forward(pad_zeros(signal.clone(), left, right));
                assert_eq!(spectrum.real.dims(), [3, frames, bins(window)]);
                let tolerance = Tolerance::absolute(1e-5);
                inverse
                    .forward(spectrum)
                    .into_data()
                    .assert_approx_eq::<f32>(&signal.into_data(), tolerance);
            }
        }
    }

    /// The same when only magnitudes and phases are handed on.
    #[test]
    fn magnitudes_and_phases_are_enough() {
        let device = Default::default();
        let (window, hop) = (28, 7);
        let signal = noise([2, 13 * hop]);
        let (left, right) = padding(window, hop);
        let spectrum =
            Stft::new(window, hop, &device).forward(pad_zeros(signal.clone(), left, right));
        let magnitude = spectrum.power().sqrt();
        let phase = spectrum.imaginary.atan2(spectrum.real);
        let spectrum = Spectrum {
            real: magnitude.clone() * phase.clone().cos(),
            imaginary: magnitude * phase.sin(),
        };
        InverseStft::new(window, hop, &device)
            .forward(spectrum)
            .into_data()
            .assert_approx_eq::<f32>(&signal.into_data(), Tolerance::absolute(1e-5));
    }
}
