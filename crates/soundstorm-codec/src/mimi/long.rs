//! Mimi on audio of any length: streamed.

use burn::prelude::*;

use super::Mimi;
use crate::long::{DecodeForm, StreamDecoder, StreamEncoder};
use crate::{CodecError, LongAudio, LongDecoder, LongEncoder, LongOptions};

impl<B: Backend> LongAudio<B> for Mimi<B> {
    fn long_encoder(
        &self,
        levels: Option<usize>,
        options: &LongOptions,
    ) -> Result<LongEncoder<'_, B>, CodecError> {
        let form = StreamEncoder::new(self, levels)?;
        LongEncoder::new(self, levels, options, Some(Box::new(form)))
    }

    fn long_decoder(&self, options: &LongOptions) -> LongDecoder<'_, B> {
        // Every configuration of Mimi can be streamed.
        let form = StreamDecoder::new(self).ok();
        let form = form.map(|form| Box::new(form) as Box<dyn DecodeForm<B> + '_>);
        LongDecoder::new(self, options, form)
    }
}
