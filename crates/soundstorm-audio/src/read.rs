//! Reading audio: bytes in memory, a check of the container where decoders are lenient, then symphonia.

use std::any::Any;
use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as Symphonia;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::meta::MetadataOptions;

use crate::{Audio, AudioError, Limits, Result, ogg, riff};

/// Reads a WAV, FLAC, MP3 or Ogg Vorbis file, told apart by its content.
///
/// # Errors
/// Any [`AudioError`] but `Invalid`, naming the path.
pub fn read(path: impl AsRef<Path>, limits: &Limits) -> Result<Audio> {
    let path = path.as_ref();
    let input = path.display().to_string();
    let file = File::open(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => AudioError::NotFound {
            input: input.clone(),
        },
        _ => io_error("open", &input, source),
    })?;
    // Known beforehand for a regular file; a pipe is counted while it is read.
    if let Ok(metadata) = file.metadata() {
        if metadata.is_dir() {
            let source = ErrorKind::IsADirectory.into();
            return Err(io_error("read", &input, source));
        }
        check_bytes(metadata.len(), &input, limits)?;
    }
    read_from(file, &input, limits)
}

/// Reads audio from any reader to its end; `name` stands for it in errors.
///
/// # Errors
/// As [`read`].
pub fn read_from(reader: impl Read, name: &str, limits: &Limits) -> Result<Audio> {
    let mut bytes = Vec::new();
    reader
        .take(limits.max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| io_error("read", name, source))?;
    read_bytes(bytes, name, limits)
}

/// Reads audio from an encoded file in memory; `name` stands for it in errors.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(mut bytes: Vec<u8>, name: &str, limits: &Limits) -> Result<Audio> {
    check_bytes(bytes.len() as u64, name, limits)?;
    if bytes.is_empty() {
        return Err(AudioError::Empty { input: name.into() });
    }
    let container = Container::of(&bytes, name)?;
    match container {
        Container::Wav => riff::settle(&mut bytes, name)?,
        Container::Ogg => ogg::check(&bytes, name)?,
        Container::Flac | Container::Mp3 => {}
    }
    let audio = catching(name, || decode(&bytes, container, name, limits))?;
    if !limits.allow_non_finite
        && let Some((channel, index, value)) = audio.first_non_finite()
    {
        return Err(AudioError::NonFinite {
            input: name.into(),
            channel,
            index,
            value,
        });
    }
    Ok(audio)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Container {
    Wav,
    Flac,
    Ogg,
    Mp3,
}

