//! Audio between files (or pipes) and tensors at a codec's sample rate.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use soundstorm_audio::{
    Audio, AudioReader, AudioWriter, FileFormat, FlacFormat, Limits, Resampler, WavFormat,
};
use soundstorm_codec::CodecSpec;

use crate::{args::WavFormatArg, usage::usage};

/// Reads a file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Audio> {
    let limits = Limits::default();
    if path == Path::new("-") {
        let stdin = std::io::stdin().lock();
        return Ok(soundstorm_audio::read_from(
            stdin,
            "standard input",
            &limits,
        )?);
    }
    Ok(soundstorm_audio::read(path, &limits)?)
}

/// Opens a file, or standard input for `-`, to be read block by block.
pub(crate) fn open(path: &Path) -> Result<AudioReader> {
    let limits = Limits::default();
    if path == Path::new("-") {
        let stdin = std::io::stdin().lock();
        return Ok(AudioReader::from_reader(stdin, "standard input", &limits)?);
    }
    Ok(AudioReader::open(path, &limits)?)
}

/// A file's blocks as a codec takes them; together they are what [`to_tensor`] makes of all of it.
pub(crate) struct CodecBlocks {
    reader: AudioReader,
    /// Until the last of it has been given.
    resampler: Option<Resampler>,
    channels: usize,
    /// Samples of the file so far.
    read: usize,
}

impl CodecBlocks {
    pub(crate) fn new(reader: AudioReader, spec: &CodecSpec) -> Result<Self> {
        let resampler = Resampler::new(reader.sample_rate(), spec.sample_rate, spec.channels)?;
        Ok(Self {
            reader,
            resampler: Some(resampler),
            channels: spec.channels,
            read: 0,
        })
    }

    /// The next block, of any number of samples, or nothing behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<Audio>> {
        let Some(resampler) = &mut self.resampler else {
            return Ok(None);
        };
        if let Some(block) = self.reader.next() {
            let block = block?;
            self.read += block.frames();
            let block = with_channels(&block, self.channels)?;
            return Ok(Some(resampler.push(&block)?));
        }
        let last = self.resampler.take().map(Resampler::finish).transpose()?;
        Ok(last)
    }

    /// Seconds that were read, and those of the whole file as far as it tells.
    pub(crate) fn seconds(&self) -> (usize, usize) {
        let all = self.reader.frames().unwrap_or(0) as usize;
        let rate = self.reader.sample_rate() as usize;
        (self.read / rate, self.read.max(all) / rate)
    }
}

/// Mixed to mono for a codec of one channel, mono in every channel of a codec of several.
fn with_channels(audio: &Audio, channels: usize) -> Result<Audio> {
    Ok(match channels {
        1 => audio.mono(),
        channels if channels == audio.channels.len() => audio.clone(),
        channels if audio.channels.len() == 1 => {
            Audio::new(audio.sample_rate, vec![audio.channels[0].clone(); channels])?
        }
        channels => bail!(
            "the codec takes {channels} channels, the audio has {}",
            audio.channels.len()
        ),
    })
}

/// Audio as a codec takes it, `[1, channels, samples]`: of its channels, and at its sample rate.
pub(crate) fn to_tensor<B: Backend>(
    audio: &Audio,
    spec: &CodecSpec,
    device: &B::Device,
) -> Result<Tensor<B, 3>> {
    let audio = with_channels(audio, spec.channels)?.resample(spec.sample_rate)?;
    Ok(row_tensor(&audio, device))
}

/// One row of audio, `[1, channels, samples]`.
pub(crate) fn row_tensor<B: Backend>(audio: &Audio, device: &B::Device) -> Tensor<B, 3> {
    let shape = [1, audio.channels.len(), audio.frames()];
    Tensor::from_data(TensorData::new(audio.channels.concat(), shape), device)
}

/// One row of a codec's output, `[batch, channels, samples]`, cut to a number
/// of samples.
pub(crate) fn from_tensor<B: Backend>(
    tensor: &Tensor<B, 3>,
    row: usize,
    samples: Option<usize>,
    spec: &CodecSpec,
) -> Result<Audio> {
    let [_, channels, all] = tensor.dims();
    let samples = samples.map_or(all, |samples| samples.min(all));
    let channels = (0..channels)
        .map(|channel| {
            let row = tensor
                .clone()
                .slice([row..row + 1, channel..channel + 1, 0..samples]);
            row.into_data().iter::<f32>().collect()
        })
        .collect();
    Ok(Audio::new(spec.sample_rate, channels)?)
}

