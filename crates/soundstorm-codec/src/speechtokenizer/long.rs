//! SpeechTokenizer on audio of any length. Its recurrent layers see all of a signal, those of the
//! encoder from both ends, so pieces overlap by what convolutions reach and some seconds more.

use burn::prelude::*;

use super::SpeechTokenizer;
use crate::long::{WindowDecoder, WindowEncoder};
use crate::{Codec, CodecError, Context, LongAudio, LongDecoder, LongEncoder, LongOptions};

/// Frames that recurrent layers see on either side of a piece: two seconds of the published codec.
const OVERLAP: usize = 100;
/// Pieces that are done whole, as they are not exact one by one; more would take more than 1.5 GB.
const WHOLE_PIECES: usize = 3;

impl<B: Backend> LongAudio<B> for SpeechTokenizer<B> {
    fn long_options(&self) -> LongOptions {
        let options = LongOptions::new(&self.spec());
        LongOptions {
            whole: WHOLE_PIECES * options.piece,
            overlap: OVERLAP,
            ..options
        }
    }

    fn long_encoder(
        &self,
        levels: Option<usize>,
        options: &LongOptions,
    ) -> Result<LongEncoder<'_, B>, CodecError> {
        let reach = self.encoder.context(self.spec().hop);
        let (forward, backward) = match &self.encoder.lstm {
            None => (0, 0),
            Some(lstm) if lstm.is_bidirectional() => (options.overlap, options.overlap),
            Some(_) => (options.overlap, 0),
        };
        let context = Context {
            left: reach.left + forward,
            right: reach.right + backward,
        };
        let form = WindowEncoder::new(self, levels, context, options);
        LongEncoder::new(self, levels, options, Some(Box::new(form)))
    }

    fn long_decoder(&self, options: &LongOptions) -> LongDecoder<'_, B> {
        let reach = self.decoder.context(self.spec().hop);
        let context = Context {
            left: reach.left + self.decoder.lstm.as_ref().map_or(0, |_| options.overlap),
            right: reach.right,
        };
        let form = WindowDecoder::new(self, context, options);
        LongDecoder::new(self, options, Some(Box::new(form)))
    }
}
