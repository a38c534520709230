//! Mimi in numbers.

use serde::{Deserialize, Serialize};

use super::NAME;
use crate::limits::{LIMIT, check_counts, invalid};
use crate::seanet::SeanetConfig;
use crate::{ActivationKind, CodecSpec, ConfigError, ConvNorm, PadMode, Padding};

/// Audio channels.
pub(super) const CHANNELS: usize = 1;
/// How many times narrower a residual block is inside.
pub(super) const COMPRESS: usize = 2;
/// Frames of the transformers for one frame of codes.
pub(super) const RESAMPLE: usize = 2;
/// Base of the rotary positions' wavelengths.
pub(super) const ROTARY_THETA: f64 = 10_000.0;
/// What the layer norms add to the variance.
pub(super) const NORM_EPSILON: f64 = 1e-5;

/// Configuration of a [`Mimi`](super::Mimi).
///
/// The default is the published `kyutai/mimi`. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MimiConfig {
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels beside the audio; each stage away from it has twice as many.
    pub filters: usize,
    /// Upsampling of the decoder's stages; twice their product is the hop.
    pub strides: Vec<usize>,
    /// Taps of the first convolution.
    pub kernel_size: usize,
    /// Taps of the last convolution.
    pub last_kernel_size: usize,
    /// Residual blocks in a stage.
    pub residual_layers: usize,
    /// Taps of a residual block's first convolution.
    pub residual_kernel_size: usize,
    /// Block `j` of a stage is dilated by this to the power of `j`.
    pub dilation_base: usize,
    /// Numbers per frame in the transformers.
    pub dimension: usize,
    /// Layers of each transformer.
    pub transformer_layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Numbers per frame in a head, even.
    pub dim_head: usize,
    /// Numbers per frame inside a feed-forward layer.
    pub feed_forward: usize,
    /// How many frames of a transformer a frame attends to: itself and those just before it.
    pub window: usize,
    /// Numbers in a code's vector.
    pub codebook_dim: usize,
    /// Entries in each codebook.
    pub codebook_size: usize,
    /// Levels of codes, semantic and acoustic together.
    pub num_quantizers: usize,
    /// How many of them, the coarsest, are semantic.
    pub semantic_quantizers: usize,
}

impl Default for MimiConfig {
    fn default() -> Self {
        Self {
            sample_rate: 24_000,
            filters: 64,
            strides: vec![8, 6, 5, 4],
            kernel_size: 7,
            last_kernel_size: 3,
            residual_layers: 1,
            residual_kernel_size: 3,
            dilation_base: 2,
            dimension: 512,
            transformer_layers: 8,
            heads: 8,
            dim_head: 64,
            feed_forward: 2048,
            window: 250,
            codebook_dim: 256,
            codebook_size: 2048,
            num_quantizers: 32,
            semantic_quantizers: 1,
        }
    }
}

impl MimiConfig {
    /// Samples per frame of codes.
    pub fn hop(&self) -> usize {
        RESAMPLE * self.strides.iter().product::<usize>()
    }

    /// The codec in numbers.
    pub fn spec(&self) -> CodecSpec {
        CodecSpec {
            name: NAME.to_owned(),
            sample_rate: self.sample_rate,
            channels: CHANNELS,
            hop: self.hop(),
            levels: self.num_quantizers,
            codebook_size: self.codebook_size,
        }
    }

