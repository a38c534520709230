//! Magnitudes of frames centered on every hop, the signal mirrored at its ends.

use burn::prelude::*;

use super::OVERLAP;
use crate::limits::invalid;
use crate::stft::{LONGEST, Stft};
use crate::{ConfigError, PadMode, pad};

/// The magnitudes of a signal's frames.
#[derive(Module, Debug)]
pub(super) struct Magnitudes<B: Backend> {
    stft: Stft<B>,
    /// The least squared magnitude. Below it there is no gradient: that of a magnitude has no
    /// direction at zero.
    floor: f64,
}

impl<B: Backend> Magnitudes<B> {
    /// # Errors
    /// [`ConfigError::Invalid`] for a window that is no whole number of hops, or past any use.
    pub(super) fn new(
        loss: &'static str,
        window: usize,
        floor: f64,
        device: &B::Device,
    ) -> Result<Self, ConfigError> {
        if !(OVERLAP..=LONGEST).contains(&window) || !window.is_multiple_of(OVERLAP) {
            invalid(loss, "window", "a multiple of 4 up to 8192", window)?;
        }
        Ok(Self {
            stft: Stft::new(window, window / OVERLAP, device),
            floor,
        })
    }

    /// # Shapes
    /// - audio: `[batch, 1, samples]`
    /// - output: `[batch, samples / hop + 1, bins]`
    pub(super) fn forward(&self, audio: Tensor<B, 3>) -> Tensor<B, 3> {
        let side = self.stft.window() / 2;
        let padded = pad(audio, side, side, PadMode::Reflect);
        let [batch, channels, samples] = padded.dims();
        let spectrum = self
            .stft
            .forward(padded.reshape([batch * channels, samples]));
        spectrum.power().clamp_min(self.floor).sqrt()
    }
}
