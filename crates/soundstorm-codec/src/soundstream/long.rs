//! SoundStream on audio of any length: pieces that overlap by what its convolutions and its windows
//! of attention reach.

use burn::prelude::*;

use super::SoundStream;
use crate::long::{WindowDecoder, WindowEncoder};
use crate::{CodecError, Convolutional, LongAudio, LongDecoder, LongEncoder, LongOptions};

impl<B: Backend> LongAudio<B> for SoundStream<B> {
    fn long_encoder(
        &self,
        levels: Option<usize>,
        options: &LongOptions,
    ) -> Result<LongEncoder<'_, B>, CodecError> {
        let form = WindowEncoder::new(self, levels, self.encoder_context(), options);
        LongEncoder::new(self, levels, options, Some(Box::new(form)))
    }

    fn long_decoder(&self, options: &LongOptions) -> LongDecoder<'_, B> {
        let form = WindowDecoder::new(self, self.decoder_context(), options);
        LongDecoder::new(self, options, Some(Box::new(form)))
    }
}
