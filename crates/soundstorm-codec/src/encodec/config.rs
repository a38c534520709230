//! EnCodec in numbers: the published codecs, what makes a network, levels by bandwidth.

use serde::{Deserialize, Serialize};

use super::{Chunking, NAME};
use crate::limits::{LIMIT, check_counts, invalid};
use crate::seanet::SeanetConfig;
use crate::{ActivationKind, CodecError, CodecSpec, ConfigError, ConvNorm, PadMode, Padding};

/// Nor does a chunk: it lies in memory many times over.
const CHUNK_LIMIT: usize = 1 << 24;

/// What normalizes the convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncodecNorm {
    /// A norm on the weights, folded into them at import.
    #[default]
    WeightNorm,
    /// A [`TimeGroupNorm`](crate::TimeGroupNorm) after each convolution.
    TimeGroupNorm,
}

/// Configuration of an [`Encodec`](super::Encodec).
///
/// The default is the published `encodec_24khz`. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncodecConfig {
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Audio channels.
    pub channels: usize,
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
    /// What the codec was trained for, in bits per second; see [`EncodecConfig::levels_for`].
    pub bandwidths: Vec<u32>,
    /// What normalizes the convolutions.
    pub norm: EncodecNorm,
    /// Whether a frame depends on nothing later. A time group norm is not causal all the same.
    pub causal: bool,
    /// What convolutions are padded with.
    pub pad_mode: PadMode,
    /// How much of a causal transposed convolution's trimming is on the right, in percent.
    pub trim_right_percent: u32,
    /// Whether audio is divided by its loudness, which is then kept beside the codes.
    pub normalize: bool,
    /// Chunks that long audio is cut into; without, it is encoded whole.
    pub chunks: Option<Chunking>,
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
    /// How many times fewer channels a residual block has inside.
    pub compress: usize,
    /// Whether a pointwise convolution stands beside a residual block, or nothing.
    pub conv_shortcut: bool,
    /// Recurrent layers in the encoder and in the decoder.
    pub lstm_layers: usize,
}

impl Default for EncodecConfig {
    fn default() -> Self {
        Self {
            sample_rate: 24_000,
            channels: 1,
            filters: 32,
            strides: vec![8, 5, 4, 2],
            dimension: 128,
            codebook_size: 1024,
            num_quantizers: 32,
            bandwidths: vec![1_500, 3_000, 6_000, 12_000, 24_000],
            norm: EncodecNorm::WeightNorm,
            causal: true,
            pad_mode: PadMode::Reflect,
            trim_right_percent: 100,
            normalize: false,
            chunks: None,
            kernel_size: 7,
            last_kernel_size: 7,
            residual_layers: 1,
            residual_kernel_size: 3,
            dilation_base: 2,
            compress: 2,
            conv_shortcut: true,
            lstm_layers: 2,
        }
    }
}

impl EncodecConfig {
    /// The published `encodec_48khz`: stereo, in chunks of a second that share 1 %.
    pub fn encodec_48khz() -> Self {
        Self {
            sample_rate: 48_000,
            channels: 2,
            num_quantizers: 16,
            bandwidths: vec![3_000, 6_000, 12_000, 24_000],
            norm: EncodecNorm::TimeGroupNorm,
            causal: false,
            normalize: true,
            chunks: Some(Chunking {
                length: 48_000,
                stride: 47_520,
            }),
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
            channels: self.channels,
            hop: self.hop(),
            levels: self.num_quantizers,
            codebook_size: self.codebook_size,
        }
    }

