//! Generated rows as files: codes, or audio by a codec.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::backend::Backend;
use serde::Serialize;
use soundstorm::{RowCodes, SoundStormConfig};
use soundstorm_codec::{AnyCodec, Codec, CodecSpec};
use soundstorm_hub::{CodesFile, CodesMetadata};

use crate::{args::WavFormatArg, audio_io, codes_io};

/// What a model made.
pub(super) struct Made<'a> {
    pub(super) config: &'a SoundStormConfig,
    pub(super) codes: &'a [RowCodes],
    pub(super) semantic: Option<&'a [Vec<i64>]>,
    pub(super) seed: u64,
}

/// A file that was written.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    #[serde(rename = "output")]
    pub(super) path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_rate: Option<u32>,
}

impl Made<'_> {
    /// All rows in a codes file.
    pub(super) fn write_codes(
        &self,
        output: &Path,
        spec: Option<CodecSpec>,
    ) -> Result<Vec<Written>> {
        let mut file = CodesFile::new(codes_io::array(self.codes)?);
        file.semantic = match self.semantic {
            Some(rows) => Some(codes_io::semantic_array(rows)?),
            None => None,
        };
        file.metadata = CodesMetadata {
            codec: spec.as_ref().map(|spec| spec.name.clone()),
            sample_rate: spec.as_ref().map(|spec| spec.sample_rate),
            hop: spec.as_ref().map(|spec| spec.hop),
            channels: spec.as_ref().map(|spec| spec.channels),
            seed: Some(self.seed),
            ..CodesMetadata::default()
        };
        if self.semantic.is_some() {
            let source = match codes_io::takes_first_level(self.config) {
                true => codes_io::CODEC_LEVEL_1,
                false => "external",
            };
            let key = codes_io::SEMANTIC_SOURCE.to_owned();
            file.metadata.other.insert(key, source.to_owned());
        }
        file.write(output)?;
        tracing::info!(
            "{} rows x {} levels x {} frames in {}",
            self.codes.len(),
            self.config.levels(),
            self.codes[0][0].len(),
            output.display()
        );
        Ok(vec![Written {
            path: output.to_path_buf(),
            samples: None,
            sample_rate: None,
        }])
    }

    /// An audio file for each row, cut to a number of samples where one is given.
    pub(super) fn write_audio<B: Backend>(
        &self,
        output: &Path,
        codec: &AnyCodec<B>,
        samples: Option<usize>,
        format: WavFormatArg,
        device: &B::Device,
    ) -> Result<Vec<Written>> {
        let spec = codec.spec();
        let mut written = Vec::new();
        for (index, row) in self.codes.iter().enumerate() {
            let mut levels = row.clone();
            if let (true, Some(semantic)) =
                (codes_io::takes_first_level(self.config), self.semantic)
            {
                // Frames that the tokens do not reach have no first level to decode.
                let frames = levels[0].len().min(semantic[index].len());
                for codes in &mut levels {
                    codes.truncate(frames);
                }
                levels.insert(0, semantic[index][..frames].to_vec());
            }
            let waveform = codec.decode(codes_io::row_tensor::<B>(&levels, device))?;
            let audio = audio_io::from_tensor(&waveform, 0, samples, &spec)?;
            let path = audio_io::row_path(output, index, self.codes.len());
            audio_io::write(&path, &audio, format)?;
            tracing::info!("{:.2} s in {}", audio.seconds(), path.display());
            written.push(Written {
                path,
                samples: Some(audio.frames()),
                sample_rate: Some(audio.sample_rate),
            });
        }
        Ok(written)
    }
}
