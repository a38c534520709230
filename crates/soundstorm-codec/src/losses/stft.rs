//! The multi-resolution STFT loss (Yamamoto, Song and Kim 2020, "Parallel WaveGAN", section 2.2).

use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::magnitudes::Magnitudes;
use crate::ConfigError;
use crate::limits::invalid;

/// What errors call it.
const NAME: &str = "STFT loss";
/// The least squared magnitude of a bin.
const FLOOR: f64 = 1e-7;
/// Keeps the gradient of the convergence finite where both signals are the same.
const LEAST_DISTANCE: f64 = 1e-12;

/// Configuration of an [`StftLoss`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StftLossConfig {
    /// Samples of each resolution's window, a multiple of 4; the hop is a quarter of it.
    pub windows: Vec<usize>,
}

impl Default for StftLossConfig {
    fn default() -> Self {
        Self {
            windows: vec![512, 1024, 2048],
        }
    }
}

/// Two distances of two signals' magnitudes.
#[derive(Module, Debug)]
pub struct StftLoss<B: Backend> {
    resolutions: Vec<Magnitudes<B>>,
}

/// Both distances, each the mean over the resolutions.
#[derive(Debug, Clone)]
pub struct StftTerms<B: Backend> {
    /// `[1]`: of each row the length of the difference of its magnitudes, over the reference's
    /// length; the mean over rows. What is loud counts.
    pub convergence: Tensor<B, 1>,
    /// `[1]`: the mean distance of the magnitudes' logarithms, to base e. What is quiet counts as
    /// much.
    pub log_magnitude: Tensor<B, 1>,
}

impl StftLossConfig {
    /// The loss, which has no parameters.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for no windows, or one that is no multiple of 4 or past any use.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<StftLoss<B>, ConfigError> {
        if self.windows.is_empty() {
            invalid(NAME, "windows", "at least one", "none")?;
        }
        let resolution = |&window| Magnitudes::new(NAME, window, FLOOR, device);
        let resolutions = self.windows.iter().map(resolution);
        Ok(StftLoss {
            resolutions: resolutions.collect::<Result<_, _>>()?,
        })
    }
}

impl<B: Backend> StftLoss<B> {
    /// Both distances.
    ///
    /// # Shapes
    /// - estimate, reference: `[batch, 1, samples]`
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn forward(&self, estimate: Tensor<B, 3>, reference: Tensor<B, 3>) -> StftTerms<B> {
        let terms = self.resolutions.iter().map(|resolution| {
            let [estimate, reference] =
                [&estimate, &reference].map(|audio| resolution.forward(audio.clone()));
            let distance = squares(estimate.clone() - reference.clone());
            let ratio = distance.clamp_min(LEAST_DISTANCE) / squares(reference.clone());
            let logarithms = estimate.log() - reference.log();
            (ratio.sqrt().mean(), logarithms.abs().mean())
        });
        let (convergence, log_magnitude): (Vec<_>, Vec<_>) = terms.unzip();
        StftTerms {
            convergence: Tensor::cat(convergence, 0).mean(),
            log_magnitude: Tensor::cat(log_magnitude, 0).mean(),
        }
    }
}

/// Of each row: `[batch, frames, bins]` to `[batch, 1, 1]`.
fn squares<B: Backend>(x: Tensor<B, 3>) -> Tensor<B, 3> {
    x.clone().mul(x).sum_dim(2).sum_dim(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_checked() {
        for windows in [vec![], vec![512, 1022], vec![0], vec![1 << 20]] {
            let config = StftLossConfig { windows };
            let loss = config.init::<burn_flex::Flex>(&Default::default());
            assert!(
                matches!(loss, Err(ConfigError::Invalid { .. })),
                "{config:?}"
            );
        }
    }
}
