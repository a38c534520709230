//! SpeechTokenizer in numbers: ours, and the package's own configuration file.

use serde::{Deserialize, Serialize};

use super::NAME;
use crate::limits::{LIMIT, check_counts, invalid};
use crate::seanet::SeanetConfig;
use crate::{ActivationKind, CodecSpec, ConfigError, ConvNorm, PadMode, Padding};

/// Audio channels, which the package does not let vary.
const CHANNELS: usize = 1;
/// Taps of the first and the last convolution, fixed likewise.
const KERNEL: usize = 7;
/// How many times narrower a residual block is inside, fixed likewise.
const COMPRESS: usize = 2;

/// Configuration of a [`SpeechTokenizer`](super::SpeechTokenizer).
///
/// The default is the published `speechtokenizer_hubert_avg`. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpeechTokenizerConfig {
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels beside the audio; each stage away from it has twice as many.
    pub filters: usize,
    /// Upsampling of the decoder's stages; their product is the hop.
    pub strides: Vec<usize>,
    /// Numbers in a code's vector.
    pub dimension: usize,
    /// Entries in each codebook.
    pub codebook_size: usize,
    /// Levels of the residual quantizer.
    pub num_quantizers: usize,
    /// ELU as first published, or Snake.
    pub activation: ActivationKind,
    /// Recurrent layers in the encoder and in the decoder.
    pub lstm_layers: usize,
    /// Whether the encoder's run in both directions.
    pub bidirectional: bool,
    /// Residual blocks in a stage.
    pub residual_layers: usize,
    /// Taps of a residual block's first convolution.
    pub residual_kernel_size: usize,
    /// Block `j` of a stage is dilated by this to the power of `j`.
    pub dilation_base: usize,
}

impl Default for SpeechTokenizerConfig {
    fn default() -> Self {
        Self {
            sample_rate: 16_000,
            filters: 64,
            strides: vec![8, 5, 4, 2],
            dimension: 1024,
            codebook_size: 1024,
            num_quantizers: 8,
            activation: ActivationKind::Elu,
            lstm_layers: 2,
            bidirectional: true,
            residual_layers: 1,
            residual_kernel_size: 3,
            dilation_base: 2,
        }
    }
}

impl SpeechTokenizerConfig {
    /// The published variant with Snake activations.
    pub fn snake() -> Self {
        Self {
            activation: ActivationKind::Snake,
            ..Self::default()
        }
    }

    /// Samples per frame.
    pub fn hop(&self) -> usize {
        self.strides.iter().product()
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
    /// [`ConfigError::Invalid`] for a number that is zero or past any use, no
    /// strides, or both directions without recurrent layers.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let counts = [
            ("sample_rate", self.sample_rate as usize),
            ("dimension", self.dimension),
            ("codebook_size", self.codebook_size),
            ("num_quantizers", self.num_quantizers),
            ("residual_kernel_size", self.residual_kernel_size),
            ("dilation_base", self.dilation_base),
        ];
        check_counts(NAME, &counts)?;
        if self.lstm_layers > LIMIT {
            return invalid(
                NAME,
                "lstm_layers",
                "0 to 2^20",
                self.lstm_layers.to_string(),
            );
        }
        if self.bidirectional && self.lstm_layers == 0 {
            let expected = "false without recurrent layers";
            return invalid(NAME, "bidirectional", expected, "true".to_owned());
        }
        self.seanet().check(NAME, 1)
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
            kernel: KERNEL,
            last_kernel: KERNEL,
            compress: COMPRESS,
            conv_shortcut: true,
            padding: Padding::Centered,
            pad_mode: PadMode::Reflect,
            trim_right_ratio: 1.0,
            norm: ConvNorm::None,
            activation: self.activation,
            lstm_layers: self.lstm_layers,
            bidirectional: self.bidirectional,
        }
    }
}

/// The `config.json` beside a published checkpoint, as the `speechtokenizer` package reads it.
///
/// Its keys for training are many and ignored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PackageConfig {
    /// [`SpeechTokenizerConfig::sample_rate`]
    pub sample_rate: u32,
    /// [`SpeechTokenizerConfig::filters`]
    pub n_filters: usize,
    /// [`SpeechTokenizerConfig::strides`]
    pub strides: Vec<usize>,
    /// [`SpeechTokenizerConfig::dimension`]
    pub dimension: usize,
    /// [`SpeechTokenizerConfig::codebook_size`]
    pub codebook_size: usize,
    /// [`SpeechTokenizerConfig::num_quantizers`]
    pub n_q: usize,
    /// The name of the activation's class: `ELU` or `Snake`.
    pub activation: String,
    /// [`SpeechTokenizerConfig::lstm_layers`]
    pub lstm_layers: usize,
    /// [`SpeechTokenizerConfig::bidirectional`]
    pub bidirectional: bool,
    /// [`SpeechTokenizerConfig::residual_layers`]
    pub n_residual_layers: usize,
    /// [`SpeechTokenizerConfig::residual_kernel_size`]
    pub residual_kernel_size: usize,
    /// [`SpeechTokenizerConfig::dilation_base`]
    pub dilation_base: usize,
}

impl TryFrom<PackageConfig> for SpeechTokenizerConfig {
    type Error = ConfigError;

    fn try_from(package: PackageConfig) -> Result<Self, ConfigError> {
        let activation = match package.activation.as_str() {
            "ELU" => ActivationKind::Elu,
            "Snake" => ActivationKind::Snake,
            _ => {
                return Err(ConfigError::Unsupported {
                    codec: NAME,
                    key: "activation",
                    supported: "ELU and Snake",
                    got: package.activation,
                });
            }
        };
        let config = Self {
            sample_rate: package.sample_rate,
            filters: package.n_filters,
            strides: package.strides,
            dimension: package.dimension,
            codebook_size: package.codebook_size,
            num_quantizers: package.n_q,
            activation,
            lstm_layers: package.lstm_layers,
            bidirectional: package.bidirectional,
            residual_layers: package.n_residual_layers,
            residual_kernel_size: package.residual_kernel_size,
            dilation_base: package.dilation_base,
        };
        config.validate()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_codec_in_numbers() {
        let spec = SpeechTokenizerConfig::default().spec();
        assert_eq!((spec.hop, spec.levels, spec.codebook_size), (320, 8, 1024));
        assert_eq!(spec.frame_rate(), 50.0);
        assert_eq!(spec.frames(321), 2);
        assert_eq!(SpeechTokenizerConfig::default().validate(), Ok(()));
        assert_eq!(SpeechTokenizerConfig::snake().validate(), Ok(()));
    }

    #[test]
    fn each_wrong_number_is_named() {
        let check = |key: &str, change: fn(&mut SpeechTokenizerConfig)| {
            let mut config = SpeechTokenizerConfig::default();
            change(&mut config);
            match config.validate() {
                Err(ConfigError::Invalid { key: got, .. }) => assert_eq!(got, key),
                other => panic!("{key}: {other:?}"),
            }
        };
        check("sample_rate", |c| c.sample_rate = 0);
        check("dimension", |c| c.dimension = 0);
        check("dimension", |c| c.dimension = usize::MAX);
        check("codebook_size", |c| c.codebook_size = 0);
        check("num_quantizers", |c| c.num_quantizers = 0);
        check("residual_kernel_size", |c| c.residual_kernel_size = 0);
        check("dilation_base", |c| c.dilation_base = 0);
        check("lstm_layers", |c| c.lstm_layers = usize::MAX);
        check("bidirectional", |c| c.lstm_layers = 0);
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
