//! Short-time spectra and mel bands, shared by measures and pictures.

mod mel;
mod stft;

pub(crate) use mel::{MelBands, hz_to_mel, mel_to_hz};
pub(crate) use stft::Stft;