    /// Levels that a bandwidth pays for: whole ones, each of `log2(codebook_size)` bits a frame.
    ///
    /// The configuration must be [valid](EncodecConfig::validate).
    ///
    /// # Arguments
    /// - `kbps`: one of the codec's bandwidths, in kilobits per second
    ///
    /// # Errors
    /// [`CodecError::Bandwidth`] for any other, with those that there are.
    pub fn levels_for(&self, kbps: f64) -> Result<usize, CodecError> {
        let available = |bandwidth: &&u32| (f64::from(**bandwidth) - 1000.0 * kbps).abs() < 1e-3;
        let Some(&bandwidth) = self.bandwidths.iter().find(available) else {
            let available = self.bandwidths.iter();
            return Err(CodecError::Bandwidth {
                codec: NAME.to_owned(),
                available: available.map(|&b| f64::from(b) / 1000.0).collect(),
                got: kbps,
            });
        };
        let bits = (self.codebook_size as f64).log2() * self.frame_rate() as f64;
        let levels = (f64::from(bandwidth) / bits).floor() as usize;
        Ok(levels.clamp(1, self.num_quantizers))
    }

    /// Frames per second, rounded up as the packages do.
    pub(super) fn frame_rate(&self) -> usize {
        (self.sample_rate as usize).div_ceil(self.hop())
    }

