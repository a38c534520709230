//! The `config.json` beside a checkpoint on the hub, by the keys of `transformers`.

use std::fmt::Display;

use serde::Deserialize;

use super::config::{CHANNELS, COMPRESS, NORM_EPSILON, ROTARY_THETA};
use super::{MimiConfig, NAME};
use crate::ConfigError;

/// What `transformers` reads, with its defaults; keys that do not concern the network are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct HubConfig {
    /// [`MimiConfig::sample_rate`]
    pub sampling_rate: u32,
    /// Frames of codes per second; by default one for every two frames of the transformers.
    pub frame_rate: Option<f64>,
    /// Channels of the audio.
    pub audio_channels: usize,
    /// [`MimiConfig::dimension`]
    pub hidden_size: usize,
    /// [`MimiConfig::filters`]
    pub num_filters: usize,
    /// [`MimiConfig::residual_layers`]
    pub num_residual_layers: usize,
    /// [`MimiConfig::strides`]
    pub upsampling_ratios: Vec<usize>,
    /// [`MimiConfig::kernel_size`]
    pub kernel_size: usize,
    /// [`MimiConfig::last_kernel_size`]
    pub last_kernel_size: usize,
    /// [`MimiConfig::residual_kernel_size`]
    pub residual_kernel_size: usize,
    /// [`MimiConfig::dilation_base`]
    pub dilation_growth_rate: usize,
    /// Whether convolutions are causal.
    pub use_causal_conv: bool,
    /// What convolutions are padded with.
    pub pad_mode: String,
    /// How many times narrower a residual block is inside.
    pub compress: usize,
    /// How much of a transposed convolution's trimming is on the right.
    pub trim_right_ratio: f64,
    /// [`MimiConfig::codebook_size`]
    pub codebook_size: usize,
    /// [`MimiConfig::codebook_dim`], or `hidden_size` if `null`
    pub codebook_dim: Option<usize>,
    /// [`MimiConfig::num_quantizers`]
    pub num_quantizers: usize,
    /// Whether a convolution stands beside a residual block.
    pub use_conv_shortcut: bool,
    /// Numbers per frame between a quantizer's projections.
    pub vector_quantization_hidden_dimension: usize,
    /// [`MimiConfig::semantic_quantizers`]
    pub num_semantic_quantizers: usize,
    /// Groups of the upsampling convolution.
    pub upsample_groups: usize,
    /// [`MimiConfig::transformer_layers`]
    pub num_hidden_layers: usize,
    /// [`MimiConfig::feed_forward`]
    pub intermediate_size: usize,
    /// [`MimiConfig::heads`]
    pub num_attention_heads: usize,
    /// Heads of keys and values.
    pub num_key_value_heads: usize,
    /// [`MimiConfig::dim_head`], by default the heads' share of `hidden_size`
    pub head_dim: Option<usize>,
    /// Activation of the feed-forward layers.
    pub hidden_act: String,
    /// What layer norms add to the variance.
    pub norm_eps: f64,
    /// Base of the rotary positions, as files have it that were written before version 5.
    pub rope_theta: Option<f64>,
    /// Rotary positions, as files have them since.
    pub rope_parameters: Option<RopeParameters>,
    /// [`MimiConfig::window`]
    pub sliding_window: usize,
    /// Whether the attention's linear layers have biases.
    pub attention_bias: bool,
}

/// [`HubConfig::rope_parameters`]
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct RopeParameters {
    /// Base of the geometric series of wavelengths.
    pub rope_theta: f64,
    /// How positions past those of training are scaled.
    pub rope_type: String,
}

impl Default for RopeParameters {
    fn default() -> Self {
        Self {
            rope_theta: ROTARY_THETA,
            rope_type: "default".to_owned(),
        }
    }
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            sampling_rate: 24_000,
            frame_rate: None,
            audio_channels: 1,
            hidden_size: 512,
            num_filters: 64,
            num_residual_layers: 1,
            upsampling_ratios: vec![8, 6, 5, 4],
            kernel_size: 7,
            last_kernel_size: 3,
            residual_kernel_size: 3,
            dilation_growth_rate: 2,
            use_causal_conv: true,
            pad_mode: "constant".to_owned(),
            compress: 2,
            trim_right_ratio: 1.0,
            codebook_size: 2048,
            codebook_dim: Some(256),
            num_quantizers: 32,
            use_conv_shortcut: false,
            vector_quantization_hidden_dimension: 256,
            num_semantic_quantizers: 1,
            upsample_groups: 512,
            num_hidden_layers: 8,
            intermediate_size: 2048,
            num_attention_heads: 8,
            num_key_value_heads: 8,
            head_dim: None,
            hidden_act: "gelu".to_owned(),
            norm_eps: 1e-5,
            rope_theta: None,
            rope_parameters: None,
            sliding_window: 250,
            attention_bias: false,
        }
    }
}

impl TryFrom<HubConfig> for MimiConfig {
    type Error = ConfigError;

    fn try_from(hub: HubConfig) -> Result<Self, ConfigError> {
        let codebook_dim = hub.codebook_dim.unwrap_or(hub.hidden_size);
        let config = Self {
            sample_rate: hub.sampling_rate,
            filters: hub.num_filters,
            strides: hub.upsampling_ratios.clone(),
            kernel_size: hub.kernel_size,
            last_kernel_size: hub.last_kernel_size,
            residual_layers: hub.num_residual_layers,
            residual_kernel_size: hub.residual_kernel_size,
            dilation_base: hub.dilation_growth_rate,
            dimension: hub.hidden_size,
            transformer_layers: hub.num_hidden_layers,
            heads: hub.num_attention_heads,
            dim_head: (hub.head_dim)
                .unwrap_or_else(|| hub.hidden_size / hub.num_attention_heads.max(1)),
            feed_forward: hub.intermediate_size,
            window: hub.sliding_window,
            codebook_dim,
            codebook_size: hub.codebook_size,
            num_quantizers: hub.num_quantizers,
            semantic_quantizers: hub.num_semantic_quantizers,
        };
        config.validate()?;
        hub.supported(&config)?;
        Ok(config)
    }
}

