//! `soundstorm generate`: codes or audio from a model.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::backend::Backend;
use soundstorm::{
    Conditions, ContextSource, GenerateRow, Prompt, Ranking, RowCodes, SoundStorm,
    SoundStormConfig, maskgit::row_seed, text_bytes,
};
use soundstorm_codec::{AnyCodec, Codec, CodecSpec};
use soundstorm_runtime::{DTypeArg, Job};

use super::{
    load,
    made::Made,
    manifest::Manifest,
    pair::check_pair,
    sampling::{self, Asked},
    sidecar::{self, Inputs},
    trace::Trace,
};
use crate::{
    args::{Common, Generate},
    audio_io, codes_io, output,
    progress::Progress,
    usage::usage,
};

/// Parts in which candidates are scored: two passes a level.
const SCORED_IN: usize = 2;

pub(crate) fn run(args: Generate, common: Common) -> Result<()> {
    let work = match (&args.manifest, &args.output) {
        (Some(manifest), _) => Work::Many(Manifest::read(manifest, &args, &common)?),
        (None, Some(output)) => {
            let call = Call {
                output: output.clone(),
                args: args.clone(),
                common: common.clone(),
            };
            call.check()?;
            Work::One(Box::new(call))
        }
        (None, None) => return Err(usage("give -o or --manifest")),
    };
    let device = common.device;
    let job = GenerateJob { args, common, work };
    soundstorm_runtime::run(&device, job)?
}

/// What is to be generated.
enum Work {
    One(Box<Call>),
    Many(Manifest),
}

/// One output, and what was asked for.
pub(super) struct Call {
    pub(super) output: PathBuf,
    pub(super) args: Generate,
    pub(super) common: Common,
}

struct GenerateJob {
    args: Generate,
    common: Common,
    work: Work,
}

impl Job for GenerateJob {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        let Self { args, common, work } = self;
        common.dtype.check::<B>(&device)?;
        sidecar::verify(args.sampling.from_sidecar.as_deref())?;
        let (config, model) = load::model::<B>(&args.model, &common, &device)?;
        let codec = match &args.codec {
            Some(location) => Some(load::codec::<B>(location, &common, &device)?),
            None => None,
        };
        if let Some(codec) = &codec {
            check_pair(&config, &codec.spec())?;
        }
        let asked = sampling::asked(&args.sampling, &config)?;
        let loaded = Loaded {
            config,
            model,
            codec,
            asked,
            device,
        };
        match work {
            Work::One(call) => {
                let report = loaded.make(&call)?;
                match common.json {
                    true => output::json(&report),
                    false => Ok(()),
                }
            }
            Work::Many(manifest) => {
                let report = manifest.run(|call| loaded.make(call))?;
                if common.json {
                    output::json(&report)?;
                }
                report.outcome()
            }
        }
    }
}

/// A model and a codec, ready to generate.
struct Loaded<B: Backend> {
    config: SoundStormConfig,
    model: SoundStorm<B>,
    codec: Option<AnyCodec<B>>,
    asked: Asked,
    device: B::Device,
}

