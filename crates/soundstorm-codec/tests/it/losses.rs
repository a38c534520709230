//! Losses: numbers of `xtask/fixtures/losses.py`, gradients, and what a distance is.

use burn::prelude::*;
use soundstorm_codec::losses::{MelLossConfig, MelScale, StftLossConfig, StftTerms};
use soundstorm_codec::{PadMode, pad};

use crate::differences::{A, assert_gradient, clear, normal};
use crate::support::{B, Tensors, folder};

fn mel(scales: &[(usize, usize)]) -> MelLossConfig {
    let scales = scales.iter();
    MelLossConfig {
        sample_rate: 16_000,
        scales: scales
            .map(|&(window, bands)| MelScale { window, bands })
            .collect(),
    }
}

fn mel_loss<Bk: Backend>(
    scales: &[(usize, usize)],
    estimate: Tensor<Bk, 3>,
    reference: Tensor<Bk, 3>,
) -> Tensor<Bk, 1> {
    let loss = mel(scales).init(&Default::default()).unwrap();
    loss.forward(estimate, reference)
}

fn stft_loss<Bk: Backend>(
    windows: &[usize],
    estimate: Tensor<Bk, 3>,
    reference: Tensor<Bk, 3>,
) -> StftTerms<Bk> {
    let windows = windows.to_vec();
    let loss = StftLossConfig { windows }.init(&Default::default());
    loss.unwrap().forward(estimate, reference)
}

fn assert_near(got: f32, expected: f32, what: &str) {
    let error = (got - expected).abs();
    assert!(error < 1e-4 * expected, "{what}: {got} is not {expected}");
}

#[test]
fn losses_are_numpys() {
    let fixture = Tensors::read(&folder("losses").join("losses.safetensors"));
    let number = |name: &str| fixture.float::<1>(name).into_scalar();
    let (estimate, reference) = (fixture.float("estimate"), fixture.float("reference"));
    let scales = [(32, 5), (128, 20), (512, 80), (2048, 320)];
    let mut sum = 0.0;
    for (window, bands) in scales {
        let loss = mel_loss::<B>(&[(window, bands)], estimate.clone(), reference.clone());
        let expected = number(&format!("mel.{window}.{bands}"));
        assert_near(loss.into_scalar(), expected, &format!("mel {window}"));
        sum += expected;
    }
    let loss = mel_loss::<B>(&scales, estimate.clone(), reference.clone());
    assert_near(loss.into_scalar(), sum, "all scales");

    let windows = [64, 512, 1024];
    let mut means = [0.0; 2];
    for window in windows {
        let terms = stft_loss::<B>(&[window], estimate.clone(), reference.clone());
        let got = [terms.convergence, terms.log_magnitude].map(|term| term.into_scalar());
        let expected =
            ["convergence", "log_magnitude"].map(|name| number(&format!("{name}.{window}")));
        for ((got, expected), mean) in got.into_iter().zip(expected).zip(&mut means) {
            assert_near(got, expected, &format!("window {window}"));
            *mean += expected / 3.0;
        }
    }
    let terms = stft_loss::<B>(&windows, estimate, reference);
    assert_near(terms.convergence.into_scalar(), means[0], "convergence");
    assert_near(terms.log_magnitude.into_scalar(), means[1], "log magnitude");
}

/// Of equal signals the least, also its gradient; more and more as they part.
#[test]
fn losses_grow_with_the_distance() {
    let (signal, noise) = (normal::<A, 3>([2, 1, 331]), normal::<A, 3>([2, 1, 331]));
    let losses = |share: f64| {
        let estimate = signal.clone() + noise.clone() * share;
        let stft = |x| stft_loss(&[20, 64], x, signal.clone());
        let mel = |x| mel_loss(&[(32, 7), (64, 11)], x, signal.clone());
        let number = |loss: &dyn Fn(Tensor<A, 3>) -> Tensor<A, 1>| {
            let estimate = estimate.clone().detach().require_grad();
            let loss = loss(estimate.clone());
            let gradient = estimate.grad(&loss.backward()).unwrap();
            assert!(gradient.abs().max().into_scalar().is_finite());
            loss.into_scalar()
        };
        [
            number(&|x| stft(x).convergence),
            number(&|x| stft(x).log_magnitude),
            number(&mel),
        ]
    };
    let mut before = losses(0.0);
    assert!(before.iter().all(|&loss| (0.0..1e-6).contains(&loss)));
    for share in [0.01, 0.1, 1.0, 10.0] {
        let after = losses(share);
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| before < after)
        );
        before = after;
    }
}

