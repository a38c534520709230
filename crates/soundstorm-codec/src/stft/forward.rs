//! The transform.

use burn::prelude::*;
use burn::tensor::DType;
use soundstorm_nn::{Packed, affine};

use super::{Spectrum, assert_overlap, basis, bins, frames::frames};

/// The short-time Fourier transform under a Hann window.
///
/// Its matrix is no parameter: it follows from the sizes, and is neither trained nor saved.
#[derive(Module, Debug)]
pub struct Stft<B: Backend> {
    basis: Tensor<B, 2>,
    window: usize,
    hop: usize,
}

impl<B: Backend> Stft<B> {
    /// Frames of `window` samples, `hop` samples apart.
    ///
    /// # Panics
    /// If the window is not two or more hops.
    pub fn new(window: usize, hop: usize, device: &B::Device) -> Self {
        assert_overlap(window, hop);
        Self {
            basis: basis::analysis(window, device),
            window,
            hop,
        }
    }

    /// Samples of a frame.
    pub fn window(&self) -> usize {
        self.window
    }

    /// The spectrum of every whole frame, in 32 bits; padding is the caller's.
    ///
    /// # Shapes
    /// - signal: `[batch, samples]`
    /// - output: `[batch, (samples - window) / hop + 1, bins]`
    ///
    /// # Panics
    /// If the signal is shorter than the window.
    pub fn forward(&self, signal: Tensor<B, 2>) -> Spectrum<B> {
        let frames = frames(signal.cast(DType::F32), self.window, self.hop);
        let parts = affine(frames, self.basis.clone(), None, &Packed::default());
        let bins = bins(self.window);
        Spectrum {
            real: parts.clone().narrow(2, 0, bins),
            imaginary: parts.narrow(2, bins, bins),
        }
    }
}
