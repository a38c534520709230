//! The spectral codec in numbers.

use serde::{Deserialize, Serialize};

use super::{CHANNELS, NAME};
use crate::limits::{check_counts, invalid};
use crate::receptive::Window;
use crate::stft::{LONGEST, bins, padding};
use crate::{CodecSpec, ConfigError};

/// Levels, and blocks of a side: far more than any codec has.
const MANY: usize = 1 << 10;
/// Numbers in the largest tensor.
const LARGEST: usize = 1 << 30;

/// Configuration of a [`SpectralCodec`](super::SpectralCodec).
///
/// The default is a codec for speech at 16 kHz, 50 frames a second, of 6.6 million parameters.
/// Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpectralConfig {
    /// Samples per second.
    pub sample_rate: u32,
    /// Samples that a frame's spectrum is taken of; two or more whole hops.
    pub window: usize,
    /// Samples per frame.
    pub hop: usize,
    /// Numbers per frame between the layers.
    pub dimension: usize,
    /// How many times as many there are inside a block.
    pub expansion: usize,
    /// Frames that a block's convolution sees, an odd number.
    pub kernel: usize,
    /// Blocks before the quantizer.
    pub encoder_blocks: usize,
    /// Blocks after the quantizer.
    pub decoder_blocks: usize,
    /// Levels of the residual quantizer.
    pub num_quantizers: usize,
    /// Entries in each codebook.
    pub codebook_size: usize,
    /// Numbers in an entry: vectors are projected to so many to be looked up.
    pub codebook_dimension: usize,
}

impl Default for SpectralConfig {
    fn default() -> Self {
        Self {
            sample_rate: 16_000,
            window: 1280,
            hop: 320,
            dimension: 256,
            expansion: 3,
            kernel: 7,
            encoder_blocks: 6,
            decoder_blocks: 8,
            num_quantizers: 8,
            codebook_size: 1024,
            codebook_dimension: 16,
        }
    }
}

impl SpectralConfig {
    /// The codec in numbers.
    pub fn spec(&self) -> CodecSpec {
        CodecSpec {
            name: NAME.to_owned(),
            sample_rate: self.sample_rate,
            channels: CHANNELS,
            hop: self.hop,
            levels: self.num_quantizers,
            codebook_size: self.codebook_size,
        }
    }

    /// What sees more than one sample or frame, from the audio on.
    pub(super) fn encoder_windows(&self) -> Vec<Window> {
        let (left, _) = padding(self.window, self.hop);
        let transform = Window::Convolution {
            reach: self.window - 1,
            stride: self.hop,
            left,
        };
        let blocks = self.block_windows(self.encoder_blocks);
        std::iter::once(transform).chain(blocks).collect()
    }

    /// The same of the decoder, up to the audio.
    pub(super) fn decoder_windows(&self) -> Vec<Window> {
        let (left, _) = padding(self.window, self.hop);
        let inverse = Window::Transposed {
            reach: self.window - 1,
            stride: self.hop,
            left,
        };
        let blocks = self.block_windows(self.decoder_blocks);
        blocks.chain([inverse]).collect()
    }

    fn block_windows(&self, blocks: usize) -> impl Iterator<Item = Window> {
        let window = Window::Convolution {
            reach: self.kernel - 1,
            stride: 1,
            left: self.kernel / 2,
        };
        std::iter::repeat_n(window, blocks)
    }

