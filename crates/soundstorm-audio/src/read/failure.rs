//! What a decoder's failures mean, panics included.

use std::any::Any;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::errors::Error as Symphonia;

use super::container::Container;
use crate::{AudioError, Result};

/// Runs a decoder, turning a panic in it into an error. What the closure touches is not to be used afterwards.
pub(super) fn catching<T>(input: &str, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
        Err(AudioError::Decoder {
            input: input.into(),
            detail: panic_message(&*panic),
        })
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

pub(super) fn decode_error(error: Symphonia, container: Container, input: &str) -> AudioError {
    let (input, format) = (input.to_owned(), container.name());
    match error {
        Symphonia::IoError(source) if source.kind() == ErrorKind::UnexpectedEof => {
            AudioError::Truncated {
                input,
                format,
                detail: "it ends before the decoder is done".into(),
            }
        }
        // It looked like one, and not one frame was found.
        Symphonia::Unsupported(_) if container == Container::Mp3 => AudioError::Malformed {
            input,
            format,
            detail: "no whole layer III frame is found".into(),
        },
        Symphonia::Unsupported(detail) => AudioError::Unsupported {
            input,
            detail: format!("{format}: {detail}"),
        },
        Symphonia::ResetRequired => AudioError::Unsupported {
            input,
            detail: format!("{format}: streams chained one after another"),
        },
        // Of the system: the decoder's own have no number.
        Symphonia::IoError(source) if source.raw_os_error().is_some() => AudioError::Io {
            operation: "read",
            input,
            source,
        },
        // The decoder's own limits are met by nonsense only.
        other => AudioError::Malformed {
            input,
            format,
            detail: other.to_string(),
        },
    }
}

pub(super) fn io_error(operation: &'static str, input: &str, source: std::io::Error) -> AudioError {
    AudioError::Io {
        operation,
        input: input.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panicking_decoder_is_an_error() {
        for detail in ["index 7 out of range", "no such table 3"] {
            let error = catching::<()>("x.mp3", || panic!("{detail}"));
            let Err(AudioError::Decoder { input, detail: got }) = error else {
                panic!("not a decoder error");
            };
            assert_eq!((input.as_str(), got.as_str()), ("x.mp3", detail));
        }
    }
}