    /// Fails where these numbers make no network.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a number that is zero or past any use, no strides, heads of an
    /// odd width, or no acoustic level.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let counts = [
            ("sample_rate", self.sample_rate as usize),
            ("kernel_size", self.kernel_size),
            ("last_kernel_size", self.last_kernel_size),
            ("residual_kernel_size", self.residual_kernel_size),
            ("dilation_base", self.dilation_base),
            ("dimension", self.dimension),
            ("transformer_layers", self.transformer_layers),
            ("heads", self.heads),
            ("dim_head", self.dim_head),
            ("feed_forward", self.feed_forward),
            ("window", self.window),
            ("codebook_dim", self.codebook_dim),
            ("codebook_size", self.codebook_size),
            ("num_quantizers", self.num_quantizers),
            ("semantic_quantizers", self.semantic_quantizers),
        ];
        check_counts(NAME, &counts)?;
        if !self.dim_head.is_multiple_of(2) {
            return invalid(
                NAME,
                "dim_head",
                "an even number",
                self.dim_head.to_string(),
            );
        }
        // Neither of the two is more than the limit.
        if self.heads * self.dim_head > LIMIT {
            let expected = "at most 2^20 with all heads side by side";
            return invalid(NAME, "heads", expected, self.heads.to_string());
        }
        if self.semantic_quantizers >= self.num_quantizers {
            let got = self.semantic_quantizers.to_string();
            return invalid(
                NAME,
                "semantic_quantizers",
                "fewer than num_quantizers",
                got,
            );
        }
        self.seanet().check(NAME, RESAMPLE)
    }

    pub(super) fn seanet(&self) -> SeanetConfig {
        SeanetConfig {
            channels: CHANNELS,
            dimension: self.dimension,
            filters: self.filters,
            strides: self.strides.clone(),
            residual_layers: self.residual_layers,
            residual_kernel: self.residual_kernel_size,
            dilation_base: self.dilation_base,
            kernel: self.kernel_size,
            last_kernel: self.last_kernel_size,
            compress: COMPRESS,
            conv_shortcut: false,
            padding: Padding::Causal,
            pad_mode: PadMode::Zero,
            trim_right_ratio: 1.0,
            norm: ConvNorm::None,
            activation: ActivationKind::Elu,
            lstm_layers: 0,
            bidirectional: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_codec_in_numbers() {
        let config = MimiConfig::default();
        let spec = config.spec();
        assert_eq!(
            (spec.hop, spec.levels, spec.codebook_size),
            (1920, 32, 2048)
        );
        assert_eq!((spec.frame_rate(), spec.sample_rate), (12.5, 24_000));
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn each_wrong_number_is_named() {
        let check = |key: &str, change: fn(&mut MimiConfig)| {
            let mut config = MimiConfig::default();
            change(&mut config);
            match config.validate() {
                Err(ConfigError::Invalid { key: got, .. }) => assert_eq!(got, key),
                other => panic!("{key}: {other:?}"),
            }
        };
        check("sample_rate", |c| c.sample_rate = 0);
        check("kernel_size", |c| c.kernel_size = 0);
        check("last_kernel_size", |c| c.last_kernel_size = 0);
        check("residual_kernel_size", |c| c.residual_kernel_size = 0);
        check("dilation_base", |c| c.dilation_base = 0);
        check("dimension", |c| c.dimension = usize::MAX);
        check("transformer_layers", |c| c.transformer_layers = 0);
        check("heads", |c| c.heads = 0);
        check("heads", |c| c.heads = 1 << 19);
        check("dim_head", |c| c.dim_head = 0);
        check("dim_head", |c| c.dim_head = 63);
        check("feed_forward", |c| c.feed_forward = 0);
        check("window", |c| c.window = 0);
        check("codebook_dim", |c| c.codebook_dim = 0);
        check("codebook_size", |c| c.codebook_size = 0);
        check("num_quantizers", |c| c.num_quantizers = 0);
        check("semantic_quantizers", |c| c.semantic_quantizers = 0);
        check("semantic_quantizers", |c| c.semantic_quantizers = 32);
        check("strides", |c| c.strides = vec![]);
        check("strides", |c| c.strides = vec![2, 0]);
        check("strides", |c| c.strides = vec![usize::MAX, 2]);
        check("filters", |c| c.filters = 1);
        check("filters", |c| c.filters = usize::MAX);
        check("filters", |c| c.strides = vec![1; 70]);
        check("residual_layers", |c| c.residual_layers = 65);
        check("residual_layers", |c| c.residual_layers = 30);
    }
}