    /// Fails where these numbers make no network.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for a number that is zero or past any use, a window that is not two
    /// or more hops, or a kernel without a middle.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let counts = [
            ("sample_rate", self.sample_rate as usize),
            ("window", self.window),
            ("hop", self.hop),
            ("dimension", self.dimension),
            ("expansion", self.expansion),
            ("kernel", self.kernel),
            ("encoder_blocks", self.encoder_blocks),
            ("decoder_blocks", self.decoder_blocks),
            ("num_quantizers", self.num_quantizers),
            ("codebook_size", self.codebook_size),
            ("codebook_dimension", self.codebook_dimension),
        ];
        check_counts(NAME, &counts)?;
        if self.window > LONGEST {
            return invalid(NAME, "window", "at most 8192", self.window);
        }
        if !self.window.is_multiple_of(self.hop) || self.window / self.hop < 2 {
            return invalid(NAME, "window", "two or more whole hops", self.window);
        }
        if self.kernel.is_multiple_of(2) {
            return invalid(NAME, "kernel", "an odd number", self.kernel);
        }
        let many = [
            ("encoder_blocks", self.encoder_blocks),
            ("decoder_blocks", self.decoder_blocks),
            ("num_quantizers", self.num_quantizers),
        ];
        if let Some(&(key, got)) = many.iter().find(|(_, count)| *count > MANY) {
            return invalid(NAME, key, "at most 1024", got);
        }
        // No factor is more than the limit, but their products may be.
        let is_large = |factors: [usize; 3]| {
            let factors = factors.iter();
            factors.fold(1usize, |product, &factor| product.saturating_mul(factor)) > LARGEST
        };
        let widths = [
            [self.dimension, self.dimension, self.expansion],
            [self.dimension, 3, bins(self.window)],
            [self.dimension, self.kernel, 1],
            [self.dimension, self.codebook_dimension, 1],
        ];
        if widths.into_iter().any(is_large) {
            let expected = "tensors of at most 2^30 numbers";
            return invalid(NAME, "dimension", expected, self.dimension);
        }
        if is_large([self.codebook_size, self.codebook_dimension, 1]) {
            let expected = "codebooks of at most 2^30 numbers";
            return invalid(NAME, "codebook_size", expected, self.codebook_size);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Context;
    use burn::module::Module;

    #[test]
    fn the_default_in_numbers() {
        let config = SpectralConfig::default();
        assert_eq!(config.validate(), Ok(()));
        let spec = config.spec();
        assert_eq!((spec.hop, spec.levels, spec.codebook_size), (320, 8, 1024));
        assert_eq!(spec.frame_rate(), 50.0);
        // Three frames for each block, and those whose windows reach into a frame.
        let around = |context: usize| Context {
            left: context,
            right: context,
        };
        let context = Context::of_encoder(&config.encoder_windows(), 320);
        assert_eq!(context, around(3 * 6 + 2));
        let context = Context::of_decoder(&config.decoder_windows(), 320);
        assert_eq!(context, around(3 * 8 + 2));
    }

    #[test]
    fn the_default_has_so_many_parameters() {
        let codec = SpectralConfig::default().init::<burn_flex::Flex>(&Default::default());
        let codec = codec.expect("the default is valid");
        let (dimension, bins) = (256, 641);
        let norm = 2 * dimension;
        let block = 8 * dimension + norm + (dimension + 1) * 768 + 769 * dimension + dimension;
        let input = (3 * bins + 1) * dimension + norm;
        let output = (dimension + 1) * 2 * bins + norm;
        let level = 1024 * 16 + (dimension + 1) * 16 + 17 * dimension;
        let expected = input + 14 * block + 2 * norm + output + 8 * level;
        assert_eq!(codec.num_params(), expected);
        assert_eq!(expected, 6_581_634);
    }

    #[test]
    fn each_wrong_number_is_named() {
        let check = |key: &str, change: fn(&mut SpectralConfig)| {
            let mut config = SpectralConfig::default();
            change(&mut config);
            match config.validate() {
                Err(ConfigError::Invalid { key: got, .. }) => assert_eq!(got, key),
                other => panic!("{key}: {other:?}"),
            }
        };
        check("sample_rate", |c| c.sample_rate = 0);
        check("window", |c| c.window = 0);
        check("window", |c| c.window = 320);
        check("window", |c| c.window = 1281);
        check("window", |c| c.window = 320 * 26);
        check("window", |c| c.window = usize::MAX);
        check("hop", |c| c.hop = 0);
        check("window", |c| c.hop = 1 << 20);
        check("dimension", |c| c.dimension = 0);
        check("dimension", |c| c.dimension = 1 << 15);
        check("dimension", |c| c.dimension = usize::MAX);
        check("dimension", |c| {
            c.dimension = 1 << 11;
            c.kernel = (1 << 20) - 1;
        });
        check("dimension", |c| {
            c.dimension = 1 << 11;
            c.codebook_dimension = 1 << 20;
        });
        check("expansion", |c| c.expansion = 0);
        check("dimension", |c| c.expansion = 1 << 15);
        check("kernel", |c| c.kernel = 0);
        check("kernel", |c| c.kernel = 6);
        check("encoder_blocks", |c| c.encoder_blocks = 0);
        check("encoder_blocks", |c| c.encoder_blocks = 1025);
        check("decoder_blocks", |c| c.decoder_blocks = usize::MAX);
        check("num_quantizers", |c| c.num_quantizers = 0);
        check("num_quantizers", |c| c.num_quantizers = 1025);
        check("codebook_size", |c| c.codebook_size = 0);
        check("codebook_size", |c| {
            c.codebook_size = 1 << 20;
            c.codebook_dimension = 1 << 11;
        });
        check("codebook_dimension", |c| c.codebook_dimension = 0);
    }
}
