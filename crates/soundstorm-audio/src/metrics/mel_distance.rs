//! Multi-scale mel distance (Kumar et al. 2023, arXiv 2306.06546, "Loss functions").

use super::{MetricError, Result, StftScale, error::check};
use crate::spectrum::{MelBands, Stft};

/// Bands below this count as this, in magnitude.
const FLOOR: f64 = 1e-5;
/// Windows to a hop.
const OVERLAP: usize = 4;

/// One scale: a hop of a quarter of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MelScale {
    /// Samples of the window, and points of the transform; 4 at least.
    pub window: usize,
    /// Mel bands (Slaney's), from 0 to half the sample rate.
    pub bands: usize,
}

impl MelScale {
    /// The paper's seven.
    pub const PAPER: [Self; 7] = [
        Self::new(32, 5),
        Self::new(64, 10),
        Self::new(128, 20),
        Self::new(256, 40),
        Self::new(512, 80),
        Self::new(1024, 160),
        Self::new(2048, 320),
    ];

    /// Windows of `window` samples, `bands` mel bands.
    pub const fn new(window: usize, bands: usize) -> Self {
        Self { window, bands }
    }
}

/// The distance of two signals' mel magnitudes: the mean over frames and bands of the distance of their logarithms to
/// base 10 (one is 20 dB), added up over the scales. Symmetric; zero where both are the same.
///
/// # Errors
/// [`MetricError::Length`], [`MetricError::Empty`] (also where there is no scale) and [`MetricError::NonFinite`];
/// [`MetricError::Scale`] for sizes that make no spectrum, or a rate of zero.
pub fn mel_distance(
    reference: &[f32],
    estimate: &[f32],
    sample_rate: u32,
    scales: &[MelScale],
) -> Result<f64> {
    const METRIC: &str = "mel distance";
    check(METRIC, reference, estimate)?;
    if scales.is_empty() {
        return Err(MetricError::Empty { metric: METRIC });
    }
    let mut sum = 0.0;
    for MelScale { window, bands } in scales.iter().copied() {
        if bands == 0 || sample_rate == 0 {
            return Err(MetricError::Scale {
                metric: METRIC,
                detail: format!("there are {bands} mel bands at {sample_rate} Hz"),
            });
        }
        let stft = StftScale::new(window, window, window / OVERLAP).stft(METRIC)?;
        let mel = MelBands::new(bands, window, sample_rate);
        sum += at_scale(reference, estimate, stft, &mel);
    }
    Ok(sum)
}

fn at_scale(reference: &[f32], estimate: &[f32], mut stft: Stft, mel: &MelBands) -> f64 {
    let frames = stft.frames(reference.len());
    let (mut sum, mut count) = (0.0, 0_usize);
    let mut magnitudes = [Vec::new(), Vec::new()];
    for frame in 0..frames {
        for (magnitudes, signal) in magnitudes.iter_mut().zip([reference, estimate]) {
            magnitudes.clear();
            magnitudes.extend(stft.powers(signal, frame).map(f64::sqrt));
        }
        let [expected, got] = &magnitudes;
        for (expected, got) in mel.sums(expected).zip(mel.sums(got)) {
            sum += (expected.max(FLOOR) / got.max(FLOOR)).log10().abs();
            count += 1;
        }
    }
    sum / count as f64
}
