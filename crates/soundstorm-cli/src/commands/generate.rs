//! `soundstorm generate`: codes or audio from a model.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::backend::Backend;
use soundstorm::{GenerateRow, Prompt, RowCodes, SoundStormConfig, maskgit::row_seed};
use soundstorm_codec::{AnyCodec, Codec, CodecSpec};
use soundstorm_hub::{CodesFile, CodesMetadata};
use soundstorm_runtime::{DTypeArg, Job};

use super::{load, pair::check_pair, sampling};
use crate::{
    args::{Common, Generate},
    audio_io, codes_io, output,
    progress::Progress,
    usage::usage,
};

pub(crate) fn run(args: Generate, common: Common) -> Result<()> {
    check(&args)?;
    let device = common.device;
    soundstorm_runtime::run(&device, GenerateJob { args, common })?
}

/// What is wrong with the call, before any file is opened.
fn check(args: &Generate) -> Result<()> {
    let to_codes = codes_io::is_codes(&args.output);
    if !to_codes && args.codec.is_none() {
        return Err(usage(format!(
            "{} is audio, which needs --codec; name it .safetensors to write codes",
            args.output.display()
        )));
    }
    if args.batch == 0 {
        return Err(usage("--batch 0 generates nothing"));
    }
    if args.batch > 1 && args.output == Path::new("-") {
        return Err(usage(
            "standard output takes one row, not --batch of several",
        ));
    }
    if args.frames == Some(0)
        || args
            .seconds
            .is_some_and(|seconds| !(seconds > 0.0 && seconds < 1e6))
    {
        return Err(usage(
            "--frames and --seconds are above zero, and seconds below a million",
        ));
    }
    if args.frames.is_none() && args.seconds.is_none() && args.semantic.is_none() {
        return Err(usage("how much? give --seconds, --frames or --semantic"));
    }
    if !to_codes {
        audio_io::format(&args.output, args.wav.wav_format)?;
    }
    Ok(())
}

struct GenerateJob {
    args: Generate,
    common: Common,
}

impl Job for GenerateJob {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        let Self { args, common } = self;
        common.dtype.check::<B>(&device)?;
        let (config, model) = load::model::<B>(&args.model, &common, &device)?;
        let codec = match &args.codec {
            Some(location) => Some(load::codec::<B>(location, &common, &device)?),
            None => None,
        };
        if let Some(codec) = &codec {
            check_pair(&config, &codec.spec())?;
        }

        let options = sampling::options(&args.sampling, &config);
        let rows = rows(&args, &common, &config, codec.as_ref(), &device)?;
        let semantic: Option<Vec<Vec<i64>>> = rows.iter().map(|row| row.semantic.clone()).collect();
        let mut progress = Progress::new("generating", common.quiet);
        let codes = model.generate(&rows, &options, |info| {
            progress.at(info.passes_done, info.passes);
        })?;
        drop(progress);

        let frames = codes[0][0].len();
        let written = match codes_io::is_codes(&args.output) {
            true => {
                let spec = codec.as_ref().map(Codec::spec);
                write_codes(&args, &common, &config, &codes, semantic, spec)?;
                vec![serde_json::json!({ "output": args.output })]
            }
            false => {
                let codec = codec.context("audio needs --codec")?;
                write_audio::<B>(&args, &config, &codec, &codes, semantic.as_deref(), &device)?
            }
        };
        if common.json {
            return output::json(&serde_json::json!({
                "rows": written,
                "batch": codes.len(),
                "levels": config.levels(),
                "frames": frames,
                "seed": common.seed,
            }));
        }
        Ok(())
    }
}

/// A recording as a model's prompt: its codes, split where the model takes the
/// codec's first level.
pub(super) fn encode_for_model<B: Backend>(
    path: &Path,
    config: &SoundStormConfig,
    codec: &AnyCodec<B>,
    dtype: DTypeArg,
    device: &B::Device,
) -> Result<(Option<Vec<i64>>, RowCodes)> {
    let audio = audio_io::read(path)?;
    let waveform = audio_io::to_tensor::<B>(&audio, &codec.spec(), device)?;
    let codes = codec.encode(dtype.cast(waveform), Some(codes_io::codec_levels(config)))?;
    let row = codes_io::from_tensor(codes).remove(0);
    Ok(codes_io::split(row, config))
}

fn rows<B: Backend>(
    args: &Generate,
    common: &Common,
    config: &SoundStormConfig,
    codec: Option<&AnyCodec<B>>,
    device: &B::Device,
) -> Result<Vec<GenerateRow>> {
    let frames = match (args.frames, args.seconds) {
        (Some(frames), _) => Some(frames),
        (None, Some(seconds)) => Some(frames_of(seconds, config, codec.map(Codec::spec))?),
        (None, None) => None,
    };
    let semantic = match &args.semantic {
        Some(path) => Some(semantic_rows(path, args.batch, config)?),
        None if config.semantic.is_some() => {
            return Err(usage(
                "the model is conditioned on semantic tokens: give --semantic",
            ));
        }
        None => None,
    };
    let prompt = match &args.prompt {
        Some(path) => Some(prompt(path, config, codec, common.dtype, device)?),
        None => None,
    };
    Ok((0..args.batch)
        .map(|row| GenerateRow {
            frames,
            seed: row_seed(common.seed, row),
            semantic: semantic.as_ref().map(|rows| rows[row % rows.len()].clone()),
            prompt: prompt.clone(),
        })
        .collect())
}

