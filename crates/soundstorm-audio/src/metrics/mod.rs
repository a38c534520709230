//! How far one signal is from another: scale-invariant SDR, spectral and mel distance, matching codes.
//!
//! Signals are mono, `[samples]`, of one rate, full scale ±1; both must have the same length. Spectra are magnitudes
//! under a periodic Hann window; frames are centred on their first sample's multiple of the hop, and beyond its ends a
//! signal goes on mirrored (`torch.stft` with `center=True` and `pad_mode="reflect"`, which codecs are trained with;
//! mirrored again where the signal is shorter than that). Everything is computed in `f64`.

mod code_match;
mod error;
mod mel_distance;
mod si_sdr;
mod stft_distance;

pub use code_match::{CodeMatch, code_match};
pub use error::MetricError;
pub use mel_distance::{MelScale, mel_distance};
pub use si_sdr::si_sdr;
pub use stft_distance::{StftDistance, StftScale, stft_distance};

/// This module's result.
pub type Result<T, E = MetricError> = std::result::Result<T, E>;
