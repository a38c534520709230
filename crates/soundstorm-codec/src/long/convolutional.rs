//! Codecs that are [`Convolutional`] on audio of any length: windows that overlap by what a frame
//! depends on.

use burn::prelude::*;

use super::{LongAudio, LongDecoder, LongEncoder, LongOptions, WindowDecoder, WindowEncoder};
use crate::{CodecError, Convolutional, Dac, SoundStream, SpectralCodec};

macro_rules! by_windows {
    ($($codec:ident),*) => {$(
        impl<B: Backend> LongAudio<B> for $codec<B> {
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
    )*};
}

by_windows!(Dac, SoundStream, SpectralCodec);
