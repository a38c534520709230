//! Block by block, whatever the blocks: what reading, resampling and writing the whole gives.

use std::fs;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use soundstorm_audio::{
    Audio, AudioError, AudioReader, AudioWriter, FileFormat, FlacFormat, Limits, Resampler,
    WavFormat, file_bytes, read_bytes, wav_bytes,
};

use crate::support::{fixture, names, sine};

const FORMATS: [FileFormat; 5] = [
    FileFormat::Wav(WavFormat::Pcm16),
    FileFormat::Wav(WavFormat::Pcm24),
    FileFormat::Wav(WavFormat::F32),
    FileFormat::Flac(FlacFormat::Pcm16),
    FileFormat::Flac(FlacFormat::Pcm24),
];

/// Longer than a few blocks.
fn tones(rate: u32, frames: usize, channels: usize) -> Audio {
    let tone = |channel| sine(rate, frames, 331.0 * (channel + 1) as f64, 0.4);
    Audio::new(rate, (0..channels).map(tone).collect()).unwrap()
}

/// Samples `start..end` of each channel.
fn part(audio: &Audio, start: usize, end: usize) -> Audio {
    let channels = audio.channels.iter();
    let channels = channels.map(|channel| channel[start..end].to_vec());
    Audio::new(audio.sample_rate, channels.collect()).unwrap()
}

/// The audio in parts of these lengths, and what is left.
fn parts(audio: &Audio, lengths: &[usize]) -> Vec<Audio> {
    let (mut start, mut parts) = (0, Vec::new());
    for &length in lengths.iter().chain([&audio.frames()]) {
        let end = audio.frames().min(start + length);
        parts.push(part(audio, start, end));
        start = end;
    }
    parts
}

fn join(parts: impl IntoIterator<Item = Audio>) -> Audio {
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap();
    for part in parts {
        assert_eq!(part.sample_rate, all.sample_rate);
        assert_eq!(part.channels.len(), all.channels.len());
        for (channel, new) in all.channels.iter_mut().zip(part.channels) {
            channel.extend(new);
        }
    }
    all
}

#[test]
fn blocks_are_the_file() {
    let long = tones(16_000, 250_007, 2);
    let mut files: Vec<_> = FORMATS
        .iter()
        .map(|&format| file_bytes(&long, format).unwrap())
        .collect();
    let names = ["tone.flac", "tone.mp3", "tone-no-header.mp3", "tone.ogg"];
    files.extend(names.map(fixture));
    let limits = Limits::default();
    for (index, bytes) in files.into_iter().enumerate() {
        let whole = read_bytes(bytes.clone(), "x", &limits).unwrap();
        let piped = AudioReader::from_reader(&bytes[..], "x", &limits).unwrap();
        let reader = AudioReader::from_bytes(bytes, "x", &limits).unwrap();
        assert_eq!(reader.sample_rate(), whole.sample_rate);
        assert_eq!(reader.channels(), whole.channels.len());
        if let Some(frames) = reader.frames() {
            assert_eq!(frames, whole.frames() as u64, "{index}");
        }
        let blocks: Vec<_> = reader.map(Result::unwrap).collect();
        if index < FORMATS.len() {
            assert!(blocks.len() > 3);
            assert!(blocks.iter().all(|block| block.frames() < 50_000));
            assert_eq!(whole.frames(), long.frames());
        }
        assert!(blocks.iter().all(|block| block.frames() > 0));
        assert_eq!(join(blocks), whole, "{index}");
        assert_eq!(join(piped.map(Result::unwrap)), whole, "{index}");
    }
}

/// What is damaged behind the first block comes to light when the blocks before it have been given.
#[test]
fn the_end_has_the_error() {
    let long = tones(16_000, 250_007, 1);
    let mut flac = file_bytes(&long, FileFormat::Flac(FlacFormat::Pcm16)).unwrap();
    flac.truncate(flac.len() - flac.len() / 9);
    let mut broken = long.clone();
    broken.channels[0][200_003] = f32::NAN;
    let data: Vec<u8> = broken.channels[0]
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let not_finite = crate::support::wav(3, 32, 16_000, 1, &data);
    for (bytes, index) in [(flac, None), (not_finite, Some(200_003))] {
        let mut reader = AudioReader::from_bytes(bytes, "x", &Limits::default()).unwrap();
        let good = join(reader.by_ref().map_while(Result::ok));
        assert!(good.frames() > 100_000);
        assert_eq!(
            good,
            part(&long, 0, good.frames()).quantized(index.is_none())
        );
        // The error is what ended it.
        assert!(reader.next().is_none());
    }
    let mut bytes = wav_bytes(&long, WavFormat::Pcm16).unwrap();
    bytes.truncate(400_000);
    // The header of a WAV tells at once.
    let error = AudioReader::from_bytes(bytes, "x", &Limits::default()).err();
    assert!(matches!(error, Some(AudioError::Truncated { .. })));

    let mut reader = AudioReader::from_bytes(
        crate::support::wav(3, 32, 16_000, 1, &data),
        "x",
        &Limits::default(),
    )
    .unwrap();
    let error = reader.find_map(Result::err);
    assert!(
        matches!(error, Some(AudioError::NonFinite { index: 200_003, .. })),
        "{error:?}"
    );
}

