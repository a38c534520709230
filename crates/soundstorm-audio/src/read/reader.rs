//! Audio block by block: a check of the container where decoders are lenient, then symphonia.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::path::Path;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::container::Container;
use super::failure::{catching, decode_error, io_error};
use super::mp3_end::ends_inside_a_frame;
use super::source::{Shared, Source};
use crate::{Audio, AudioError, Limits, Result, ogg, riff};

/// Samples a channel of a block, at least, but for the last one.
const BLOCK: usize = 1 << 15;

/// Audio that is decoded block by block, so that no more of it is held than one block; what comes
/// through a pipe lies encoded in memory, or in a temporary file where it is larger than 64 MiB.
///
/// An iterator over blocks of the same rate and channels, each of some samples. That a file ends
/// early or does not match its checksum is the error of the last one; after an error nothing
/// follows.
pub struct AudioReader {
    input: String,
    container: Container,
    limits: Limits,
    source: Shared,
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    declared: Option<u64>,
    sample_rate: u32,
    channels: usize,
    /// Samples a channel, decoded so far.
    frames: u64,
    last_packet: Box<[u8]>,
    /// What was decoded to know the rate and the channels.
    first: Option<Audio>,
    done: bool,
}

impl AudioReader {
    /// Opens a WAV, FLAC, MP3 or Ogg Vorbis file, told apart by its content, and decodes its first block.
    ///
    /// # Errors
    /// Any [`AudioError`] but `Invalid`, naming the path.
    pub fn open(path: impl AsRef<Path>, limits: &Limits) -> Result<Self> {
        let path = path.as_ref();
        let input = path.display().to_string();
        let file = File::open(path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => AudioError::NotFound {
                input: input.clone(),
            },
            _ => io_error("open", &input, source),
        })?;
        match file.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                let source = ErrorKind::IsADirectory.into();
                Err(io_error("read", &input, source))
            }
            Ok(metadata) if metadata.is_file() => {
                let source = Source::file(file).map_err(|e| io_error("read", &input, e))?;
                Self::new(source, &input, limits)
            }
            _ => Self::from_reader(file, &input, limits),
        }
    }

    /// Takes all that a reader has, and decodes the first block; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`AudioReader::open`].
    pub fn from_reader(reader: impl Read, name: &str, limits: &Limits) -> Result<Self> {
        let source = Source::spool(reader, limits.max_bytes);
        Self::new(source.map_err(|e| io_error("read", name, e))?, name, limits)
    }

    /// Takes an encoded file in memory, and decodes its first block; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`AudioReader::open`].
    pub fn from_bytes(bytes: Vec<u8>, name: &str, limits: &Limits) -> Result<Self> {
        let source = Source::bytes(bytes);
        Self::new(source.map_err(|e| io_error("read", name, e))?, name, limits)
    }

    /// Samples a second, in Hz.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Channels of every block.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples a channel of all blocks together, where the file declares them.
    pub fn frames(&self) -> Option<u64> {
        self.declared
    }

    fn new(mut source: Source, input: &str, limits: &Limits) -> Result<Self> {
        let failed = |error| io_error("read", input, error);
        limits.check_bytes(source.len(), input)?;
        if source.len() == 0 {
            return Err(AudioError::Empty {
                input: input.into(),
            });
        }
        let mut head = vec![0; Container::HEAD];
        let there = source.read_at(0, &mut head).map_err(failed)?;
        let container = Container::of(&head[..there], input)?;
        match container {
            Container::Wav => riff::settle(&mut source, input)?,
            Container::Ogg => ogg::check(&mut source, input)?,
            Container::Flac | Container::Mp3 => {}
        }
        source.rewind().map_err(failed)?;
        catching(input, || Self::probe(source, container, input, limits))
    }

    fn probe(source: Source, container: Container, input: &str, limits: &Limits) -> Result<Self> {
        let failed = |error| decode_error(error, container, input);
        // Where it can seek, symphonia guesses an MP3's length from its bit rate and drops what lies behind.
        let source = Shared::new(source, container != Container::Mp3);
        let stream = MediaSourceStream::new(Box::new(source.clone()), Default::default());
        let format = symphonia::default::get_probe()
            .probe(
                &Hint::new(),
                stream,
                FormatOptions::default(),
                MetadataOptions::default(),
            )
            .map_err(failed)?;

        let track =
            format
                .default_track(TrackType::Audio)
                .ok_or_else(|| AudioError::Unsupported {
                    input: input.into(),
                    detail: format!(
                        "{} without an audio track that can be read",
                        container.name()
                    ),
                })?;
        let params = track.codec_params.as_ref().and_then(|p| p.audio());
        let params = params.ok_or_else(|| AudioError::Malformed {
            input: input.into(),
            format: container.name(),
            detail: "the audio track has no codec".into(),
        })?;
        let (id, declared) = (track.id, track.num_frames);
        if let Some(rate) = params.sample_rate {
            limits.check_rate(rate, input)?;
            if let Some(frames) = declared {
                limits.check_frames(frames, rate, input)?;
            }
        }
        if let Some(channels) = &params.channels {
            limits.check_channels(channels.count(), input)?;
        }
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(params, &AudioDecoderOptions::default().verify(true))
            .map_err(failed)?;
        let mut reader = Self {
            input: input.into(),
            container,
            limits: limits.clone(),
            source,
            format,
            decoder,
            track: id,
            declared,
            sample_rate: 0,
            channels: 0,
            frames: 0,
            last_packet: Box::default(),
            first: None,
            done: false,
        };
        reader.first = reader.decode()?;
        Ok(reader)
    }

    /// The next block, or nothing behind the last.
    fn decode(&mut self) -> Result<Option<Audio>> {
        let (container, start) = (self.container, self.frames);
        let mut block = Audio::default();
        let mut packet_samples: Vec<Vec<f32>> = Vec::new();
        while block.frames() < BLOCK {
            let failed = |error| decode_error(error, container, &self.input);
            let Some(packet) = self.format.next_packet().map_err(failed)? else {
                self.check_end()?;
                self.done = true;
                break;
            };
            if packet.track_id != self.track {
                continue;
            }
            let decoded = self.decoder.decode(&packet).map_err(failed)?;
            let (rate, count) = (decoded.spec().rate(), decoded.spec().channels().count());
            decoded.copy_to_vecs_planar(&mut packet_samples);
            self.check_layout(rate, count)?;
            block.sample_rate = rate;
            block.channels.resize(count, Vec::new());
            for (channel, new) in block.channels.iter_mut().zip(&packet_samples) {
                channel.extend_from_slice(new);
            }
            self.frames = start + block.frames() as u64;
            self.limits.check_frames(self.frames, rate, &self.input)?;
            if container == Container::Mp3 {
                self.last_packet = packet.data.clone();
            }
        }
        if !self.limits.allow_non_finite
            && let Some((channel, index, value)) = block.first_non_finite()
        {
            return Err(AudioError::NonFinite {
                input: self.input.clone(),
                channel,
                index: start as usize + index,
                value,
            });
        }
        Ok(Some(block).filter(|block| block.frames() > 0))
    }

    /// The first packet's rate and channels, within the limits, are those of all.
    fn check_layout(&mut self, rate: u32, count: usize) -> Result<()> {
        if self.channels == 0 {
            self.limits.check_rate(rate, &self.input)?;
            self.limits.check_channels(count, &self.input)?;
            (self.sample_rate, self.channels) = (rate, count);
        } else if (rate, count) != (self.sample_rate, self.channels) {
            return Err(AudioError::Unsupported {
                input: self.input.clone(),
                detail: format!(
                    "{} Hz with {} channels turns into {rate} Hz with {count}",
                    self.sample_rate, self.channels
                ),
            });
        }
        Ok(())
    }

    /// What shows only at the end: whether it is one.
    fn check_end(&mut self) -> Result<()> {
        let truncated = |detail: String| AudioError::Truncated {
            input: self.input.clone(),
            format: self.container.name(),
            detail,
        };
        if let Some(expected) = self.declared.filter(|&n| n > self.frames) {
            return Err(truncated(format!(
                "it declares {expected} samples a channel and has {}",
                self.frames
            )));
        }
        if self.decoder.finalize().verify_ok == Some(false) {
            return Err(AudioError::Malformed {
                input: self.input.clone(),
                format: self.container.name(),
                detail: "the samples do not match the checksum in the file".into(),
            });
        }
        if self.container == Container::Mp3 {
            let cut = ends_inside_a_frame(&mut self.source.lock(), &self.last_packet);
            if cut.map_err(|error| io_error("read", &self.input, error))? {
                return Err(truncated("it ends inside a frame".into()));
            }
        }
        if self.frames == 0 {
            return Err(AudioError::Empty {
                input: self.input.clone(),
            });
        }
        Ok(())
    }
}

impl Iterator for AudioReader {
    type Item = Result<Audio>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        if self.done {
            return None;
        }
        let input = self.input.clone();
        let block = catching(&input, || self.decode());
        // A decoder that failed or panicked is not asked again.
        self.done |= block.is_err();
        block.transpose()
    }
}