    /// Fails where these numbers make no network.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a number that is zero or past any use, no strides or
    /// bandwidths, residual blocks with nothing inside, chunks with gaps between them, or
    /// trimming to one side without causality.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let counts = [
            ("sample_rate", self.sample_rate as usize),
            ("channels", self.channels),
            ("dimension", self.dimension),
            ("codebook_size", self.codebook_size),
            ("num_quantizers", self.num_quantizers),
            ("kernel_size", self.kernel_size),
            ("last_kernel_size", self.last_kernel_size),
            ("residual_kernel_size", self.residual_kernel_size),
            ("dilation_base", self.dilation_base),
            ("compress", self.compress),
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
        if self.bandwidths.is_empty() || self.bandwidths.contains(&0) {
            let got = format!("{:?}", self.bandwidths);
            return invalid(NAME, "bandwidths", "at least one, each above 0", got);
        }
        self.seanet().check(NAME, 1)?;
        if self.trim_right_percent > 100 || !self.causal && self.trim_right_percent != 100 {
            let expected = "0 to 100, and 100 where the codec is not causal";
            let got = self.trim_right_percent.to_string();
            return invalid(NAME, "trim_right_percent", expected, got);
        }
        let sound = |chunks: Chunking| {
            let Chunking { length, stride } = chunks;
            (1..=length).contains(&stride) && length <= CHUNK_LIMIT
        };
        match self.chunks {
            Some(chunks) if !sound(chunks) => {
                let expected = "a length up to 2^24 and a stride from 1 to the length";
                invalid(NAME, "chunks", expected, format!("{chunks:?}"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn seanet(&self) -> SeanetConfig {
        SeanetConfig {
            channels: self.channels,
            dimension: self.dimension,
            filters: self.filters,
            strides: self.strides.clone(),
            residual_layers: self.residual_layers,
            residual_kernel: self.residual_kernel_size,
            dilation_base: self.dilation_base,
            kernel: self.kernel_size,
            last_kernel: self.last_kernel_size,
            compress: self.compress,
            conv_shortcut: self.conv_shortcut,
            padding: match self.causal {
                true => Padding::Causal,
                false => Padding::Centered,
            },
            pad_mode: self.pad_mode,
            trim_right_ratio: f64::from(self.trim_right_percent) / 100.0,
            norm: match self.norm {
                EncodecNorm::WeightNorm => ConvNorm::None,
                EncodecNorm::TimeGroupNorm => ConvNorm::TimeGroup,
            },
            activation: ActivationKind::Elu,
            lstm_layers: self.lstm_layers,
            bidirectional: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_codecs_in_numbers() {
        let (mono, stereo) = (EncodecConfig::default(), EncodecConfig::encodec_48khz());
        for (config, rate, levels) in [(&mono, 75.0, 32), (&stereo, 150.0, 16)] {
            assert_eq!(config.validate(), Ok(()));
            let spec = config.spec();
            assert_eq!((spec.frame_rate(), spec.levels), (rate, levels));
            assert_eq!((spec.hop, spec.codebook_size), (320, 1024));
        }
        let levels = |config: &EncodecConfig| {
            let bandwidths = config.bandwidths.iter();
            let kbps = bandwidths.map(|&b| f64::from(b) / 1000.0);
            kbps.map(|kbps| config.levels_for(kbps))
                .collect::<Result<Vec<_>, _>>()
        };
        assert_eq!(levels(&mono), Ok(vec![2, 4, 8, 16, 32]));
        assert_eq!(levels(&stereo), Ok(vec![2, 4, 8, 16]));
    }

    #[test]
    fn levels_are_whole_and_at_least_one() {
        // log2(3) bits a frame, and 8 / 6 rounded up to 2 frames a second: 3.17 bits a second.
        let config = EncodecConfig {
            sample_rate: 8,
            strides: vec![2, 3],
            codebook_size: 3,
            num_quantizers: 4,
            bandwidths: vec![1, 7, 11, 100],
            ..EncodecConfig::default()
        };
        for (kbps, levels) in [(0.001, 1), (0.007, 2), (0.011, 3), (0.1, 4)] {
            assert_eq!(config.levels_for(kbps), Ok(levels));
        }
    }

    #[test]
    fn another_bandwidth_is_refused_with_those_that_there_are() {
        for kbps in [0.0, 5.0, 1500.0, f64::NAN] {
            let error = EncodecConfig::default().levels_for(kbps);
            let message = error.map_err(|error| error.to_string());
            let expected =
                format!("encodec has no bandwidth of {kbps} kbps, only 1.5, 3, 6, 12, 24");
            assert_eq!(message, Err(expected));
        }
    }

    #[test]
    fn each_wrong_number_is_named() {
        let check = |key: &str, change: fn(&mut EncodecConfig)| {
            let mut config = EncodecConfig::encodec_48khz();
            change(&mut config);
            match config.validate() {
                Err(ConfigError::Invalid { key: got, .. }) => assert_eq!(got, key),
                other => panic!("{key}: {other:?}"),
            }
        };
        check("sample_rate", |c| c.sample_rate = 0);
        check("channels", |c| c.channels = 0);
        check("dimension", |c| c.dimension = usize::MAX);
        check("codebook_size", |c| c.codebook_size = 0);
        check("num_quantizers", |c| c.num_quantizers = 0);
        check("kernel_size", |c| c.kernel_size = 0);
        check("last_kernel_size", |c| c.last_kernel_size = 0);
        check("residual_kernel_size", |c| c.residual_kernel_size = 0);
        check("dilation_base", |c| c.dilation_base = 0);
        check("compress", |c| c.compress = 0);
        check("lstm_layers", |c| c.lstm_layers = usize::MAX);
        check("bandwidths", |c| c.bandwidths = vec![]);
        check("bandwidths", |c| c.bandwidths = vec![3_000, 0]);
        check("strides", |c| c.strides = vec![]);
        check("strides", |c| c.strides = vec![2, 0]);
        check("strides", |c| c.strides = vec![usize::MAX, 2]);
        check("filters", |c| c.compress = 33);
        check("filters", |c| c.filters = usize::MAX);
        check("filters", |c| c.strides = vec![1; 70]);
        check("residual_layers", |c| c.residual_layers = 65);
        check("residual_layers", |c| c.residual_layers = 30);
        check("trim_right_percent", |c| c.trim_right_percent = 50);
        check("trim_right_percent", |c| {
            (c.causal, c.trim_right_percent) = (true, 101);
        });
        let chunks = [(0, 0), (5, 0), (5, 6), (usize::MAX, 5)];
        for (length, stride) in chunks {
            let config = EncodecConfig {
                chunks: Some(Chunking { length, stride }),
                ..EncodecConfig::default()
            };
            let error = config.validate();
            assert!(matches!(
                error,
                Err(ConfigError::Invalid { key: "chunks", .. })
            ));
        }
    }
}
