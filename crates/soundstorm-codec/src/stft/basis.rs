//! The matrices of the transform and its inverse, with the window in both.

use std::f64::consts::TAU;

use burn::prelude::*;
use burn::tensor::DType;

use super::bins;

/// The periodic Hann window.
pub(super) fn hann(window: usize) -> Vec<f64> {
    let at = |n: usize| 0.5 - 0.5 * (TAU * n as f64 / window as f64).cos();
    (0..window).map(at).collect()
}

/// From a frame's samples to the real and then the imaginary parts of its bins.
///
/// # Shapes
/// - output: `[window, 2 * bins]`
pub(super) fn analysis<B: Backend>(window: usize, device: &B::Device) -> Tensor<B, 2> {
    let circle = Circle::new(window);
    let hann = hann(window);
    let mut numbers = Vec::with_capacity(window * 2 * bins(window));
    for (n, weight) in hann.into_iter().enumerate() {
        let angles = || (0..bins(window)).map(|bin| circle.at(bin, n));
        numbers.extend(angles().map(|(cos, _)| (weight * cos) as f32));
        numbers.extend(angles().map(|(_, sin)| (-weight * sin) as f32));
    }
    constant(numbers, [window, 2 * bins(window)], device)
}

/// Back from the bins to the samples, weighted by the window.
///
/// # Shapes
/// - output: `[2 * bins, window]`
pub(super) fn synthesis<B: Backend>(window: usize, device: &B::Device) -> Tensor<B, 2> {
    let circle = Circle::new(window);
    let hann = hann(window);
    let mut numbers = Vec::with_capacity(window * 2 * bins(window));
    for imaginary in [false, true] {
        for bin in 0..bins(window) {
            // All bins but the ends stand for their mirror image too.
            let is_end = bin == 0 || 2 * bin == window;
            let share = if is_end { 1.0 } else { 2.0 } / window as f64;
            numbers.extend(hann.iter().enumerate().map(|(n, weight)| {
                let (cos, sin) = circle.at(bin, n);
                let wave = if imaginary { -sin } else { cos };
                (share * weight * wave) as f32
            }));
        }
    }
    constant(numbers, [2 * bins(window), window], device)
}

/// In 32 bits, whatever the device's default.
pub(super) fn constant<B: Backend, const D: usize>(
    numbers: Vec<f32>,
    shape: [usize; D],
    device: &B::Device,
) -> Tensor<B, D> {
    Tensor::from_data(TensorData::new(numbers, shape), (device, DType::F32))
}

/// Cosines and sines of a window's parts of a turn, which all bins take from.
struct Circle(Vec<(f64, f64)>);

impl Circle {
    fn new(window: usize) -> Self {
        let at = |n: usize| {
            let (sin, cos) = (TAU * n as f64 / window as f64).sin_cos();
            (cos, sin)
        };
        Self((0..window).map(at).collect())
    }

    fn at(&self, bin: usize, sample: usize) -> (f64, f64) {
        self.0[bin * sample % self.0.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn the_window_is_periodic() {
        for (got, expected) in hann(4).into_iter().zip([0.0, 0.5, 1.0, 0.5]) {
            assert!((got - expected).abs() < 1e-12, "{got}");
        }
    }

    /// A cosine of bin 3, in phase, has half the window's sum in its real part.
    #[test]
    fn a_cosine_is_found_in_its_bin() {
        let window = 23;
        let wave = (0..window).map(|n| (TAU * 3.0 * n as f64 / window as f64).cos() as f32);
        let frame = constant::<B, 2>(wave.collect(), [1, window], &Default::default());
        let found = frame.matmul(analysis(window, &Default::default()));
        let found: Vec<f32> = found.into_data().iter().collect();
        assert!((found[3] - window as f32 / 4.0).abs() < 1e-5);
        // Hann spreads half of it to each neighbour, with the other sign.
        assert!((found[2] + window as f32 / 8.0).abs() < 1e-5);
        assert!(found[5].abs() < 1e-5 && found[bins(window) + 3].abs() < 1e-5);
    }
}
