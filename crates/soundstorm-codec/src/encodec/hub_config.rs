//! The `config.json` that lies beside EnCodec's weights on the hub, as `transformers` writes it.

use serde::Deserialize;

use super::{Chunking, EncodecConfig, EncodecNorm, NAME};
use crate::{ConfigError, PadMode};

/// A `config.json` of `transformers`. Unknown keys are ignored, and missing ones are those of
/// `encodec_24khz`, as there; without a `model_type` it is none of EnCodec's.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct HubConfig {
    /// Must be `encodec`.
    pub model_type: String,
    /// [`EncodecConfig::bandwidths`] in kilobits per second; the last one gives the levels.
    pub target_bandwidths: Vec<f64>,
    /// [`EncodecConfig::sample_rate`]
    pub sampling_rate: u32,
    /// [`EncodecConfig::channels`]
    pub audio_channels: usize,
    /// [`EncodecConfig::normalize`]
    pub normalize: bool,
    /// Seconds of a chunk.
    pub chunk_length_s: Option<f64>,
    /// How much of a chunk lies in the next one, too.
    pub overlap: Option<f64>,
    /// [`EncodecConfig::dimension`]
    pub hidden_size: usize,
    /// [`EncodecConfig::filters`]
    pub num_filters: usize,
    /// [`EncodecConfig::residual_layers`]
    pub num_residual_layers: usize,
    /// [`EncodecConfig::strides`]
    pub upsampling_ratios: Vec<usize>,
    /// `weight_norm` or `time_group_norm`.
    pub norm_type: String,
    /// [`EncodecConfig::kernel_size`]
    pub kernel_size: usize,
    /// [`EncodecConfig::last_kernel_size`]
    pub last_kernel_size: usize,
    /// [`EncodecConfig::residual_kernel_size`]
    pub residual_kernel_size: usize,
    /// [`EncodecConfig::dilation_base`]
    pub dilation_growth_rate: usize,
    /// [`EncodecConfig::causal`]
    pub use_causal_conv: bool,
    /// `reflect`, or `constant` for zeros.
    pub pad_mode: String,
    /// [`EncodecConfig::compress`]
    pub compress: usize,
    /// [`EncodecConfig::lstm_layers`]
    pub num_lstm_layers: usize,
    /// [`EncodecConfig::trim_right_percent`] as a part of 1.
    pub trim_right_ratio: f64,
    /// [`EncodecConfig::codebook_size`]
    pub codebook_size: usize,
    /// Must be `hidden_size`, if it is given.
    pub codebook_dim: Option<usize>,
    /// [`EncodecConfig::conv_shortcut`]
    pub use_conv_shortcut: bool,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            model_type: String::new(),
            target_bandwidths: vec![1.5, 3.0, 6.0, 12.0, 24.0],
            sampling_rate: 24_000,
            audio_channels: 1,
            normalize: false,
            chunk_length_s: None,
            overlap: None,
            hidden_size: 128,
            num_filters: 32,
            num_residual_layers: 1,
            upsampling_ratios: vec![8, 5, 4, 2],
            norm_type: "weight_norm".to_owned(),
            kernel_size: 7,
            last_kernel_size: 7,
            residual_kernel_size: 3,
            dilation_growth_rate: 2,
            use_causal_conv: true,
            pad_mode: "reflect".to_owned(),
            compress: 2,
            num_lstm_layers: 2,
            trim_right_ratio: 1.0,
            codebook_size: 1024,
            codebook_dim: None,
            use_conv_shortcut: true,
        }
    }
}

impl TryFrom<HubConfig> for EncodecConfig {
    type Error = ConfigError;

    fn try_from(hub: HubConfig) -> Result<Self, ConfigError> {
        if hub.model_type != NAME {
            return unsupported("model_type", NAME, hub.model_type);
        }
        let norm = match hub.norm_type.as_str() {
            "weight_norm" => EncodecNorm::WeightNorm,
            "time_group_norm" => EncodecNorm::TimeGroupNorm,
            _ => {
                return unsupported(
                    "norm_type",
                    "weight_norm and time_group_norm",
                    hub.norm_type,
                );
            }
        };
        let pad_mode = match hub.pad_mode.as_str() {
            "reflect" => PadMode::Reflect,
            "constant" => PadMode::Zero,
            _ => return unsupported("pad_mode", "reflect and constant", hub.pad_mode),
        };
        if let Some(dimension) = hub.codebook_dim.filter(|&d| d != hub.hidden_size) {
            return unsupported("codebook_dim", "that of hidden_size", dimension.to_string());
        }
        let mut config = Self {
            sample_rate: hub.sampling_rate,
            channels: hub.audio_channels,
            bandwidths: hub.bandwidths()?,
            trim_right_percent: hub.trim_right_percent()?,
            chunks: hub.chunks()?,
            filters: hub.num_filters,
            strides: hub.upsampling_ratios,
            dimension: hub.hidden_size,
            codebook_size: hub.codebook_size,
            num_quantizers: 1,
            norm,
            causal: hub.use_causal_conv,
            pad_mode,
            normalize: hub.normalize,
            kernel_size: hub.kernel_size,
            last_kernel_size: hub.last_kernel_size,
            residual_layers: hub.num_residual_layers,
            residual_kernel_size: hub.residual_kernel_size,
            dilation_base: hub.dilation_growth_rate,
            compress: hub.compress,
            conv_shortcut: hub.use_conv_shortcut,
            lstm_layers: hub.num_lstm_layers,
        };
        // The rest must be sound before it is divided by.
        config.validate()?;
        config.num_quantizers = config.levels_of_last_bandwidth();
        config.validate()?;
        Ok(config)
    }
}

