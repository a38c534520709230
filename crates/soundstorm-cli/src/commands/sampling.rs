//! The options of generation: the model's own, overridden by the command line.

use soundstorm::{SoundStormConfig, maskgit::DecodeOptions};

use crate::args::Sampling;

/// The options to decode with.
pub(crate) fn options(sampling: &Sampling, config: &SoundStormConfig) -> DecodeOptions {
    let mut options = config.generation.clone();
    if !sampling.steps.is_empty() {
        options.steps.clone_from(&sampling.steps);
    }
    if let Some(temperature) = sampling.temperature {
        options.temperature = temperature;
    }
    if sampling.top_k.is_some() {
        options.top_k = sampling.top_k;
    }
    if let Some(noise) = sampling.confidence_noise {
        options.confidence_noise = noise;
    }
    options.greedy |= sampling.greedy;
    options
}
