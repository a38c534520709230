//! The multi-scale mel loss (Kumar et al. 2023, arXiv 2306.06546, "Loss functions").

use std::f64::consts::LN_10;

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use soundstorm_nn::{Packed, affine};

use super::magnitudes::Magnitudes;
use super::mel_bands::mel_bands;
use crate::ConfigError;
use crate::limits::{check_counts, invalid};

/// What errors call it.
const NAME: &str = "mel loss";
/// Bands below this count as this, in magnitude.
const FLOOR: f64 = 1e-5;
/// The least squared magnitude of a bin, far below the floor of any band.
const BIN_FLOOR: f64 = 1e-14;

/// One scale: a hop of a quarter of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MelScale {
    /// Samples of the window, a multiple of 4.
    pub window: usize,
    /// Mel bands (Slaney's), from 0 to half the sample rate.
    pub bands: usize,
}

/// Configuration of a [`MelLoss`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MelLossConfig {
    /// Samples per second.
    pub sample_rate: u32,
    /// The scales; by default the paper's seven.
    pub scales: Vec<MelScale>,
}

impl Default for MelLossConfig {
    fn default() -> Self {
        let scale = |power: usize| MelScale {
            window: 32 << power,
            bands: 5 << power,
        };
        Self {
            sample_rate: 16_000,
            scales: (0..7).map(scale).collect(),
        }
    }
}

/// The distance of two signals' mel magnitudes: the mean distance of their logarithms to base 10
/// over rows, frames and bands (one is 20 dB), added up over the scales.
#[derive(Module, Debug)]
pub struct MelLoss<B: Backend> {
    scales: Vec<Scale<B>>,
}

#[derive(Module, Debug)]
struct Scale<B: Backend> {
    magnitudes: Magnitudes<B>,
    /// `[bins, bands]`
    bands: Tensor<B, 2>,
}

impl MelLossConfig {
    /// The loss, which has no parameters.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for no scales, or a number that is zero or past any use.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<MelLoss<B>, ConfigError> {
        check_counts(NAME, &[("sample_rate", self.sample_rate as usize)])?;
        if self.scales.is_empty() {
            invalid(NAME, "scales", "at least one", "none")?;
        }
        let scale = |&MelScale { window, bands }: &MelScale| -> Result<Scale<B>, ConfigError> {
            // A window past its limit is refused before so many bands of it are made.
            let magnitudes = Magnitudes::new(NAME, window, BIN_FLOOR, device)?;
            if !(1..=window).contains(&bands) {
                invalid(
                    NAME,
                    "bands",
                    "1 to as many as the window has samples",
                    bands,
                )?;
            }
            let bands = mel_bands(window, bands, self.sample_rate, device);
            Ok(Scale { magnitudes, bands })
        };
        let scales = self.scales.iter().map(scale);
        Ok(MelLoss {
            scales: scales.collect::<Result<_, ConfigError>>()?,
        })
    }
}

impl<B: Backend> MelLoss<B> {
    /// The distance, `[1]`.
    ///
    /// # Shapes
    /// - estimate, reference: `[batch, 1, samples]`
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn forward(&self, estimate: Tensor<B, 3>, reference: Tensor<B, 3>) -> Tensor<B, 1> {
        let distance = |scale: &Scale<B>| {
            let [estimate, reference] =
                [&estimate, &reference].map(|audio| scale.logarithms(audio.clone()));
            (estimate - reference).abs().mean() / LN_10
        };
        let distances = self.scales.iter().map(distance).collect();
        Tensor::cat(distances, 0).sum()
    }
}

impl<B: Backend> Scale<B> {
    /// `[batch, frames, bands]`, to base e
    fn logarithms(&self, audio: Tensor<B, 3>) -> Tensor<B, 3> {
        let magnitudes = self.magnitudes.forward(audio);
        let bands = affine(magnitudes, self.bands.clone(), None, &Packed::default());
        bands.clamp_min(FLOOR).log()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_number_is_named() {
        let check = |key: &str, change: fn(&mut MelLossConfig)| {
            let mut config = MelLossConfig::default();
            change(&mut config);
            match config.init::<burn_flex::Flex>(&Default::default()) {
                Err(ConfigError::Invalid { key: got, .. }) => assert_eq!(got, key),
                other => panic!("{key}: {other:?}"),
            }
        };
        check("sample_rate", |c| c.sample_rate = 0);
        check("scales", |c| c.scales.clear());
        check("window", |c| c.scales[0].window = 34);
        check("window", |c| c.scales[0].window = 0);
        check("window", |c| c.scales[0].window = usize::MAX - 3);
        check("bands", |c| c.scales[6].bands = 0);
        check("bands", |c| c.scales[6].bands = usize::MAX);
    }
}
