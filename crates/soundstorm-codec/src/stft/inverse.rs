//! The inverse transform (Griffin and Lim 1984): windowed frames added up, over the windows' sum.

use burn::prelude::*;
use burn::tensor::DType;
use soundstorm_nn::{Packed, affine};

use super::{Spectrum, assert_overlap, basis, frames::overlap_add, padding};

/// The inverse of [`Stft`](super::Stft), with a hop of samples for each frame.
#[derive(Module, Debug)]
pub struct InverseStft<B: Backend> {
    basis: Tensor<B, 2>,
    /// The squared window, `[1, 1, window]`.
    squares: Tensor<B, 3>,
    window: usize,
    hop: usize,
}

impl<B: Backend> InverseStft<B> {
    /// Frames of `window` samples, `hop` samples apart.
    ///
    /// # Panics
    /// If the window is not two or more hops.
    pub fn new(window: usize, hop: usize, device: &B::Device) -> Self {
        assert_overlap(window, hop);
        let squares = basis::hann(window).into_iter();
        let squares = squares.map(|weight| (weight * weight) as f32).collect();
        Self {
            basis: basis::synthesis(window, device),
            squares: basis::constant(squares, [1, 1, window], device),
            window,
            hop,
        }
    }

    /// The signal whose frames come nearest to the spectrum's.
    ///
    /// # Shapes
    /// - spectrum: `[batch, frames, bins]`, in 32 bits
    /// - output: `[batch, frames * hop]`: what stands before the first frame's hop and after the
    ///   last one's is cut off
    pub fn forward(&self, spectrum: Spectrum<B>) -> Tensor<B, 2> {
        let parts = Tensor::cat(vec![spectrum.real, spectrum.imaginary], 2).cast(DType::F32);
        let [_, count, _] = parts.dims();
        let frames = affine(parts, self.basis.clone(), None, &Packed::default());
        let squares = self.squares.clone().expand([1, count, self.window]);
        let (left, _) = padding(self.window, self.hop);
        let middle = |frames| overlap_add(frames, self.hop).narrow(1, left, count * self.hop);
        middle(frames) / middle(squares)
    }
}
