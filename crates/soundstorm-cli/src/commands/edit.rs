//! `soundstorm edit`: parts of a recording or of codes generated anew, the rest kept.

use std::{path::PathBuf, str::FromStr};

use anyhow::{Context, Result, ensure};
use burn::tensor::backend::Backend;
use soundstorm::{EditRow, Region, SoundStormConfig, maskgit::row_seed};
use soundstorm_codec::{AnyCodec, Codec, CodecSpec};
use soundstorm_runtime::Job;

use super::{
    generate::frame_rate,
    load,
    made::Made,
    pair::check_pair,
    sampling,
    sidecar::{self, Inputs},
    trace::Trace,
};
use crate::{
    args::{Common, Edit},
    audio_io,
    codes_io::{self, ModelRows},
    output,
    progress::Progress,
    usage::usage,
};

/// A stretch of something, open where an end is left away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    from: Option<End>,
    to: Option<End>,
}

/// An end of a stretch.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Seconds(f64),
    Count(usize),
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || "expected FROM..TO, as 1.2s..2.0s or 60..100".to_owned();
        let (from, to) = text.split_once("..").ok_or_else(expected)?;
        let end = |text: &str| match text.strip_suffix('s') {
            _ if text.is_empty() => Ok(None),
            Some(seconds) => match seconds.parse::<f64>() {
                Ok(seconds) if (0.0..1e6).contains(&seconds) => Ok(Some(End::Seconds(seconds))),
                _ => Err(expected()),
            },
            None => match text.parse() {
                Ok(count) => Ok(Some(End::Count(count))),
                Err(_) => Err(expected()),
            },
        };
        Ok(Self {
            from: end(from)?,
            to: end(to)?,
        })
    }
}

impl Span {
    /// Whether it needs a frame rate.
    fn in_seconds(self) -> bool {
        let seconds = |end| matches!(end, Some(End::Seconds(_)));
        seconds(self.from) || seconds(self.to)
    }

    /// The frames of a row that it touches.
    fn frames(self, frames: usize, rate: Option<f64>) -> Result<std::ops::Range<usize>> {
        // A hair inside, so that the end of a frame is not the start of the next.
        const HAIR: f64 = 1e-6;
        let rate = rate.unwrap_or(0.0);
        let from = match self.from {
            None => 0,
            Some(End::Count(count)) => count,
            Some(End::Seconds(seconds)) => (seconds * rate + HAIR).floor() as usize,
        };
        let to = match self.to {
            None => frames,
            Some(End::Count(count)) => count,
            Some(End::Seconds(seconds)) => (seconds * rate - HAIR).ceil().max(0.0) as usize,
        };
        if from >= to || to > frames {
            return Err(usage(format!(
                "--regenerate: frames {from}..{to} are not within 0..{frames}"
            )));
        }
        Ok(from..to)
    }

    /// The model's levels that it means, 0-based: it counts the codec's, from 1 and with the last.
    fn levels(self, config: &SoundStormConfig) -> Result<std::ops::Range<usize>> {
        let taken = codes_io::codec_levels(config) - config.levels();
        let last = codes_io::codec_levels(config);
        let end = |end, default| match end {
            None => Ok(default),
            Some(End::Count(level)) => Ok(level),
            Some(End::Seconds(_)) => Err(usage("--levels counts levels, not seconds")),
        };
        let (from, to) = (end(self.from, taken + 1)?, end(self.to, last)?);
        if from <= taken || to > last || from > to {
            return Err(usage(format!(
                "--levels {from}..{to} is not within {}..{last}, which the model makes",
                taken + 1
            )));
        }
        Ok(from - taken - 1..to - taken)
    }
}

pub(crate) fn run(args: Edit, common: Common) -> Result<()> {
    let audio_in = !codes_io::is_codes(&args.input);
    let audio_out = !codes_io::is_codes(&args.output);
    let seconds = args.regenerate.iter().any(|span| span.in_seconds());
    if args.codec.is_none() && (audio_in || audio_out || seconds) {
        return Err(usage("audio in or out, and seconds, need --codec"));
    }
    if !(0.0..=1.0).contains(&args.strength) {
        return Err(usage(format!(
            "--strength {} is not within 0 and 1",
            args.strength
        )));
    }
    if audio_out {
        audio_io::format(&args.output, args.wav.wav_format)?;
    }
    sidecar::check(args.sampling.sidecar, &args.output)?;
    let device = common.device;
    soundstorm_runtime::run(&device, EditJob { args, common })?
}

struct EditJob {
    args: Edit,
    common: Common,
}

impl Job for EditJob {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        let Self { args, common } = self;
        common.dtype.check::<B>(&device)?;
        sidecar::verify(args.sampling.from_sidecar.as_deref())?;
        let (config, model) = load::model::<B>(&args.model, &common, &device)?;
        let codec = match &args.codec {
            Some(location) => Some(load::codec::<B>(location, &common, &device)?),
            None => None,
        };
        let spec = codec.as_ref().map(Codec::spec);
        if let Some(spec) = &spec {
            check_pair(&config, spec)?;
        }
        let asked = sampling::asked(&args.sampling, &config)?;
        let (given, samples) = read::<B>(&args, &common, &config, codec.as_ref(), &device)?;
        let rows = rows(&args, &common, &config, &given, spec.as_ref())?;
        let rate = match &args.sampling.trace_picture {
            Some(_) => Some(frame_rate(&config, spec.as_ref(), "--trace-picture")?),
            None => None,
        };