/// The format of an output by its ending; WAV for standard output, and where
/// there is none. Asked before the work is done, so that it is not done in vain.
pub(crate) fn format(path: &Path, samples: WavFormatArg) -> Result<FileFormat> {
    let file = match path.extension() {
        None => FileFormat::Wav(WavFormat::default()),
        Some(_) => FileFormat::of_path(path).map_err(|error| usage(error.to_string()))?,
    };
    Ok(match (file, samples) {
        (FileFormat::Flac(_), WavFormatArg::S16) => FileFormat::Flac(FlacFormat::Pcm16),
        (FileFormat::Flac(_), WavFormatArg::S24) => FileFormat::Flac(FlacFormat::Pcm24),
        (FileFormat::Flac(_), WavFormatArg::F32) => {
            return Err(usage(format!(
                "{}: FLAC holds integers, so --wav-format is s16 or s24",
                path.display()
            )));
        }
        (_, WavFormatArg::S16) => FileFormat::Wav(WavFormat::Pcm16),
        (_, WavFormatArg::S24) => FileFormat::Wav(WavFormat::Pcm24),
        (_, WavFormatArg::F32) => FileFormat::Wav(WavFormat::F32),
    })
}

/// An audio file at a codec's rate that is written block by block, whole or not at all, or given to
/// standard output at its end for `-`.
pub(crate) fn create(path: &Path, spec: &CodecSpec, samples: WavFormatArg) -> Result<AudioWriter> {
    let (rate, channels) = (spec.sample_rate, spec.channels);
    let format = format(path, samples)?;
    if path == Path::new("-") {
        let stdout = std::io::stdout();
        let writer = AudioWriter::through(stdout, "standard output", rate, channels, format)?;
        return Ok(writer);
    }
    Ok(AudioWriter::create(path, rate, channels, format)?)
}

/// Writes an audio file whole or not at all, or to standard output for `-`.
pub(crate) fn write(path: &Path, audio: &Audio, samples: WavFormatArg) -> Result<()> {
    let format = format(path, samples)?;
    if path == Path::new("-") {
        let bytes = soundstorm_audio::file_bytes(audio, format)?;
        let mut stdout = std::io::stdout().lock();
        return stdout
            .write_all(&bytes)
            .and_then(|()| stdout.flush())
            .context("cannot write to standard output");
    }
    Ok(soundstorm_audio::write(path, audio, format)?)
}

/// The file of one row: the path itself for a single one, otherwise x-0.wav,
/// x-1.wav and so on.
pub(crate) fn row_path(path: &Path, row: usize, rows: usize) -> PathBuf {
    if rows == 1 {
        return path.to_path_buf();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{row}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{row}"),
    };
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_and_the_option_make_a_format() {
        let named = |path: &str, samples| format(Path::new(path), samples).ok();
        for path in ["x.wav", "-", "/dev/null", "x.WAV"] {
            let of = |samples| named(path, samples);
            assert_eq!(
                of(WavFormatArg::S16),
                Some(FileFormat::Wav(WavFormat::Pcm16))
            );
            assert_eq!(
                of(WavFormatArg::S24),
                Some(FileFormat::Wav(WavFormat::Pcm24))
            );
            assert_eq!(of(WavFormatArg::F32), Some(FileFormat::Wav(WavFormat::F32)));
        }
        let of = |samples| named("x.flac", samples);
        assert_eq!(
            of(WavFormatArg::S16),
            Some(FileFormat::Flac(FlacFormat::Pcm16))
        );
        assert_eq!(
            of(WavFormatArg::S24),
            Some(FileFormat::Flac(FlacFormat::Pcm24))
        );
        assert_eq!(of(WavFormatArg::F32), None);
        assert_eq!(named("x.mp3", WavFormatArg::S16), None);
    }

    #[test]
    fn rows_get_files_of_their_own() {
        let path = Path::new("out/a.b.wav");
        assert_eq!(row_path(path, 0, 1), path);
        assert_eq!(row_path(path, 2, 3), Path::new("out/a.b-2.wav"));
        assert_eq!(row_path(Path::new("x"), 1, 2), Path::new("x-1"));
    }
}