impl Call {
    /// What is wrong with the call, before any file is opened.
    pub(super) fn check(&self) -> Result<()> {
        let Self { args, output, .. } = self;
        let to_codes = codes_io::is_codes(output);
        if !to_codes && args.codec.is_none() {
            return Err(usage(format!(
                "{} is audio, which needs --codec; name it .safetensors to write codes",
                output.display()
            )));
        }
        if args.batch == 0 {
            return Err(usage("--batch 0 generates nothing"));
        }
        if args.best_of == 0 {
            return Err(usage("--best-of 0 leaves none to take"));
        }
        if args.best_of > 1 && args.sampling.trace_picture.is_some() {
            return Err(usage(
                "--trace-picture draws one generation, not --best-of several",
            ));
        }
        sidecar::check(args.sampling.sidecar, output)?;
        if args.batch > 1 && output == Path::new("-") {
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
        let open = args.frames.is_none() && args.seconds.is_none();
        if open && args.semantic.is_none() && args.text.is_none() {
            return Err(usage(
                "how much? give --seconds, --frames, --semantic or --text",
            ));
        }
        if !to_codes {
            audio_io::format(output, args.wav.wav_format)?;
        }
        Ok(())
    }
}

impl<B: Backend> Loaded<B> {
    /// Generates and writes one output; what was written.
    fn make(&self, call: &Call) -> Result<serde_json::Value> {
        let Self {
            config,
            model,
            asked,
            device,
            ..
        } = self;
        let codec = self.codec.as_ref();
        let Call {
            output,
            args,
            common,
        } = call;
        let rows = rows(args, common, config, codec, device)?;
        let spec = codec.map(Codec::spec);
        let rate = match &args.sampling.trace_picture {
            Some(_) => Some(frame_rate(config, spec.as_ref(), "--trace-picture")?),
            None => None,
        };
        let semantic: Option<Vec<Vec<i64>>> = rows.iter().map(|row| row.semantic.clone()).collect();
        let mut progress = Progress::new("generating", common.quiet);
        let mut trace = rate.map(|_| Trace::default());
        let mut passes = 0;
        let mut observe = sampling::observer::<B>(&mut progress, &mut trace);
        let generation = model
            .generation(&asked.options)
            .with_guidance(asked.guidance)
            .with_observer(|pass| {
                passes += 1;
                observe(pass)
            });
        let (codes, rankings) = match args.best_of {
            1 => (generation.generate(&rows)?.codes, Vec::new()),
            candidates => {
                let best = generation.best_of(&rows, candidates, SCORED_IN)?;
                (best.generated.codes, best.rankings)
            }
        };
        drop(observe);
        drop(progress);

        let made = Made {
            config,
            codes: &codes,
            semantic: semantic.as_deref(),
            seed: common.seed,
        };
        let written = match codes_io::is_codes(output) {
            true => made.write_codes(output, spec)?,
            false => {
                let codec = codec.context("audio needs --codec")?;
                made.write_audio::<B>(output, codec, None, args.wav.wav_format, device)?
            }
        };
        if let (Some(path), Some(trace), Some(rate)) = (&args.sampling.trace_picture, &trace, rate)
        {
            let lengths = rows
                .iter()
                .zip(&codes)
                .map(|(row, codes)| row.prompt.as_ref().map_or(0, Prompt::frames) + codes[0].len());
            trace.write(path, &lengths.collect::<Vec<_>>(), rate)?;
        }
        if args.sampling.sidecar {
            let mut inputs = Inputs::default()
                .folder(&args.model, common)?
                .file(args.semantic.as_deref())
                .file(args.prompt.as_deref());
            if let Some(codec) = &args.codec {
                inputs = inputs.folder(codec, common)?;
            }
            let written: Vec<PathBuf> = written.iter().map(|file| file.path.clone()).collect();
            sidecar::write(output, &written, inputs, common, asked, passes)?;
        }
        let rankings: Vec<_> = rankings.iter().map(ranking_json).collect();
        Ok(serde_json::json!({
            "rows": written,
            "candidates": rankings,
            "batch": codes.len(),
            "levels": config.levels(),
            "frames": codes[0][0].len(),
            "seed": common.seed,
        }))
    }
}

fn ranking_json(ranking: &Ranking) -> serde_json::Value {
    serde_json::json!({
        "best": ranking.best,
        "seeds": ranking.seeds,
        "scores": ranking.scores,
    })
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
    let conditions = conditions(args, config)?;
    Ok((0..args.batch)
        .map(|row| GenerateRow {
            frames,
            seed: row_seed(common.seed, row),
            semantic: semantic.as_ref().map(|rows| rows[row % rows.len()].clone()),
            prompt: prompt.clone(),
            conditions: conditions.clone(),
        })
        .collect())
}

/// Text and speaker, as the model takes them.
fn conditions(args: &Generate, config: &SoundStormConfig) -> Result<Conditions> {
    let context = match (&args.text, &config.context) {
        (None, _) => None,
        (Some(_), None) => return Err(usage("the model is not conditioned on text")),
        (Some(text), Some(context)) => match context.source {
            ContextSource::Bytes => Some(text_bytes(text)),
            ContextSource::Ids => {
                return Err(usage(
                    "the model is conditioned on ids of symbols, which --text does not make",
                ));
            }
        },
    };
    Ok(Conditions {
        context,
        speaker: args.speaker,
        ..Conditions::default()
    })
}

/// Frames of a number of seconds, rounded up.
fn frames_of(seconds: f64, config: &SoundStormConfig, spec: Option<CodecSpec>) -> Result<usize> {
    let rate = frame_rate(config, spec.as_ref(), "--seconds")?;
    Ok((seconds * rate).ceil().max(1.0) as usize)
}

/// Frames of a second, at the codec's rate or at the one that the model's configuration tells.
pub(super) fn frame_rate(
    config: &SoundStormConfig,
    spec: Option<&CodecSpec>,
    option: &str,
) -> Result<f64> {
    match (spec, &config.semantic) {
        (Some(spec), _) => Ok(spec.frame_rate()),
        (None, Some(semantic)) => {
            Ok(f64::from(semantic.acoustic_sample_rate) / f64::from(semantic.acoustic_hop))
        }
        (None, None) => Err(usage(format!(
            "{option} needs --codec, which tells the frame rate{}",
            if option == "--seconds" {
                "; or give --frames"
            } else {
                ""
            }
        ))),
    }
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
