//! `soundstorm bench`: times a piece of work on random weights, without cargo, so
//! that the program can be carried to another machine.

use std::{
    io::BufRead,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use burn::{
    module::Module,
    tensor::{Int, Tensor, TensorData, backend::Backend},
};
use serde::Serialize;
use soundstorm::{GenerateRow, SoundStorm, SoundStormConfig, maskgit::row_seed};
use soundstorm_codec::{AnyCodec, Codec, CodecConfig, SpeechTokenizerConfig};
use soundstorm_runtime::{Job, cast_module, peak_rss_mib};

use crate::{
    args::{Bench, Common, Work},
    output,
};

pub(crate) fn run(args: Bench, common: Common) -> Result<()> {
    let selected = soundstorm_runtime::select(&common.device)?;
    let about = About {
        backend: selected.backend.name(),
        device: selected.description.clone(),
    };
    selected.run(BenchJob {
        args,
        common,
        about,
    })
}

struct About {
    backend: &'static str,
    device: String,
}

struct BenchJob {
    args: Bench,
    common: Common,
    about: About,
}

/// What was done and how long it took, in seconds.
#[derive(Serialize)]
struct Report {
    work: String,
    model: String,
    frames: u64,
    batch: u64,
    passes: usize,
    levels: usize,
    parameters: usize,
    backend: &'static str,
    device: String,
    dtype: String,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    median_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_s: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs_s: Vec<f64>,
    peak_mib: Option<f64>,
}

/// Something that can be done again and again; it returns the passes it took.
type Once<'a> = Box<dyn FnMut() -> Result<usize> + 'a>;

impl Job for BenchJob {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        self.common.dtype.check::<B>(&device)?;
        B::seed(&device, self.common.seed);
        match self.args.work {
            Work::Forward | Work::Generate => self.model::<B>(&device),
            Work::Encode | Work::Decode => self.codec::<B>(&device),
        }
    }
}

impl BenchJob {
    fn model<B: Backend>(&self, device: &B::Device) -> Result<()> {
        let config = self.args.preset.config();
        let model = cast_module(config.init::<B>(device)?, self.common.dtype);
        let (parameters, levels) = (model.num_params(), model.levels());
        let once: Once = match self.args.work {
            Work::Forward => self.forward(&config, &model, device)?,
            _ => self.generate(&config, &model)?,
        };
        self.measure::<B>(self.args.preset.name(), parameters, levels, once, device)
    }

