//! Mel bands on Slaney's scale (Slaney, Auditory Toolbox, 1998), as librosa has them: triangles of
//! equal area, linear below 1 kHz and logarithmic above.

use burn::prelude::*;
use burn::tensor::DType;

use crate::stft::bins;

/// Hz of a mel below [`LOG_FROM`].
const LINEAR_HZ: f64 = 200.0 / 3.0;
/// Where the logarithmic part begins, in Hz.
const LOG_FROM: f64 = 1000.0;
/// The mels of that.
const LOG_MEL: f64 = LOG_FROM / LINEAR_HZ;
/// In the logarithmic part, 27 mels are a factor of 6.4.
const LOG_MELS: f64 = 27.0;
const LOG_FACTOR: f64 = 6.4;

fn to_mel(hz: f64) -> f64 {
    match hz < LOG_FROM {
        true => hz / LINEAR_HZ,
        false => LOG_MEL + LOG_MELS * (hz / LOG_FROM).log(LOG_FACTOR),
    }
}

fn to_hz(mel: f64) -> f64 {
    match mel < LOG_MEL {
        true => mel * LINEAR_HZ,
        false => LOG_FROM * LOG_FACTOR.powf((mel - LOG_MEL) / LOG_MELS),
    }
}

/// How much of each bin belongs to each band, from 0 Hz to half the sample rate. A band between
/// two bins is empty.
///
/// # Shapes
/// - output: `[bins, bands]`
pub(super) fn mel_bands<B: Backend>(
    window: usize,
    bands: usize,
    sample_rate: u32,
    device: &B::Device,
) -> Tensor<B, 2> {
    let rate = f64::from(sample_rate);
    let step = to_mel(rate / 2.0) / (bands + 1) as f64;
    let corners: Vec<f64> = (0..bands + 2).map(|at| to_hz(at as f64 * step)).collect();
    let mut weights = Vec::with_capacity(bins(window) * bands);
    for bin in 0..bins(window) {
        let hz = bin as f64 * rate / window as f64;
        weights.extend(corners.windows(3).map(|corners| {
            let (low, middle, high) = (corners[0], corners[1], corners[2]);
            let slopes = ((hz - low) / (middle - low)).min((high - hz) / (high - middle));
            (slopes.max(0.0) * 2.0 / (high - low)) as f32
        }));
    }
    let data = TensorData::new(weights, [bins(window), bands]);
    Tensor::from_data(data, (device, DType::F32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mels_and_back() {
        for (hz, mel) in [(500.0, 7.5), (1000.0, 15.0), (6400.0, 42.0)] {
            assert!((to_mel(hz) - mel).abs() < 1e-12, "{hz}");
            assert!((to_hz(mel) - hz).abs() < 1e-9, "{mel}");
        }
    }

    /// Weights times the width of a bin add up to one where bins are dense.
    #[test]
    fn every_band_has_an_area_of_one() {
        let (window, rate) = (8000, 16_000);
        let bands = mel_bands::<burn_flex::Flex>(window, 23, rate, &Default::default());
        let areas = bands.sum_dim(0) * f64::from(rate) / window as f64;
        for area in areas.into_data().iter::<f32>() {
            assert!((area - 1.0).abs() < 1e-3, "{area}");
        }
    }
}
