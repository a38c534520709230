//! The hub's configuration file of a DAC, as `transformers` writes it.

use serde::Deserialize;

use super::{DacConfig, NAME};
use crate::ConfigError;

/// The `config.json` of a DAC on the hub. A key that is missing has the value
/// that `transformers` gives it, one that is unknown is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HubConfig {
    /// `dac`.
    pub model_type: String,
    /// [`DacConfig::sample_rate`]
    pub sampling_rate: u32,
    /// [`DacConfig::encoder_channels`]
    pub encoder_hidden_size: usize,
    /// [`DacConfig::decoder_channels`]
    pub decoder_hidden_size: usize,
    /// [`DacConfig::strides`], the encoder's first.
    pub downsampling_ratios: Vec<usize>,
    /// The same in reverse, where it is given.
    pub upsampling_ratios: Option<Vec<usize>>,
    /// [`DacConfig::dimension`]; the encoder's widest stage if missing.
    pub hidden_size: Option<usize>,
    /// [`DacConfig::codebook_size`]
    pub codebook_size: usize,
    /// [`DacConfig::codebook_dimension`]
    pub codebook_dim: usize,
    /// [`DacConfig::num_quantizers`]
    pub n_codebooks: usize,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            model_type: NAME.to_owned(),
            sampling_rate: 16_000,
            encoder_hidden_size: 64,
            decoder_hidden_size: 1536,
            downsampling_ratios: vec![2, 4, 8, 8],
            upsampling_ratios: None,
            hidden_size: None,
            codebook_size: 1024,
            codebook_dim: 8,
            n_codebooks: 9,
        }
    }
}

impl TryFrom<HubConfig> for DacConfig {
    type Error = ConfigError;

    fn try_from(hub: HubConfig) -> Result<Self, ConfigError> {
        let unsupported = |key, supported, got| {
            Err(ConfigError::Unsupported {
                codec: NAME,
                key,
                supported,
                got,
            })
        };
        if hub.model_type != NAME {
            return unsupported("model_type", "dac", hub.model_type);
        }
        let mut strides = hub.downsampling_ratios;
        strides.reverse();
        if let Some(up) = hub.upsampling_ratios
            && up != strides
        {
            let supported = "downsampling_ratios in reverse";
            return unsupported("upsampling_ratios", supported, format!("{up:?}"));
        }
        // Past these a number is wrong anyway, and `validate` says which.
        let doublings = u32::try_from(strides.len()).unwrap_or(u32::MAX);
        let widest = 2usize
            .saturating_pow(doublings)
            .saturating_mul(hub.encoder_hidden_size);
        let config = Self {
            sample_rate: hub.sampling_rate,
            encoder_channels: hub.encoder_hidden_size,
            decoder_channels: hub.decoder_hidden_size,
            strides,
            dimension: hub.hidden_size.unwrap_or(widest),
            codebook_size: hub.codebook_size,
            codebook_dimension: hub.codebook_dim,
            num_quantizers: hub.n_codebooks,
        };
        config.validate()?;
        Ok(config)
    }
}