        let mut progress = Progress::new("editing", common.quiet);
        let mut trace = rate.map(|_| Trace::default());
        let mut passes = 0;
        let mut observe = sampling::observer::<B>(&mut progress, &mut trace);
        let edited = model
            .generation(&asked.options)
            .with_guidance(asked.guidance)
            .with_observer(|pass| {
                passes += 1;
                observe(pass)
            })
            .edit(&rows)?;
        drop(observe);
        drop(progress);

        let made = Made {
            config: &config,
            codes: &edited.codes,
            semantic: given.semantic.as_deref(),
            seed: common.seed,
        };
        let written = match codes_io::is_codes(&args.output) {
            true => made.write_codes(&args.output, spec)?,
            false => {
                let codec = codec.context("audio needs --codec")?;
                let format = args.wav.wav_format;
                made.write_audio::<B>(&args.output, &codec, samples, format, &device)?
            }
        };
        if let (Some(path), Some(trace), Some(rate)) = (&args.sampling.trace_picture, &trace, rate)
        {
            let lengths: Vec<usize> = rows.iter().map(EditRow::frames).collect();
            trace.write(path, &lengths, rate)?;
        }
        if args.sampling.sidecar {
            let mut inputs = Inputs::default()
                .folder(&args.model, &common)?
                .file(Some(&args.input));
            if let Some(codec) = &args.codec {
                inputs = inputs.folder(codec, &common)?;
            }
            let written: Vec<PathBuf> = written.iter().map(|file| file.path.clone()).collect();
            sidecar::write(&args.output, &written, inputs, &common, &asked, passes)?;
        }
        let let_go = rows.iter().flat_map(|row| row.keep.iter().flatten());
        let regenerated = let_go.filter(|&&keep| !keep).count();
        tracing::info!("{regenerated} codes generated anew in {passes} passes");
        if common.json {
            return output::json(&serde_json::json!({
                "rows": written,
                "frames": rows.first().map_or(0, EditRow::frames),
                "regenerated": regenerated,
                "seed": common.seed,
            }));
        }
        Ok(())
    }
}

/// What is edited, as the model's rows, and the samples it has if it is a recording.
fn read<B: Backend>(
    args: &Edit,
    common: &Common,
    config: &SoundStormConfig,
    codec: Option<&AnyCodec<B>>,
    device: &B::Device,
) -> Result<(ModelRows, Option<usize>)> {
    if codes_io::is_codes(&args.input) {
        let file = codes_io::read(&args.input)?;
        let samples = file.metadata.samples;
        return Ok((codes_io::for_model(&file, &args.input, config)?, samples));
    }
    let codec = codec.ok_or_else(|| usage("audio needs --codec"))?;
    let audio = audio_io::read(&args.input)?;
    let waveform = audio_io::to_tensor::<B>(&audio, &codec.spec(), device)?;
    let samples = waveform.dims()[2];
    let levels = codes_io::codec_levels(config);
    let codes = codec.encode(common.dtype.cast(waveform), Some(levels))?;
    let row = codes_io::from_tensor(codes).remove(0);
    let (semantic, codes) = codes_io::split(row, config);
    ensure!(
        config.semantic.is_none() || semantic.is_some(),
        "{}: the model's semantic tokens do not come from the codec; give a codes file with `semantic`",
        args.input.display()
    );
    let rows = ModelRows {
        codes: vec![codes],
        semantic: semantic.map(|semantic| vec![semantic]),
    };
    Ok((rows, Some(samples)))
}

fn rows(
    args: &Edit,
    common: &Common,
    config: &SoundStormConfig,
    given: &ModelRows,
    spec: Option<&CodecSpec>,
) -> Result<Vec<EditRow>> {
    let levels = args.levels.levels(config)?;
    let rate = spec.map(CodecSpec::frame_rate);
    let row = |(index, codes): (usize, &soundstorm::RowCodes)| -> Result<EditRow> {
        let mut row = EditRow {
            seed: row_seed(common.seed, index),
            semantic: given.semantic.as_ref().map(|rows| rows[index].clone()),
            ..EditRow::new(codes.clone())
        };
        for span in &args.regenerate {
            let region = Region {
                frames: span.frames(row.frames(), rate)?,
                levels: levels.clone(),
            };
            row = row.vary(&region, args.strength)?;
        }
        Ok(row)
    };
    given.codes.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str) -> Span {
        text.parse().expect("a good span")
    }

    #[test]
    fn spans_are_seconds_or_frames() {
        let frames = |text: &str| span(text).frames(101, Some(50.0)).ok();
        assert_eq!(frames("1.2s..2.0s"), Some(60..100));
        // Half a frame at either end is touched.
        assert_eq!(frames("1.21s..1.99s"), Some(60..100));
        assert_eq!(frames("..0.3s"), Some(0..15));
        assert_eq!(frames("7.."), Some(7..101));
        assert_eq!(frames(".."), Some(0..101));
        assert_eq!(frames("7..7"), None);
        assert_eq!(frames("7..102"), None);
        assert_eq!(frames("2s..1s"), None);
        for bad in ["", "7", "a..b", "-1..3", "1s", "..NaNs", "..1e9s"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn levels_are_the_codecs() {
        let config = soundstorm::Preset::Uslm.config();
        let levels = |text: &str| span(text).levels(&config).ok();
        assert_eq!(codes_io::codec_levels(&config), 8);
        assert_eq!(levels(".."), Some(0..7));
        assert_eq!(levels("3.."), Some(1..7));
        assert_eq!(levels("3..5"), Some(1..4));
        assert_eq!(levels("2..2"), Some(0..1));
        for bad in ["1..", "3..9", "5..4", "3s.."] {
            assert_eq!(levels(bad), None, "{bad}");
        }
    }
}