trait Quantized {
    fn quantized(self, as_16_bits: bool) -> Self;
}

impl Quantized for Audio {
    fn quantized(mut self, as_16_bits: bool) -> Self {
        if as_16_bits {
            for sample in self.channels.iter_mut().flatten() {
                *sample = (*sample * 32_768.0).round() / 32_768.0;
            }
        }
        self
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// To the bit.
    #[test]
    fn any_cut_is_resampled_as_the_whole(
        rates in 0usize..6,
        frames in 0usize..30_011,
        channels in 1usize..=2,
        lengths in proptest::collection::vec(0usize..9001, 0..7),
    ) {
        let (from, to) = [
            (48_000, 16_000),
            (16_000, 24_000),
            (44_100, 16_000),
            (44_100, 48_000),
            (16_000, 16_000),
            (8_000, 44_100),
        ][rates];
        let audio = tones(from, frames, channels);
        let mut resampler = Resampler::new(from, to, channels).unwrap();
        let mut output = Vec::new();
        for part in parts(&audio, &lengths) {
            output.push(resampler.push(&part).unwrap());
        }
        output.push(resampler.finish().unwrap());
        prop_assert_eq!(join(output), audio.resample(to).unwrap());
    }

    #[test]
    fn any_cut_is_written_as_the_whole(
        format in 0usize..5,
        frames in 1usize..20_011,
        channels in 1usize..=3,
        lengths in proptest::collection::vec(0usize..9001, 0..7),
    ) {
        let audio = tones(16_000, frames, channels);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let mut writer = AudioWriter::create(&path, 16_000, channels, FORMATS[format]).unwrap();
        for part in parts(&audio, &lengths) {
            writer.write(&part).unwrap();
        }
        prop_assert_eq!(writer.frames(), frames as u64);
        writer.finish().unwrap();
        prop_assert_eq!(fs::read(&path).unwrap(), file_bytes(&audio, FORMATS[format]).unwrap());
        prop_assert_eq!(names(folder.path()), ["x"]);
    }
}

#[test]
fn a_file_that_is_not_finished_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.wav");
    fs::write(&path, b"old").unwrap();
    let audio = tones(16_000, 101, 1);
    for format in FORMATS {
        let mut writer = AudioWriter::create(&path, 16_000, 1, format).unwrap();
        writer.write(&audio).unwrap();
        for wrong in [
            tones(16_000, 7, 2),
            tones(24_000, 7, 1),
            Audio::from_mono(16_000, vec![0.0, f32::NAN]),
        ] {
            let error = writer.write(&wrong).unwrap_err();
            assert!(matches!(error, AudioError::Invalid { .. }), "{error}");
        }
        drop(writer);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["x.wav"]);
        assert!(AudioWriter::create(&path, 0, 1, format).is_err());
        assert!(AudioWriter::create(&path, 16_000, 0, format).is_err());
        let nowhere = folder.path().join("no/x.wav");
        let error = AudioWriter::create(nowhere, 16_000, 1, format).err();
        assert!(matches!(error, Some(AudioError::Io { .. })));
    }
    // FLAC has no way to say that there is nothing.
    let empty = |format| {
        AudioWriter::create(&path, 16_000, 1, format)
            .unwrap()
            .finish()
    };
    assert!(empty(FileFormat::Flac(FlacFormat::Pcm16)).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"old");
    empty(FileFormat::Wav(WavFormat::Pcm16)).unwrap();
    assert_eq!(fs::read(&path).unwrap().len(), 44);
}

#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A pipe takes what it has room for.
        let some = &bytes[..bytes.len().min(997)];
        self.0.lock().unwrap().write(some)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_pipe_gets_all_of_it_with_a_true_header_or_nothing() {
    let audio = tones(16_000, 9_001, 2);
    for format in FORMATS {
        let pipe = Pipe::default();
        let mut writer = AudioWriter::through(pipe.clone(), "pipe", 16_000, 2, format).unwrap();
        writer.write(&audio).unwrap();
        assert!(pipe.0.lock().unwrap().is_empty());
        writer.finish().unwrap();
        let bytes = pipe.0.lock().unwrap().clone();
        assert_eq!(bytes, file_bytes(&audio, format).unwrap());
    }
}

#[test]
fn nonsense_is_not_resampled() {
    let invalid = |error: AudioError| assert!(matches!(error, AudioError::Invalid { .. }));
    for (from, to, channels) in [(0, 7, 1), (7, 0, 1), (7, 5, 0)] {
        Resampler::new(from, to, channels)
            .err()
            .map(invalid)
            .unwrap();
    }
    let mut resampler = Resampler::new(16_000, 24_000, 1).unwrap();
    for wrong in [
        tones(16_000, 7, 2),
        tones(24_000, 7, 1),
        Audio::from_mono(16_000, vec![f32::INFINITY]),
    ] {
        resampler
            .push(&wrong)
            .map(|_| ())
            .map_err(invalid)
            .unwrap_err();
    }
}