    /// One pass with the logits of every level, as the reference's network does.
    fn forward<'a, B: Backend>(
        &self,
        config: &SoundStormConfig,
        model: &'a SoundStorm<B>,
        device: &'a B::Device,
    ) -> Result<Once<'a>> {
        let (batch, frames) = (self.args.batch as usize, self.args.frames as usize);
        let shape = [batch, model.levels(), frames];
        let codes: Vec<i64> = (0..shape.iter().product::<usize>())
            .map(|index| (index * 7 % config.codebook_size) as i64)
            .collect();
        let codes = Tensor::<B, 3, Int>::from_data(TensorData::new(codes, shape), device);
        let semantic = self.semantic(config).map(|row| vec![row; batch]);
        let condition = model.condition(semantic.as_deref(), frames)?;
        Ok(Box::new(move || {
            let logits = model.logits(codes.clone(), condition.clone(), None);
            B::sync(device)?;
            drop(logits);
            Ok(1)
        }))
    }

    fn generate<'a, B: Backend>(
        &self,
        config: &SoundStormConfig,
        model: &'a SoundStorm<B>,
    ) -> Result<Once<'a>> {
        let mut options = config.generation.clone();
        options.steps.clone_from(&self.args.steps);
        let rows: Vec<_> = (0..self.args.batch as usize)
            .map(|row| GenerateRow {
                frames: Some(self.args.frames as usize),
                seed: row_seed(self.common.seed, row),
                semantic: self.semantic(config),
                prompt: None,
            })
            .collect();
        Ok(Box::new(move || {
            let mut passes = 0;
            model.generate(&rows, &options, |info| passes = info.passes_done)?;
            Ok(passes)
        }))
    }

    /// Semantic tokens that cover the frames, for a model that takes any.
    fn semantic(&self, config: &SoundStormConfig) -> Option<Vec<i64>> {
        let semantic = config.semantic.as_ref()?;
        let covered =
            |tokens: &usize| semantic.acoustic_frames(*tokens) >= self.args.frames as usize;
        let tokens = (1..).find(covered)?;
        Some(
            (0..tokens)
                .map(|token| (token * 5 % semantic.vocab) as i64)
                .collect(),
        )
    }

    fn codec<B: Backend>(&self, device: &B::Device) -> Result<()> {
        let config = CodecConfig::SpeechTokenizer(SpeechTokenizerConfig::default());
        let codec: AnyCodec<B> = cast_module(config.init(device)?, self.common.dtype);
        let spec = codec.spec();
        let (batch, frames) = (self.args.batch as usize, self.args.frames as usize);
        let samples = frames * spec.hop;
        // A chirp, quiet enough not to clip.
        let audio: Vec<f32> = (0..batch * samples)
            .map(|i| ((i % samples) as f32 * 0.01 * (1.0 + i as f32 * 1e-6)).sin() * 0.3)
            .collect();
        let audio = Tensor::<B, 3>::from_data(TensorData::new(audio, [batch, 1, samples]), device);
        let audio = self.common.dtype.cast(audio);
        let codes = match self.args.work {
            Work::Decode => Some(codec.encode(audio.clone(), None)?),
            _ => None,
        };
        let (parameters, levels, name) = (codec.num_params(), spec.levels, spec.name.clone());
        let once: Once = match codes {
            Some(codes) => Box::new(move || {
                codec.decode(codes.clone())?;
                B::sync(device)?;
                Ok(1)
            }),
            None => Box::new(move || {
                codec.encode(audio.clone(), None)?;
                B::sync(device)?;
                Ok(1)
            }),
        };
        self.measure::<B>(&name, parameters, levels, once, device)
    }

    fn measure<B: Backend>(
        &self,
        model: &str,
        parameters: usize,
        levels: usize,
        mut once: Once,
        device: &B::Device,
    ) -> Result<()> {
        let report = |passes: usize| Report {
            work: format!("{:?}", self.args.work).to_lowercase(),
            model: model.to_owned(),
            frames: self.args.frames,
            batch: self.args.batch,
            passes,
            levels,
            parameters,
            backend: self.about.backend,
            device: self.about.device.clone(),
            dtype: self.common.dtype.to_string(),
            version: env!("CARGO_PKG_VERSION"),
            seconds: None,
            median_s: None,
            min_s: None,
            max_s: None,
            runs_s: Vec::new(),
            peak_mib: peak_rss_mib(),
        };
        B::sync(device)?;
        for _ in 0..self.args.warmup {
            once()?;
        }
        let mut timed = || -> Result<(Duration, usize)> {
            let started = Instant::now();
            let passes = once()?;
            Ok((started.elapsed(), passes))
        };

        if self.args.serve {
            for line in std::io::stdin().lock().lines() {
                if line.context("cannot read from standard input")?.is_empty() {
                    break;
                }
                let (time, passes) = timed()?;
                output::json(&Report {
                    seconds: Some(time.as_secs_f64()),
                    ..report(passes)
                })?;
            }
            return Ok(());
        }

        let mut runs = Vec::new();
        let mut passes = 0;
        for _ in 0..self.args.runs {
            let (time, took) = timed()?;
            runs.push(time.as_secs_f64());
            passes = took;
        }
        let mut sorted = runs.clone();
        sorted.sort_by(f64::total_cmp);
        ensure!(!sorted.is_empty(), "nothing was measured");
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
            _ => sorted[middle],
        };
        let report = Report {
            median_s: Some(median),
            min_s: sorted.first().copied(),
            max_s: sorted.last().copied(),
            runs_s: runs,
            ..report(passes)
        };
        if self.common.json {
            return output::json(&report);
        }
        output::say(&format!(
            "{} of {} ({} parameters), {} frames x {} rows, {} passes, {} on {}: {}",
            report.work,
            report.model,
            parameters,
            report.frames,
            report.batch,
            passes,
            report.dtype,
            report.backend,
            report.device
        ))?;
        output::say(&format!(
            "median {median:.4} s, {:.4} to {:.4} s over {} runs; peak memory {}",
            sorted.first().copied().unwrap_or(median),
            sorted.last().copied().unwrap_or(median),
            sorted.len(),
            report
                .peak_mib
                .map_or("unknown".into(), |mib| format!("{mib:.0} MiB"))
        ))
    }
}
