//! Distances between signals that can be differentiated: what a codec is trained by.

mod magnitudes;
mod mel;
mod mel_bands;
mod stft;

pub use mel::{MelLoss, MelLossConfig, MelScale};
pub use stft::{StftLoss, StftLossConfig, StftTerms};

/// Windows to a hop: frames of a window, a quarter of it apart.
const OVERLAP: usize = 4;