impl HubConfig {
    /// Fails where the network is another than ours; `config` is valid.
    fn supported(&self, config: &MimiConfig) -> Result<(), ConfigError> {
        let rope = self.rope_parameters.clone().unwrap_or_default();
        let theta = self.rope_theta.unwrap_or(rope.rope_theta);
        let rate = f64::from(self.sampling_rate) / config.hop() as f64;
        let frame_rate = self.frame_rate.unwrap_or(rate);
        let quantized = self.vector_quantization_hidden_dimension;
        let heads = self.num_key_value_heads;
        // The key, whether its value is supported, which is, and the value.
        let wanted: [(_, _, _, &dyn Display); 15] = [
            (
                "audio_channels",
                self.audio_channels == CHANNELS,
                "1",
                &self.audio_channels,
            ),
            (
                "use_causal_conv",
                self.use_causal_conv,
                "true",
                &self.use_causal_conv,
            ),
            (
                "pad_mode",
                self.pad_mode == "constant",
                "constant",
                &self.pad_mode,
            ),
            ("compress", self.compress == COMPRESS, "2", &self.compress),
            (
                "trim_right_ratio",
                self.trim_right_ratio == 1.0,
                "1",
                &self.trim_right_ratio,
            ),
            (
                "use_conv_shortcut",
                !self.use_conv_shortcut,
                "false",
                &self.use_conv_shortcut,
            ),
            (
                "vector_quantization_hidden_dimension",
                quantized == config.codebook_dim && quantized != self.hidden_size,
                "codebook_dim, other than hidden_size",
                &quantized,
            ),
            (
                "upsample_groups",
                self.upsample_groups == self.hidden_size,
                "hidden_size",
                &self.upsample_groups,
            ),
            (
                "num_key_value_heads",
                heads == self.num_attention_heads,
                "num_attention_heads",
                &heads,
            ),
            (
                "hidden_act",
                self.hidden_act == "gelu",
                "gelu",
                &self.hidden_act,
            ),
            (
                "norm_eps",
                self.norm_eps == NORM_EPSILON,
                "1e-5",
                &self.norm_eps,
            ),
            ("rope_theta", theta == ROTARY_THETA, "10000", &theta),
            (
                "rope_type",
                rope.rope_type == "default",
                "default",
                &rope.rope_type,
            ),
            (
                "attention_bias",
                !self.attention_bias,
                "false",
                &self.attention_bias,
            ),
            (
                "frame_rate",
                (frame_rate - rate).abs() <= 1e-6 * rate,
                "one frame for twice the product of upsampling_ratios",
                &frame_rate,
            ),
        ];
        match wanted.into_iter().find(|(_, supported, ..)| !supported) {
            None => Ok(()),
            Some((key, _, supported, got)) => Err(ConfigError::Unsupported {
                codec: NAME,
                key,
                supported,
                got: got.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(change: impl Fn(&mut HubConfig)) -> Result<MimiConfig, ConfigError> {
        let mut hub = HubConfig::default();
        change(&mut hub);
        hub.try_into()
    }

    #[test]
    fn the_defaults_are_the_published_codec() {
        assert_eq!(read(|_| {}), Ok(MimiConfig::default()));
        let published = |hub: &mut HubConfig| {
            (hub.frame_rate, hub.head_dim, hub.rope_theta) = (Some(12.5), Some(64), Some(1e4));
        };
        assert_eq!(read(published), Ok(MimiConfig::default()));
    }

    #[test]
    fn another_network_is_refused_by_its_key() {
        let check = |key: &str, change: fn(&mut HubConfig)| match read(change) {
            Err(ConfigError::Unsupported { key: got, .. }) => assert_eq!(got, key),
            other => panic!("{key}: {other:?}"),
        };
        check("audio_channels", |c| c.audio_channels = 2);
        check("use_causal_conv", |c| c.use_causal_conv = false);
        check("pad_mode", |c| c.pad_mode = "reflect".into());
        check("compress", |c| c.compress = 4);
        check("trim_right_ratio", |c| c.trim_right_ratio = 0.5);
        check("use_conv_shortcut", |c| c.use_conv_shortcut = true);
        let quantized = "vector_quantization_hidden_dimension";
        check(quantized, |c| c.codebook_dim = None);
        check(quantized, |c| {
            c.vector_quantization_hidden_dimension = 512;
            c.codebook_dim = Some(512);
        });
        check("upsample_groups", |c| c.upsample_groups = 1);
        check("num_key_value_heads", |c| c.num_key_value_heads = 2);
        check("hidden_act", |c| c.hidden_act = "relu".into());
        check("norm_eps", |c| c.norm_eps = 1e-6);
        check("rope_theta", |c| c.rope_theta = Some(1e6));
        check("rope_type", |c| {
            let rope_type = "yarn".to_owned();
            c.rope_parameters = Some(RopeParameters {
                rope_type,
                ..Default::default()
            });
        });
        check("attention_bias", |c| c.attention_bias = true);
        check("frame_rate", |c| c.frame_rate = Some(25.0));
        match read(|c| c.num_attention_heads = 0) {
            Err(ConfigError::Invalid { key, .. }) => assert_eq!(key, "heads"),
            other => panic!("{other:?}"),
        }
    }
}
