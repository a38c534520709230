//! DAC in numbers.

use serde::{Deserialize, Serialize};

use super::NAME;
use crate::limits::{LIMIT, check_counts, invalid};
use crate::{CodecSpec, ConfigError};

/// Audio channels: the published codecs are all mono.
pub(super) const CHANNELS: usize = 1;

/// Configuration of a [`Dac`](super::Dac).
///
/// The default is the published codec for 44.1 kHz. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DacConfig {
    /// Samples per second.
    pub sample_rate: u32,
    /// The encoder's channels beside the audio; each stage away from it has twice as many.
    pub encoder_channels: usize,
    /// The decoder's channels farthest from the audio; each stage towards it has half as many.
    pub decoder_channels: usize,
    /// Upsampling of the decoder's stages; their product is the hop.
    pub strides: Vec<usize>,
    /// Numbers per frame between encoder and decoder.
    pub dimension: usize,
    /// Entries in each codebook.
    pub codebook_size: usize,
    /// Numbers in an entry: vectors are projected to so many to be looked up.
    pub codebook_dimension: usize,
    /// Levels of the residual quantizer.
    pub num_quantizers: usize,
}

impl Default for DacConfig {
    fn default() -> Self {
        Self {
            sample_rate: 44_100,
            encoder_channels: 64,
            decoder_channels: 1536,
            strides: vec![8, 8, 4, 2],
            dimension: 1024,
            codebook_size: 1024,
            codebook_dimension: 8,
            num_quantizers: 9,
        }
    }
}

impl DacConfig {
    /// The published codec for 44.1 kHz with twice the bits.
    pub fn dac_44khz_16kbps() -> Self {
        Self {
            dimension: 128,
            num_quantizers: 18,
            ..Self::default()
        }
    }

    /// The published codec for 24 kHz.
    pub fn dac_24khz() -> Self {
        Self {
            sample_rate: 24_000,
            strides: vec![8, 5, 4, 2],
            num_quantizers: 32,
            ..Self::default()
        }
    }

    /// The published codec for 16 kHz.
    pub fn dac_16khz() -> Self {
        Self {
            sample_rate: 16_000,
            num_quantizers: 12,
            ..Self::dac_24khz()
        }
    }

    /// Samples per frame.
    pub fn hop(&self) -> usize {
        self.strides.iter().product()
    }

    /// Samples that so many frames are decoded to: a stage with an odd stride gives one less than
    /// its frames times the stride. 320 T - 8 at 16 and 24 kHz, 512 T at 44.1 kHz.
    pub fn decoded_samples(&self, frames: usize) -> usize {
        let strides = self.strides.iter();
        strides.fold(frames, |samples, stride| {
            (samples * stride).saturating_sub(stride % 2)
        })
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
    /// strides, a stride of 1, or channels that cannot be halved once a stride.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let counts = [
            ("sample_rate", self.sample_rate as usize),
            ("decoder_channels", self.decoder_channels),
            ("dimension", self.dimension),
            ("codebook_size", self.codebook_size),
            ("codebook_dimension", self.codebook_dimension),
            ("num_quantizers", self.num_quantizers),
        ];
        check_counts(NAME, &counts)?;
        let hop = self
            .strides
            .iter()
            .try_fold(1usize, |hop, &stride| hop.checked_mul(stride));
        // At stride 1 a stage would change the length by one sample.
        let too_small = self.strides.iter().any(|&stride| stride < 2);
        if self.strides.is_empty() || too_small || hop.is_none_or(|hop| hop > LIMIT) {
            let expected = "numbers of at least 2, of a product up to 2^20";
            return invalid(NAME, "strides", expected, format!("{:?}", self.strides));
        }
        // A product of up to 2^20 has at most 20 factors.
        let stages = self.strides.len();
        let widest = self.encoder_channels.checked_mul(1 << stages);
        if self.encoder_channels == 0 || widest.is_none_or(|widest| widest > LIMIT) {
            let expected = "at least 1, and at most 2^20 when doubled once a stride";
            return invalid(
                NAME,
                "encoder_channels",
                expected,
                self.encoder_channels.to_string(),
            );
        }
        if self.decoder_channels >> stages == 0 {
            let expected = "at least 1 when halved once a stride";
            return invalid(
                NAME,
                "decoder_channels",
                expected,
                self.decoder_channels.to_string(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_codecs_in_numbers() {
        let published = [
            (DacConfig::default(), 44_100, 512, 9),
            (DacConfig::dac_44khz_16kbps(), 44_100, 512, 18),
            (DacConfig::dac_24khz(), 24_000, 320, 32),
            (DacConfig::dac_16khz(), 16_000, 320, 12),
        ];
        for (config, sample_rate, hop, levels) in published {
            assert_eq!(config.validate(), Ok(()));
            let spec = config.spec();
            assert_eq!((spec.sample_rate, spec.hop), (sample_rate, hop));
            assert_eq!((spec.levels, spec.codebook_size), (levels, 1024));
        }
        assert_eq!(DacConfig::dac_24khz().spec().frame_rate(), 75.0);
        assert_eq!(DacConfig::dac_16khz().spec().frame_rate(), 50.0);
    }

    #[test]
    fn odd_strides_lose_samples() {
        assert_eq!(DacConfig::default().decoded_samples(7), 7 * 512);
        assert_eq!(DacConfig::dac_16khz().decoded_samples(7), 7 * 320 - 8);
        assert_eq!(DacConfig::dac_24khz().decoded_samples(1), 312);
        assert_eq!(DacConfig::dac_24khz().decoded_samples(0), 0);
    }

    #[test]
    fn each_wrong_number_is_named() {
        let check = |key: &str, change: fn(&mut DacConfig)| {
            let mut config = DacConfig::default();
            change(&mut config);
            match config.validate() {
                Err(ConfigError::Invalid { key: got, .. }) => assert_eq!(got, key),
                other => panic!("{key}: {other:?}"),
            }
        };
        check("sample_rate", |c| c.sample_rate = 0);
        check("decoder_channels", |c| c.decoder_channels = 0);
        check("decoder_channels", |c| c.decoder_channels = 15);
        check("decoder_channels", |c| c.decoder_channels = usize::MAX);
        check("dimension", |c| c.dimension = 0);
        check("dimension", |c| c.dimension = usize::MAX);
        check("codebook_size", |c| c.codebook_size = 0);
        check("codebook_dimension", |c| c.codebook_dimension = 0);
        check("num_quantizers", |c| c.num_quantizers = 0);
        check("strides", |c| c.strides = vec![]);
        check("strides", |c| c.strides = vec![2, 0]);
        check("strides", |c| c.strides = vec![2, 1]);
        check("strides", |c| c.strides = vec![1; 90]);
        check("strides", |c| c.strides = vec![2; 21]);
        check("strides", |c| c.strides = vec![usize::MAX, 2]);
        check("encoder_channels", |c| c.encoder_channels = 0);
        check("encoder_channels", |c| c.encoder_channels = 1 << 17);
        check("encoder_channels", |c| c.encoder_channels = usize::MAX);
    }
}