impl EncodecConfig {
    /// As many levels as the last bandwidth pays for at a whole number of bits each.
    fn levels_of_last_bandwidth(&self) -> usize {
        let bandwidth = self.bandwidths.last().copied().unwrap_or_default() as usize;
        let bits = self.codebook_size.next_power_of_two().ilog2().max(1) as usize;
        bandwidth / (self.frame_rate() * bits)
    }
}

impl HubConfig {
    /// Whole bits per second.
    fn bandwidths(&self) -> Result<Vec<u32>, ConfigError> {
        let whole = |kbps: &f64| {
            let bits = kbps * 1000.0;
            let near = bits.round();
            let fits = near > 0.0 && near <= f64::from(u32::MAX) && (bits - near).abs() < 1e-3;
            fits.then_some(near as u32)
        };
        let bandwidths: Option<Vec<u32>> = self.target_bandwidths.iter().map(whole).collect();
        match bandwidths {
            Some(bandwidths) => Ok(bandwidths),
            None => unsupported(
                "target_bandwidths",
                "whole bits per second",
                format!("{:?}", self.target_bandwidths),
            ),
        }
    }

    fn trim_right_percent(&self) -> Result<u32, ConfigError> {
        let percent = self.trim_right_ratio * 100.0;
        let near = percent.round();
        if !(0.0..=100.0).contains(&near) || (percent - near).abs() > 1e-6 {
            let got = self.trim_right_ratio.to_string();
            return unsupported("trim_right_ratio", "whole percent from 0 to 1", got);
        }
        Ok(near as u32)
    }

    /// Seconds in samples, cut to whole ones as `transformers` does.
    fn chunks(&self) -> Result<Option<Chunking>, ConfigError> {
        let Some(seconds) = self.chunk_length_s else {
            return Ok(None);
        };
        let Some(overlap) = self.overlap.filter(|overlap| (0.0..1.0).contains(overlap)) else {
            return Err(ConfigError::Invalid {
                codec: NAME,
                key: "overlap",
                expected: "from 0 to below 1 where chunk_length_s is given",
                got: format!("{:?}", self.overlap),
            });
        };
        // What is not finite or below zero becomes no length or one past the limit.
        let length = (seconds * f64::from(self.sampling_rate)) as usize;
        let stride = ((1.0 - overlap) * length as f64) as usize;
        Ok(Some(Chunking {
            length,
            stride: stride.max(1),
        }))
    }
}

fn unsupported<T>(
    key: &'static str,
    supported: &'static str,
    got: String,
) -> Result<T, ConfigError> {
    Err(ConfigError::Unsupported {
        codec: NAME,
        key,
        supported,
        got,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> HubConfig {
        HubConfig {
            model_type: NAME.to_owned(),
            ..HubConfig::default()
        }
    }

    fn published_48khz() -> HubConfig {
        HubConfig {
            target_bandwidths: vec![3.0, 6.0, 12.0, 24.0],
            sampling_rate: 48_000,
            audio_channels: 2,
            normalize: true,
            chunk_length_s: Some(1.0),
            overlap: Some(0.01),
            norm_type: "time_group_norm".to_owned(),
            use_causal_conv: false,
            codebook_dim: Some(128),
            ..published()
        }
    }

    #[test]
    fn the_hubs_configurations_are_the_published_codecs() {
        assert_eq!(published().try_into(), Ok(EncodecConfig::default()));
        let config = EncodecConfig::encodec_48khz();
        assert_eq!(published_48khz().try_into(), Ok(config));
    }

    #[test]
    fn all_levels_are_those_of_whole_bits() {
        // 24000 / (75 * 10) with 9.97 bits a code, which would pay for no level more.
        let hub = HubConfig {
            codebook_size: 1000,
            sampling_rate: 23_999,
            ..published()
        };
        let config = EncodecConfig::try_from(hub).map(|config| config.num_quantizers);
        assert_eq!(config, Ok(32));
        let hub = HubConfig {
            codebook_size: 1025,
            ..published()
        };
        let config = EncodecConfig::try_from(hub).map(|config| config.num_quantizers);
        assert_eq!(config, Ok(29));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let check = |key: &str, change: fn(&mut HubConfig)| {
            let mut hub = published_48khz();
            change(&mut hub);
            match EncodecConfig::try_from(hub) {
                Err(
                    ConfigError::Unsupported { key: got, .. }
                    | ConfigError::Invalid { key: got, .. },
                ) => assert_eq!(got, key),
                other => panic!("{key}: {other:?}"),
            }
        };
        check("model_type", |c| c.model_type = "dac".to_owned());
        check("model_type", |c| c.model_type.clear());
        check("norm_type", |c| c.norm_type = "layer_norm".to_owned());
        check("pad_mode", |c| c.pad_mode = "circular".to_owned());
        check("codebook_dim", |c| c.codebook_dim = Some(64));
        check("target_bandwidths", |c| c.target_bandwidths = vec![-1.0]);
        check("target_bandwidths", |c| c.target_bandwidths = vec![1.00001]);
        check("bandwidths", |c| c.target_bandwidths = vec![]);
        check("num_quantizers", |c| c.target_bandwidths = vec![1.0]);
        check("trim_right_ratio", |c| c.trim_right_ratio = 0.123);
        check("trim_right_ratio", |c| c.trim_right_ratio = 1.5);
        check("overlap", |c| c.overlap = None);
        check("overlap", |c| c.overlap = Some(1.0));
        check("chunks", |c| c.chunk_length_s = Some(0.0));
        check("chunks", |c| c.chunk_length_s = Some(f64::INFINITY));
        check("strides", |c| c.upsampling_ratios = vec![]);
    }
}