impl Container {
    /// By the first bytes. An MP3 has none of its own: a tag or a layer III frame must begin the file (zeros aside), so
    /// that no other file is searched for something that resembles one.
    fn of(bytes: &[u8], input: &str) -> Result<Self> {
        const OTHERS: [(usize, &[u8], &str); 7] = [
            (0, b"RF64", "RF64"),
            (0, b"RIFX", "big-endian RIFF"),
            (0, b"FORM", "AIFF"),
            (0, b"caff", "Core Audio"),
            (4, b"ftyp", "MP4"),
            (0, b"\x1A\x45\xDF\xA3", "Matroska or WebM"),
            (0, b".snd", "AU"),
        ];
        if bytes.starts_with(b"RIFF") {
            return Ok(Self::Wav);
        }
        if bytes.starts_with(b"fLaC") {
            return Ok(Self::Flac);
        }
        if bytes.starts_with(b"OggS") {
            return Ok(Self::Ogg);
        }
        let start = bytes.iter().position(|&b| b != 0).unwrap_or(0);
        let layer_three = |b: &[u8]| b.len() > 1 && b[0] == 0xFF && b[1] & 0xE6 == 0xE2;
        if bytes.starts_with(b"ID3") || layer_three(&bytes[start..]) {
            return Ok(Self::Mp3);
        }
        let other = OTHERS
            .iter()
            .find(|(at, magic, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(magic)));
        Err(AudioError::Unsupported {
            input: input.to_owned(),
            detail: match other {
                Some((_, _, what)) => format!("{what} (WAV, FLAC, MP3 and Ogg Vorbis are read)"),
                None => "not WAV, FLAC, MP3 or Ogg Vorbis".into(),
            },
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Wav => "WAV",
            Self::Flac => "FLAC",
            Self::Ogg => "Ogg",
            Self::Mp3 => "MP3",
        }
    }
}

fn decode(bytes: &[u8], container: Container, input: &str, limits: &Limits) -> Result<Audio> {
    let failed = |error| decode_error(error, container, input);
    let cut_short = |got: usize, expected: u64| AudioError::Truncated {
        input: input.into(),
        format: container.name(),
        detail: format!("it declares {expected} samples a channel and has {got}"),
    };
    let malformed = |detail: &str| AudioError::Malformed {
        input: input.into(),
        format: container.name(),
        detail: detail.into(),
    };

    let source: Box<dyn MediaSource + '_> = match container {
        // Where it can seek, symphonia guesses an MP3's length from its bit rate and drops what lies behind.
        Container::Mp3 => Box::new(ReadOnlySource::new(Cursor::new(bytes))),
        _ => Box::new(Cursor::new(bytes)),
    };
    let stream = MediaSourceStream::new(source, Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(failed)?;

    let track = format
        .default_track(TrackType::Audio)
        .ok_or_else(|| AudioError::Unsupported {
            input: input.into(),
            detail: format!(
                "{} without an audio track that can be read",
                container.name()
            ),
        })?;
    let params = track.codec_params.as_ref().and_then(|p| p.audio());
    let params = params.ok_or_else(|| malformed("the audio track has no codec"))?;
    let (track_id, declared) = (track.id, track.num_frames);
    if let Some(rate) = params.sample_rate {
        check_rate(rate, input, limits)?;
        if let Some(frames) = declared {
            check_frames(frames, rate, input, limits)?;
        }
    }
    if let Some(channels) = &params.channels {
        check_channels(channels.count(), input, limits)?;
    }
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(params, &AudioDecoderOptions::default().verify(true))
        .map_err(failed)?;

    let mut audio = Audio::default();
    let mut chunk: Vec<Vec<f32>> = Vec::new();
    let mut last_packet: Box<[u8]> = Box::default();
    while let Some(packet) = format.next_packet().map_err(failed)? {
        if packet.track_id != track_id {
            continue;
        }
        let decoded = decoder.decode(&packet).map_err(failed)?;
        let (rate, count) = (decoded.spec().rate(), decoded.spec().channels().count());
        if audio.channels.is_empty() {
            check_rate(rate, input, limits)?;
            check_channels(count, input, limits)?;
            audio.sample_rate = rate;
            audio.channels = vec![Vec::new(); count];
        } else if (rate, count) != (audio.sample_rate, audio.channels.len()) {
            return Err(AudioError::Unsupported {
                input: input.into(),
                detail: format!(
                    "{} Hz with {} channels turns into {rate} Hz with {count}",
                    audio.sample_rate,
                    audio.channels.len()
                ),
            });
        }
        decoded.copy_to_vecs_planar(&mut chunk);
        for (channel, new) in audio.channels.iter_mut().zip(&chunk) {
            channel.extend_from_slice(new);
        }
        check_frames(audio.frames() as u64, rate, input, limits)?;
        if container == Container::Mp3 {
            last_packet = packet.data.clone();
        }
    }

    if let Some(expected) = declared.filter(|&n| n > audio.frames() as u64) {
        return Err(cut_short(audio.frames(), expected));
    }
    if decoder.finalize().verify_ok == Some(false) {
        return Err(malformed(
            "the samples do not match the checksum in the file",
        ));
    }
    if container == Container::Mp3 && ends_inside_a_frame(bytes, &last_packet) {
        return Err(AudioError::Truncated {
            input: input.into(),
            format: container.name(),
            detail: "it ends inside a frame".into(),
        });
    }
    if audio.frames() == 0 {
        return Err(AudioError::Empty {
            input: input.into(),
        });
    }
    Ok(audio)
}

/// An MP3 without a header frame declares no length, but a frame that has begun must end: what follows the last whole
/// one may be a tag, not another frame.
fn ends_inside_a_frame(bytes: &[u8], last: &[u8]) -> bool {
    if last.len() < 4 {
        return false;
    }
    let at = bytes.windows(last.len()).rposition(|window| window == last);
    let tail = at.map_or(&[][..], |at| &bytes[at + last.len()..]);
    // The sync word, version and layer stay the same throughout a file.
    tail.len() > 1 && tail[0] == 0xFF && tail[1] & 0xFE == last[1] & 0xFE
}

/// Runs a decoder, turning a panic in it into an error.
fn catching<T>(input: &str, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    // Everything that the closure touches is dropped with the error.
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

fn decode_error(error: Symphonia, container: Container, input: &str) -> AudioError {
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
        // A reader over memory fails for no other reason, and the decoder's own limits are met by nonsense only.
        other => AudioError::Malformed {
            input,
            format,
            detail: other.to_string(),
        },
    }
}

fn io_error(operation: &'static str, input: &str, source: std::io::Error) -> AudioError {
    AudioError::Io {
        operation,
        input: input.into(),
        source,
    }
}

fn over(input: &str, what: &'static str, got: String, limit: String) -> AudioError {
    AudioError::OverLimit {
        input: input.into(),
        what,
        got,
        limit,
    }
}

fn check_bytes(bytes: u64, input: &str, limits: &Limits) -> Result<()> {
    if bytes > limits.max_bytes {
        let (got, limit) = (format!("{bytes} bytes"), format!("{}", limits.max_bytes));
        return Err(over(input, "the file", got, limit));
    }
    Ok(())
}

fn check_rate(rate: u32, input: &str, limits: &Limits) -> Result<()> {
    if !(limits.min_sample_rate..=limits.max_sample_rate).contains(&rate) || rate == 0 {
        let limit = format!(
            "{} to {} Hz",
            limits.min_sample_rate, limits.max_sample_rate
        );
        return Err(over(input, "the sample rate", format!("{rate} Hz"), limit));
    }
    Ok(())
}

fn check_channels(count: usize, input: &str, limits: &Limits) -> Result<()> {
    if count > limits.max_channels {
        let limit = limits.max_channels.to_string();
        return Err(over(
            input,
            "the number of channels",
            count.to_string(),
            limit,
        ));
    }
    Ok(())
}

fn check_frames(frames: u64, rate: u32, input: &str, limits: &Limits) -> Result<()> {
    let seconds = frames as f64 / f64::from(rate.max(1));
    if seconds > limits.max_seconds {
        let (got, limit) = (
            format!("{seconds:.1} s"),
            format!("{} s", limits.max_seconds),
        );
        return Err(over(input, "the duration", got, limit));
    }
    Ok(())
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

    #[test]
    fn foreign_formats_are_named() {
        let cases: [(&[u8], &str); 4] = [
            (b"FORM\0\0\0\0AIFF", "AIFF"),
            (b"\0\0\0\x20ftypM4A ", "MP4"),
            (b"RF64\xFF\xFF\xFF\xFFWAVE", "RF64"),
            (b"\xFF\xF1\x50\x80\0\0\0\0", "not WAV"),
        ];
        for (bytes, expect) in cases {
            let error = Container::of(bytes, "x").map(Container::name);
            let error = error.map_err(|e| e.to_string());
            assert!(matches!(&error, Err(e) if e.contains(expect)), "{error:?}");
        }
    }
}
