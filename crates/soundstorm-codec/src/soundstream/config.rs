//! SoundStream in numbers.

use serde::{Deserialize, Serialize};

use super::{CHANNELS, DECODER_KERNEL, ENCODER_KERNEL, KERNEL, NAME, UNITS};
use crate::limits::{LIMIT, check_counts, invalid};
use crate::{CodecSpec, ConfigError, PadMode};

/// Levels of all groups, and layers of attention: far more than any codec has.
const MANY: usize = 1 << 10;
/// Frames from tap to tap: a larger dilation would outgrow every signal.
const FARTHEST: usize = 1 << 12;
/// Numbers in the largest tensor.
const LARGEST: usize = 1 << 30;
/// How often the positions' base may fit into the window: past this their scales leave the range
/// of 32 bits.
const STEEPEST: usize = 64;

/// Configuration of a [`SoundStream`](super::SoundStream).
///
/// The default is what audiolm-pytorch builds without options, with codebooks of 1024 entries.
/// Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoundStreamConfig {
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels beside the audio.
    pub channels: usize,
    /// How many times as many there are after each stage of the encoder, the one nearest to the
    /// audio first.
    pub channel_multipliers: Vec<usize>,
    /// Downsampling of the encoder's stages in the same order; their product is the hop.
    pub strides: Vec<usize>,
    /// Samples from tap to tap in the residual units of an encoder's stage: taken in turn, and over
    /// again where there are fewer than units.
    pub encoder_dilations: Vec<usize>,
    /// The same of the decoder.
    pub decoder_dilations: Vec<usize>,
    /// What convolutions are padded with; those with a stride always mirror the signal.
    pub pad_mode: PadMode,
    /// Whether a gate over the channels ends each residual unit.
    pub squeeze_excite: bool,
    /// Numbers per frame between encoder and decoder.
    pub dimension: usize,
    /// Parts of these that are quantized each on its own.
    pub groups: usize,
    /// Levels of the residual quantizer of each group.
    pub num_quantizers: usize,
    /// Entries in each codebook.
    pub codebook_size: usize,
    /// Layers of attention beside the quantizer, in the encoder and in the decoder; 0 for none.
    pub attention_layers: usize,
    /// Heads of an attention.
    pub heads: usize,
    /// Numbers in a head.
    pub dim_head: usize,
    /// How far back a frame attends, in frames.
    pub window: usize,
    /// Frames over which the positions' scale grows by one power; half the window if absent.
    pub attention_scale_base: Option<usize>,
    /// Whether a learned bias by distance takes the place of rotary positions.
    pub dynamic_position_bias: bool,
}

impl Default for SoundStreamConfig {
    fn default() -> Self {
        Self {
            sample_rate: 16_000,
            channels: 32,
            channel_multipliers: vec![2, 4, 8, 16],
            strides: vec![2, 4, 5, 8],
            encoder_dilations: vec![1, 3, 9],
            decoder_dilations: vec![1, 3, 9],
            pad_mode: PadMode::Reflect,
            squeeze_excite: false,
            dimension: 512,
            groups: 1,
            num_quantizers: 8,
            codebook_size: 1024,
            attention_layers: 1,
            heads: 8,
            dim_head: 64,
            window: 128,
            attention_scale_base: None,
            dynamic_position_bias: false,
        }
    }
}

impl SoundStreamConfig {
    /// What audiolm-pytorch has for MusicLM: 24 kHz, 50 frames a second, 12 levels.
    pub fn musiclm() -> Self {
        Self {
            sample_rate: 24_000,
            strides: vec![3, 4, 5, 8],
            num_quantizers: 12,
            ..Self::default()
        }
    }

    /// Samples per frame.
    pub fn hop(&self) -> usize {
        // A configuration that was not validated may have any numbers.
        let strides = self.strides.iter();
        strides.fold(1, |hop, &stride| hop.saturating_mul(stride))
    }