/// Frames of a number of seconds, rounded up, at the codec's rate or at the one
/// that the model's configuration tells.
fn frames_of(seconds: f64, config: &SoundStormConfig, spec: Option<CodecSpec>) -> Result<usize> {
    let rate = match (spec, &config.semantic) {
        (Some(spec), _) => spec.frame_rate(),
        (None, Some(semantic)) => {
            f64::from(semantic.acoustic_sample_rate) / f64::from(semantic.acoustic_hop)
        }
        (None, None) => {
            return Err(usage(
                "--seconds needs --codec, which tells the frame rate; or give --frames",
            ));
        }
    };
    Ok((seconds * rate).ceil().max(1.0) as usize)
}

/// One row of semantic tokens for all, or one for each.
fn semantic_rows(path: &Path, batch: usize, config: &SoundStormConfig) -> Result<Vec<Vec<i64>>> {
    let file = codes_io::read(path)?;
    let rows = match &file.semantic {
        Some(semantic) => codes_io::semantic_rows(semantic),
        None if codes_io::takes_first_level(config) => codes_io::rows(&file.codes)
            .into_iter()
            .map(|mut levels| levels.swap_remove(0))
            .collect(),
        None => bail!("{}: there are no semantic tokens", path.display()),
    };
    ensure!(
        rows.len() == 1 || rows.len() == batch,
        "{}: {} rows of semantic tokens for a batch of {batch}",
        path.display(),
        rows.len()
    );
    Ok(rows)
}

fn prompt<B: Backend>(
    path: &Path,
    config: &SoundStormConfig,
    codec: Option<&AnyCodec<B>>,
    dtype: DTypeArg,
    device: &B::Device,
) -> Result<Prompt> {
    if codes_io::is_codes(path) {
        let file = codes_io::read(path)?;
        let mut rows = codes_io::for_model(&file, path, config)?;
        ensure!(
            rows.codes.len() == 1,
            "{}: a prompt is one row, this file has {}",
            path.display(),
            rows.codes.len()
        );
        return Ok(Prompt {
            codes: rows.codes.remove(0),
            semantic: rows.semantic.map(|mut rows| rows.remove(0)),
        });
    }
    let codec = codec.ok_or_else(|| usage("a prompt that is audio needs --codec"))?;
    let (semantic, codes) = encode_for_model(path, config, codec, dtype, device)?;
    ensure!(
        config.semantic.is_none() || semantic.is_some(),
        "{}: the model's semantic tokens do not come from the codec; give a codes file with `semantic` as the prompt",
        path.display()
    );
    Ok(Prompt { codes, semantic })
}

fn write_codes(
    args: &Generate,
    common: &Common,
    config: &SoundStormConfig,
    codes: &[RowCodes],
    semantic: Option<Vec<Vec<i64>>>,
    spec: Option<CodecSpec>,
) -> Result<()> {
    let mut file = CodesFile::new(codes_io::array(codes)?);
    file.semantic = match &semantic {
        Some(rows) => Some(codes_io::semantic_array(rows)?),
        None => None,
    };
    file.metadata = CodesMetadata {
        codec: spec.as_ref().map(|spec| spec.name.clone()),
        sample_rate: spec.as_ref().map(|spec| spec.sample_rate),
        hop: spec.as_ref().map(|spec| spec.hop),
        channels: spec.as_ref().map(|spec| spec.channels),
        seed: Some(common.seed),
        ..CodesMetadata::default()
    };
    if semantic.is_some() {
        let source = match codes_io::takes_first_level(config) {
            true => codes_io::CODEC_LEVEL_1,
            false => "external",
        };
        let key = codes_io::SEMANTIC_SOURCE.to_owned();
        file.metadata.other.insert(key, source.to_owned());
    }
    file.write(&args.output)?;
    tracing::info!(
        "{} rows x {} levels x {} frames in {}",
        codes.len(),
        config.levels(),
        codes[0][0].len(),
        args.output.display()
    );
    Ok(())
}

fn write_audio<B: Backend>(
    args: &Generate,
    config: &SoundStormConfig,
    codec: &AnyCodec<B>,
    codes: &[RowCodes],
    semantic: Option<&[Vec<i64>]>,
    device: &B::Device,
) -> Result<Vec<serde_json::Value>> {
    let spec = codec.spec();
    let mut written = Vec::new();
    for (index, row) in codes.iter().enumerate() {
        let mut levels = row.clone();
        if let (true, Some(semantic)) = (codes_io::takes_first_level(config), semantic) {
            // Frames that the tokens do not reach have no first level to decode.
            let frames = levels[0].len().min(semantic[index].len());
            for codes in &mut levels {
                codes.truncate(frames);
            }
            levels.insert(0, semantic[index][..frames].to_vec());
        }
        let waveform = codec.decode(codes_io::row_tensor::<B>(&levels, device))?;
        let audio = audio_io::from_tensor(&waveform, 0, None, &spec)?;
        let path = audio_io::row_path(&args.output, index, codes.len());
        audio_io::write(&path, &audio, args.wav.wav_format)?;
        tracing::info!("{:.2} s in {}", audio.seconds(), path.display());
        written.push(serde_json::json!({
            "output": path,
            "samples": audio.frames(),
            "sample_rate": audio.sample_rate,
        }));
    }
    Ok(written)
}
