//! Mel bands on Slaney's scale: linear below 1 kHz, logarithmic above (Slaney, Auditory Toolbox, 1998), triangles of
//! equal area, as librosa and the codecs trained with it have them.

/// Hz of a mel, below [`LOG_FROM`].
const LINEAR_HZ: f64 = 200.0 / 3.0;
/// Where the logarithmic part begins, in Hz.
const LOG_FROM: f64 = 1000.0;
/// Mels to a factor of 6.4 in the logarithmic part.
const LOG_MELS: f64 = 27.0;
const LOG_FACTOR: f64 = 6.4;

/// Hz in mels.
pub(crate) fn hz_to_mel(hz: f64) -> f64 {
    if hz < LOG_FROM {
        hz / LINEAR_HZ
    } else {
        LOG_FROM / LINEAR_HZ + (hz / LOG_FROM).ln() * LOG_MELS / LOG_FACTOR.ln()
    }
}

/// Mels in Hz.
pub(crate) fn mel_to_hz(mel: f64) -> f64 {
    let log_from = LOG_FROM / LINEAR_HZ;
    if mel < log_from {
        mel * LINEAR_HZ
    } else {
        LOG_FROM * ((mel - log_from) * LOG_FACTOR.ln() / LOG_MELS).exp()
    }
}

/// Triangles over the bins of a transform, equally wide in mels from 0 to half the sample rate.
pub(crate) struct MelBands {
    /// The first bin of each band, and the weights from there on.
    bands: Vec<(usize, Vec<f64>)>,
}

impl MelBands {
    /// `bands` triangles for a transform of `fft` points at `rate` Hz. A triangle between two bins is empty.
    pub(crate) fn new(bands: usize, fft: usize, rate: u32) -> Self {
        let bin = f64::from(rate) / fft as f64;
        let top = hz_to_mel(f64::from(rate) / 2.0);
        let corner = |index: usize| mel_to_hz(top * index as f64 / (bands + 1) as f64);
        let band = |index: usize| {
            let (low, middle, high) = (corner(index), corner(index + 1), corner(index + 2));
            let first = (low / bin).ceil() as usize;
            let last = ((high / bin).floor() as usize).min(fft / 2);
            let weight = |at: usize| {
                let hz = at as f64 * bin;
                let slope = ((hz - low) / (middle - low)).min((high - hz) / (high - middle));
                slope.max(0.0) * 2.0 / (high - low)
            };
            (first, (first..=last).map(weight).collect())
        };
        Self {
            bands: (0..bands).map(band).collect(),
        }
    }

    /// The weighted sum of each band over values of the transform's bins.
    pub(crate) fn sums(&self, bins: &[f64]) -> impl Iterator<Item = f64> {
        self.bands.iter().map(move |(first, weights)| {
            let under = bins.get(*first..).unwrap_or_default();
            under.iter().zip(weights).map(|(b, w)| b * w).sum::<f64>()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mels_and_back() {
        for (hz, mel) in [(500.0, 7.5), (1000.0, 15.0), (6400.0, 42.0)] {
            assert!((hz_to_mel(hz) - mel).abs() < 1e-12, "{hz}");
        }
        for hz in [0.0, 1.0, 999.0, 1000.0, 1001.0, 23_000.0] {
            assert!((mel_to_hz(hz_to_mel(hz)) - hz).abs() < 1e-9, "{hz}");
        }
    }

    /// A triangle's weights, times the width of a bin, sum to one where bins are dense.
    #[test]
    fn every_band_has_the_area_of_one() {
        let bands = MelBands::new(40, 65_536, 16_000);
        let bin = 16_000.0 / 65_536.0;
        for area in bands.sums(&vec![bin; 32_769]) {
            assert!((area - 1.0).abs() < 1e-4, "{area}");
        }
    }

    #[test]
    fn narrow_bands_may_be_empty() {
        let bands = MelBands::new(64, 32, 16_000);
        let sums: Vec<f64> = bands.sums(&[1.0; 17]).collect();
        assert_eq!(sums.len(), 64);
        assert!(sums.contains(&0.0) && sums.iter().any(|&sum| sum > 0.0));
    }
}