    /// The codec in numbers. Levels are those of all groups, one group after another.
    pub fn spec(&self) -> CodecSpec {
        CodecSpec {
            name: NAME.to_owned(),
            sample_rate: self.sample_rate,
            channels: CHANNELS,
            hop: self.hop(),
            levels: self.groups.saturating_mul(self.num_quantizers),
            codebook_size: self.codebook_size,
        }
    }

    /// Channels beside the audio and after each stage of the encoder.
    pub(super) fn stage_channels(&self) -> Vec<usize> {
        let stages = self.channel_multipliers.iter();
        let stages = stages.map(|times| times * self.channels);
        std::iter::once(self.channels).chain(stages).collect()
    }

    /// Frames over which the positions' scale grows by one power.
    pub(super) fn scale_base(&self) -> usize {
        self.attention_scale_base.unwrap_or(self.window / 2)
    }

    /// The fewest frames that can be encoded: everywhere in the encoder the signal is longer than
    /// what is mirrored before it.
    pub(super) fn shortest_encoded(&self) -> usize {
        let mut shortest = self.shortest(ENCODER_KERNEL, &self.encoder_dilations);
        let mut per_frame = self.hop();
        for stride in &self.strides {
            // A strided convolution has twice its stride of taps, and mirrors one stride.
            shortest = shortest.max(stride / per_frame + 1);
            per_frame /= stride;
        }
        shortest
    }

    /// The same of the decoder.
    pub(super) fn shortest_decoded(&self) -> usize {
        self.shortest(DECODER_KERNEL, &self.decoder_dilations)
    }

    /// Of one side's convolutions without a stride.
    ///
    /// # Arguments
    /// - `kernel`: taps of the convolution beside the vectors
    fn shortest(&self, kernel: usize, dilations: &[usize]) -> usize {
        if self.pad_mode == PadMode::Zero {
            return 1;
        }
        let widest = dilations.iter().copied().max().unwrap_or(1);
        let mirrored = (KERNEL - 1) * widest;
        let mut shortest = kernel;
        let mut per_frame = self.hop();
        for stride in &self.strides {
            shortest = shortest.max(mirrored / per_frame + 1);
            per_frame /= stride;
        }
        shortest
    }

