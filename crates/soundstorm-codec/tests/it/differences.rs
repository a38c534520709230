//! Gradients beside finite differences.

use burn::prelude::*;
use burn::tensor::Distribution;
use soundstorm_codec::stft::Stft;

use crate::support::B;

pub(crate) type A = burn_autodiff::Autodiff<B>;

pub(crate) fn normal<Bk: Backend, const D: usize>(shape: [usize; D]) -> Tensor<Bk, D> {
    let normal = Distribution::Normal(0.0, 1.0);
    Tensor::random(shape, normal, &Default::default())
}

/// A signal none of whose bins is near zero: there a magnitude turns around, its logarithm falls
/// without end, and a difference says nothing about a gradient.
///
/// # Arguments
/// - `windows`: those of its spectra, and `pad` what stands around it for each
pub(crate) fn clear(
    shape: [usize; 3],
    windows: &[usize],
    pad: impl Fn(Tensor<B, 3>, usize) -> Tensor<B, 3>,
) -> Tensor<B, 3> {
    let is_clear = |signal: &Tensor<B, 3>| {
        windows.iter().all(|&window| {
            let padded = pad(signal.clone(), window);
            let [batch, _, samples] = padded.dims();
            let stft = Stft::new(window, window / 4, &Default::default());
            let power = stft.forward(padded.reshape([batch, samples])).power();
            let mean = power.clone().mean().into_scalar();
            power.min().into_scalar() > 1e-3 * mean
        })
    };
    let mut signals = (0..10_000).map(|_| normal(shape));
    signals.find(is_clear).unwrap()
}

/// Asserts that `f` changes as its gradient says, along random directions and along the gradient,
/// whose steps are `step` times a normal number in each coordinate.
pub(crate) fn assert_gradient<const D: usize>(
    x: Tensor<B, D>,
    step: f64,
    f: impl Fn(Tensor<A, D>) -> Tensor<A, 1>,
) {
    let tracked = Tensor::<A, D>::from_inner(x.clone()).require_grad();
    let gradient = tracked.grad(&f(tracked.clone()).backward()).unwrap();
    let length = |x: &Tensor<B, D>| x.clone().powi_scalar(2).sum().into_scalar().sqrt();
    let size = length(&gradient);
    assert!(size.is_finite() && size > 0.0);
    let at = |step: f64, direction: &Tensor<B, D>| {
        let moved = x.clone() + direction.clone() * step;
        f64::from(f(Tensor::from_inner(moved)).into_scalar())
    };
    let along = normal::<B, D>(x.dims());
    // As long as the others are.
    let uphill = gradient.clone() * (length(&along) / size);
    for direction in [along, normal(x.dims()), normal(x.dims()), uphill] {
        let difference = (at(step, &direction) - at(-step, &direction)) / (2.0 * step);
        let expected = (gradient.clone() * direction).sum().into_scalar();
        let error = (difference - f64::from(expected)).abs();
        let share = error / f64::from(size.max(expected.abs()));
        assert!(share < 0.02, "{difference} is not {expected}, of {size}");
    }
}
