//! SEANet, the convolutional encoder and decoder of SoundStream and EnCodec
//! (Tagliasacchi et al. 2020; Défossez et al. 2022), causal or centered.

mod context;
mod decoder;
mod encoder;
pub(crate) mod import;
mod residual;
mod stream;

pub use decoder::{SeanetDecoder, SeanetDecoderStage};
pub use encoder::{SeanetEncoder, SeanetEncoderStage};
pub use residual::SeanetResidualBlock;
pub use stream::{SeanetStageState, SeanetState};

use crate::limits::{LIMIT, invalid};
use crate::{
    ActivationKind, ConfigError, ConvNorm, PadMode, PaddedConv1dConfig, Padding,
    TrimmedConvTranspose1dConfig,
};

/// What an encoder and its decoder have in common.
#[derive(Debug, Clone)]
pub struct SeanetConfig {
    /// Audio channels.
    pub channels: usize,
    /// Numbers per frame between encoder and decoder.
    pub dimension: usize,
    /// Channels beside the audio; each stage away from it has twice as many.
    pub filters: usize,
    /// Upsampling of the decoder's stages; the encoder takes them in reverse.
    pub strides: Vec<usize>,
    /// Residual blocks in a stage.
    pub residual_layers: usize,
    /// Taps of a residual block's first convolution.
    pub residual_kernel: usize,
    /// Block `j` of a stage is dilated by this to the power of `j`.
    pub dilation_base: usize,
    /// Taps of the first convolution.
    pub kernel: usize,
    /// Taps of the last convolution.
    pub last_kernel: usize,
    /// How many times fewer channels a residual block has inside.
    pub compress: usize,
    /// Whether a pointwise convolution stands beside a residual block, or nothing.
    pub conv_shortcut: bool,
    /// Where convolutions are padded and transposed ones trimmed.
    pub padding: Padding,
    /// What convolutions are padded with.
    pub pad_mode: PadMode,
    /// How much of a causal trimming is on the right, from 0 to 1.
    pub trim_right_ratio: f64,
    /// What follows every convolution.
    pub norm: ConvNorm,
    /// The activation before every convolution but the first.
    pub activation: ActivationKind,
    /// Recurrent layers beside `dimension`; 0 for none.
    pub lstm_layers: usize,
    /// Whether the encoder's recurrent layers run in both directions.
    pub bidirectional: bool,
}

impl SeanetConfig {
    /// Channels farthest from the audio.
    pub(crate) fn widest(&self) -> usize {
        self.filters << self.strides.len()
    }

    /// Fails where strides, filters or blocks make no network.
    ///
    /// # Arguments
    /// - `resampling`: how many of its frames are one of the codec's
    pub(crate) fn check(&self, codec: &'static str, resampling: usize) -> Result<(), ConfigError> {
        let mut strides = self.strides.iter();
        let hop = strides.try_fold(resampling, |hop, &stride| hop.checked_mul(stride));
        if self.strides.is_empty() || !hop.is_some_and(|hop| (1..=LIMIT).contains(&hop)) {
            let expected = "a hop of 1 to 2^20 samples";
            return invalid(codec, "strides", expected, format!("{:?}", self.strides));
        }
        // A block has fewer channels inside, and a stage doubles them towards the next.
        let widest = u32::try_from(self.strides.len())
            .ok()
            .and_then(|stages| 2usize.checked_pow(stages))
            .and_then(|times| times.checked_mul(self.filters));
        if self.filters < self.compress || widest.is_none_or(|widest| widest > LIMIT) {
            let expected =
                "one at least inside a block, and at most 2^20 when doubled once a stride";
            return invalid(codec, "filters", expected, self.filters);
        }
        let dilation = u32::try_from(self.residual_layers.saturating_sub(1))
            .ok()
            .and_then(|power| self.dilation_base.checked_pow(power));
        if self.residual_layers > 64 || dilation.is_none_or(|dilation| dilation > LIMIT) {
            let expected = "at most 64, and dilations up to 2^20";
            return invalid(codec, "residual_layers", expected, self.residual_layers);
        }
        Ok(())
    }

    /// Directions of the encoder's recurrent layers.
    pub(crate) fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional && self.lstm_layers > 0)
    }

    /// A convolution padded and normalized as all of them are.
    fn conv(&self, from: usize, to: usize, kernel: usize) -> PaddedConv1dConfig {
        PaddedConv1dConfig::new(from, to, kernel)
            .with_padding(self.padding)
            .with_pad_mode(self.pad_mode)
            .with_norm(self.norm)
    }

    /// A transposed convolution trimmed and normalized as all of them are.
    fn conv_transpose(
        &self,
        from: usize,
        to: usize,
        stride: usize,
    ) -> TrimmedConvTranspose1dConfig {
        TrimmedConvTranspose1dConfig::new(from, to, 2 * stride, stride)
            .with_padding(self.padding)
            .with_trim_right_ratio(self.trim_right_ratio)
            .with_norm(self.norm)
    }
}