    /// Fails where these numbers make no network.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a number that is zero or past any use, lists that do not fit
    /// each other, groups of different sizes, or, with rotary positions, heads of an odd width and
    /// a scale that leaves the range of 32 bits.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let counts = [
            ("sample_rate", self.sample_rate as usize),
            ("channels", self.channels),
            ("dimension", self.dimension),
            ("groups", self.groups),
            ("num_quantizers", self.num_quantizers),
            ("codebook_size", self.codebook_size),
            ("heads", self.heads),
            ("dim_head", self.dim_head),
            ("window", self.window),
        ];
        check_counts(NAME, &counts)?;
        self.check_stages()?;
        if !self.dimension.is_multiple_of(self.groups) {
            return invalid(NAME, "groups", "a divisor of dimension", self.groups);
        }
        if self.groups * self.num_quantizers > MANY {
            let expected = "at most 1024 levels in all groups";
            return invalid(NAME, "num_quantizers", expected, self.num_quantizers);
        }
        self.check_attention()?;
        self.check_sizes()
    }

    fn check_stages(&self) -> Result<(), ConfigError> {
        let mut strides = self.strides.iter();
        let hop = strides.try_fold(1usize, |hop, &stride| hop.checked_mul(stride));
        if self.strides.is_empty() || !hop.is_some_and(|hop| (1..=LIMIT).contains(&hop)) {
            let expected = "a hop of 1 to 2^20 samples";
            return invalid(NAME, "strides", expected, format!("{:?}", self.strides));
        }
        let fits = |&times: &usize| {
            let channels = self.channels.checked_mul(times);
            channels.is_some_and(|channels| (1..=LIMIT).contains(&channels))
        };
        let multipliers = &self.channel_multipliers;
        if multipliers.len() != self.strides.len() || !multipliers.iter().all(fits) {
            let expected = "one for each stride, of 1 to 2^20 channels";
            let got = format!("{multipliers:?}");
            return invalid(NAME, "channel_multipliers", expected, got);
        }
        for (key, dilations) in [
            ("encoder_dilations", &self.encoder_dilations),
            ("decoder_dilations", &self.decoder_dilations),
        ] {
            let near = |dilation: &usize| (1..=FARTHEST).contains(dilation);
            if !(1..=UNITS).contains(&dilations.len()) || !dilations.iter().all(near) {
                let expected = "1 to 3 numbers of 1 to 4096";
                return invalid(NAME, key, expected, format!("{dilations:?}"));
            }
        }
        Ok(())
    }

    fn check_attention(&self) -> Result<(), ConfigError> {
        if self.attention_layers > MANY {
            let expected = "0 to 1024";
            return invalid(NAME, "attention_layers", expected, self.attention_layers);
        }
        // Neither of the two is more than the limit.
        if self.heads * self.dim_head > LIMIT {
            let expected = "at most 2^20 with all heads side by side";
            return invalid(NAME, "heads", expected, self.heads);
        }
        if self.dynamic_position_bias {
            if self.attention_layers == 0 {
                let expected = "false without attention";
                return invalid(NAME, "dynamic_position_bias", expected, true);
            }
            if self.dimension < 2 {
                let expected = "at least 2 for a bias by distance";
                return invalid(NAME, "dimension", expected, self.dimension);
            }
            return Ok(());
        }
        if !self.dim_head.is_multiple_of(2) {
            return invalid(NAME, "dim_head", "an even number", self.dim_head);
        }
        match self.attention_scale_base {
            None if self.window < 2 => invalid(NAME, "window", "at least 2", self.window),
            Some(base) if !(self.window.div_ceil(STEEPEST)..=LIMIT).contains(&base) => {
                let expected = "at least a 64th of the window, and at most 2^20";
                invalid(NAME, "attention_scale_base", expected, base)
            }
            _ => Ok(()),
        }
    }

    /// No factor is more than the limit, but their products may be.
    fn check_sizes(&self) -> Result<(), ConfigError> {
        let product = |factors: &[usize]| {
            let factors = factors.iter();
            factors.fold(1usize, |product, &factor| product.saturating_mul(factor))
        };
        let channels = self.stage_channels();
        let widest = channels.iter().copied().max().unwrap_or_default();
        let taps = self.strides.iter().map(|stride| 2 * stride);
        let taps = taps.max().unwrap_or_default().max(KERNEL);
        if product(&[widest, widest, taps]) > LARGEST {
            let expected = "convolutions of at most 2^30 numbers";
            return invalid(NAME, "channels", expected, self.channels);
        }
        let beside = [
            product(&[self.dimension, widest, KERNEL]),
            product(&[self.dimension, self.dimension, 8]),
            product(&[self.dimension, 3, self.heads * self.dim_head]),
            product(&[self.dimension / self.groups, self.codebook_size]),
        ];
        if beside.into_iter().any(|size| size > LARGEST) {
            let expected = "tensors of at most 2^30 numbers";
            return invalid(NAME, "dimension", expected, self.dimension);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_in_numbers() {
        let config = SoundStreamConfig::default();
        assert_eq!(config.validate(), Ok(()));
        let spec = config.spec();
        assert_eq!((spec.hop, spec.levels, spec.codebook_size), (320, 8, 1024));
        assert_eq!(spec.frame_rate(), 50.0);
        assert_eq!(config.stage_channels(), [32, 64, 128, 256, 512]);
        assert_eq!(config.scale_base(), 64);
        let music = SoundStreamConfig::musiclm();
        assert_eq!(music.validate(), Ok(()));
        let spec = music.spec();
        assert_eq!((spec.hop, spec.levels), (480, 12));
        assert_eq!(spec.frame_rate(), 50.0);
    }

    /// The stage of 8 samples a frame mirrors 54 of them: 7 frames are the first to have more. The
    /// decoder's first convolution mirrors 6 frames, the encoder's last 2.
    #[test]
    fn a_signal_must_be_longer_than_what_is_mirrored() {
        let check = |encoded: usize, decoded: usize, change: fn(&mut SoundStreamConfig)| {
            let mut config = SoundStreamConfig::default();
            change(&mut config);
            assert_eq!(config.shortest_encoded(), encoded, "{config:?}");
            assert_eq!(config.shortest_decoded(), decoded, "{config:?}");
        };
        check(7, 7, |_| {});
        check(3, 7, |c| c.encoder_dilations = vec![1]);
        check(7, 13, |c| c.decoder_dilations = vec![1, 17]);
        // A strided convolution of one frame mirrors all of it.
        check(2, 1, |c| c.pad_mode = PadMode::Zero);
    }

    #[test]
    fn each_wrong_number_is_named() {
        let check = |key: &str, change: fn(&mut SoundStreamConfig)| {
            let mut config = SoundStreamConfig::default();
            change(&mut config);
            match config.validate() {
                Err(ConfigError::Invalid { key: got, .. }) => assert_eq!(got, key),
                other => panic!("{key}: {other:?}"),
            }
        };
        check("sample_rate", |c| c.sample_rate = 0);
        check("channels", |c| c.channels = 0);
        check("channels", |c| c.channels = 1 << 16);
        check("dimension", |c| c.dimension = 0);
        check("dimension", |c| c.dimension = 1 << 19);
        check("dimension", |c| {
            c.codebook_size = 1 << 20;
            c.dimension = 2048;
        });
        check("groups", |c| c.groups = 0);
        check("groups", |c| c.groups = 3);
        check("num_quantizers", |c| c.num_quantizers = 0);
        check("num_quantizers", |c| c.num_quantizers = 1025);
        check("num_quantizers", |c| {
            c.groups = 512;
            c.num_quantizers = 3;
        });
        check("codebook_size", |c| c.codebook_size = 0);
        check("strides", |c| c.strides = vec![]);
        check("strides", |c| c.strides = vec![2, 4, 5, 0]);
        check("strides", |c| c.strides = vec![usize::MAX, 2, 1, 1]);
        check("channel_multipliers", |c| c.channel_multipliers = vec![2]);
        check("channel_multipliers", |c| c.channel_multipliers[1] = 0);
        check("channel_multipliers", |c| {
            c.channel_multipliers[1] = usize::MAX
        });
        check("channels", |c| c.channel_multipliers[1] = 1 << 15);
        check("channels", |c| c.strides = vec![1, 1, 1, 1 << 20]);
        check("encoder_dilations", |c| c.encoder_dilations = vec![]);
        check("encoder_dilations", |c| c.encoder_dilations = vec![1; 4]);
        check("encoder_dilations", |c| c.encoder_dilations = vec![0]);
        check("decoder_dilations", |c| c.decoder_dilations = vec![4097]);
        check("heads", |c| c.heads = 0);
        check("heads", |c| c.heads = 1 << 15);
        check("dim_head", |c| c.dim_head = 63);
        check("window", |c| c.window = 0);
        check("window", |c| c.window = 1);
        check("attention_layers", |c| c.attention_layers = usize::MAX);
        check("attention_scale_base", |c| c.attention_scale_base = Some(1));
        check("attention_scale_base", |c| {
            c.attention_scale_base = Some(usize::MAX)
        });
        check("dynamic_position_bias", |c| {
            c.attention_layers = 0;
            c.dynamic_position_bias = true;
        });
        check("dimension", |c| {
            c.dimension = 1;
            c.dynamic_position_bias = true;
        });
    }
}
