//! Multi-resolution STFT distance (Yamamoto et al. 2020, arXiv 1910.11480, equations 3 to 6).

use super::{MetricError, Result, error::check};
use crate::spectrum::Stft;

/// Powers below this count as this: a magnitude of 3.2e-4 for an unscaled spectrum, as in the paper's code.
const FLOOR: f64 = 1e-7;

/// One resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StftScale {
    /// Points of the transform.
    pub fft: usize,
    /// Samples of the window, at most `fft`.
    pub window: usize,
    /// Samples from frame to frame.
    pub hop: usize,
}

impl StftScale {
    /// The three of the paper's Table 1, which belong to 24 kHz.
    pub const PAPER: [Self; 3] = [
        Self::new(1024, 600, 120),
        Self::new(2048, 1200, 240),
        Self::new(512, 240, 50),
    ];

    /// A transform of `fft` points, windows of `window` samples, `hop` apart.
    pub const fn new(fft: usize, window: usize, hop: usize) -> Self {
        Self { fft, window, hop }
    }

    /// The transform.
    ///
    /// # Errors
    /// [`MetricError::Scale`] where a number is zero or the window is longer than the transform.
    pub(super) fn stft(self, metric: &'static str) -> Result<Stft> {
        let Self { fft, window, hop } = self;
        if fft == 0 || window == 0 || hop == 0 || window > fft {
            return Err(MetricError::Scale {
                metric,
                detail: format!(
                    "a transform of {fft} points, a window of {window} samples and a hop of {hop} do not go together"
                ),
            });
        }
        Ok(Stft::new(fft, window, hop))
    }
}

/// Means over the resolutions; zero where both signals are the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StftDistance {
    /// The Frobenius norm of the difference of magnitudes, over the reference's. Has no unit, and is not symmetric.
    pub spectral_convergence: f64,
    /// The mean distance of the magnitudes' natural logarithms. Symmetric.
    pub log_magnitude: f64,
}

impl StftDistance {
    /// The paper's distance: the sum of both.
    pub fn total(&self) -> f64 {
        self.spectral_convergence + self.log_magnitude
    }
}

/// How far the magnitudes of two signals' spectra lie apart, over several resolutions.
///
/// # Errors
/// [`MetricError::Length`], [`MetricError::Empty`] (also where there is no scale) and [`MetricError::NonFinite`];
/// [`MetricError::Scale`] for sizes that make no spectrum.
pub fn stft_distance(
    reference: &[f32],
    estimate: &[f32],
    scales: &[StftScale],
) -> Result<StftDistance> {
    const METRIC: &str = "STFT distance";
    check(METRIC, reference, estimate)?;
    if scales.is_empty() {
        return Err(MetricError::Empty { metric: METRIC });
    }
    let mut sum = StftDistance {
        spectral_convergence: 0.0,
        log_magnitude: 0.0,
    };
    for scale in scales {
        let one = at_scale(reference, estimate, scale.stft(METRIC)?);
        sum.spectral_convergence += one.spectral_convergence;
        sum.log_magnitude += one.log_magnitude;
    }
    let count = scales.len() as f64;
    Ok(StftDistance {
        spectral_convergence: sum.spectral_convergence / count,
        log_magnitude: sum.log_magnitude / count,
    })
}

fn at_scale(reference: &[f32], estimate: &[f32], mut stft: Stft) -> StftDistance {
    let frames = stft.frames(reference.len());
    let (mut difference, mut energy, mut logs) = (0.0, 0.0, 0.0);
    let mut expected = Vec::with_capacity(stft.bins());
    for frame in 0..frames {
        expected.clear();
        expected.extend(stft.powers(reference, frame).map(|p| p.max(FLOOR)));
        let got = stft.powers(estimate, frame).map(|p| p.max(FLOOR));
        for (expected, got) in expected.iter().zip(got) {
            difference += (expected.sqrt() - got.sqrt()).powi(2);
            energy += expected;
            logs += 0.5 * (expected / got).ln().abs();
        }
    }
    StftDistance {
        spectral_convergence: (difference / energy).sqrt(),
        log_magnitude: logs / (frames * stft.bins()) as f64,
    }
}