/// A row's loss is its own: that of two rows is the mean of theirs.
#[test]
fn rows_are_averaged() {
    let (estimate, reference) = (normal::<B, 3>([2, 1, 331]), normal::<B, 3>([2, 1, 331]));
    // One row much louder than the other.
    let loud = Tensor::<B, 3>::from_floats([[[1.0]], [[100.0]]], &Default::default());
    let (estimate, reference) = (estimate * loud.clone(), reference * loud);
    let losses = |first: usize, rows: usize| {
        let [estimate, reference] =
            [&estimate, &reference].map(|audio| audio.clone().narrow(0, first, rows));
        let terms = stft_loss(&[20, 64], estimate.clone(), reference.clone());
        let mel = mel_loss(&[(32, 7)], estimate, reference);
        [terms.convergence, terms.log_magnitude, mel].map(|loss| loss.into_scalar())
    };
    let (both, one, other) = (losses(0, 2), losses(0, 1), losses(1, 1));
    for ((both, one), other) in both.into_iter().zip(one).zip(other) {
        assert_near(both, (one + other) / 2.0, "mean");
    }
}

/// One row is louder than its reference, the other less loud: no logarithms cross.
#[test]
fn gradients_are_those_of_differences() {
    let mirrored = |x, window| pad(x, window / 2, window / 2, PadMode::Reflect);
    let estimate = clear([2, 1, 29], &[16, 20, 32], mirrored);
    let loudness = Tensor::<B, 3>::from_floats([[[0.6]], [[1.7]]], &Default::default());
    let reference = Tensor::<A, 3>::from_inner(estimate.clone() * loudness);
    let check =
        |f: &dyn Fn(Tensor<A, 3>) -> Tensor<A, 1>| assert_gradient(estimate.clone(), 2e-4, f);
    check(&|x| mel_loss(&[(32, 7), (16, 3)], x, reference.clone()));
    check(&|x| stft_loss(&[20, 32], x, reference.clone()).convergence);
    check(&|x| stft_loss(&[20, 32], x, reference.clone()).log_magnitude);
}

/// Where there is nothing a magnitude has no direction, but its gradient is a number.
#[test]
fn silence_has_a_gradient() {
    let device = Default::default();
    let silence = || Tensor::<A, 3>::zeros([1, 1, 97], &device).require_grad();
    let reference = normal::<A, 3>([1, 1, 97]);
    let check = |f: &dyn Fn(Tensor<A, 3>) -> Tensor<A, 1>| {
        let silence = silence();
        let gradient = silence.grad(&f(silence.clone()).backward()).unwrap();
        assert!(gradient.abs().max().into_scalar().is_finite());
    };
    check(&|x| mel_loss(&[(32, 7), (16, 3)], x, reference.clone()));
    check(&|x| stft_loss(&[20, 32], x, reference.clone()).convergence);
    check(&|x| stft_loss(&[20, 32], x, reference.clone()).log_magnitude);
}

/// Signals shorter than half a window are filled up before they are mirrored.
#[test]
fn short_signals_have_a_loss() {
    let (estimate, reference) = (normal::<B, 3>([1, 1, 5]), normal::<B, 3>([1, 1, 5]));
    let loss = mel_loss(&[(32, 7)], estimate, reference).into_scalar();
    assert!(loss.is_finite() && loss > 0.0);
}
