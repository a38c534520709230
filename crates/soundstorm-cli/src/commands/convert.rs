//! `soundstorm convert`: what one recording says, in the voice of another. The
//! source's first codec level goes in as semantic tokens, the prompt's codes as
//! the prompt, and the finer levels are generated.

use anyhow::{Result, ensure};
use burn::tensor::backend::Backend;
use soundstorm::{GenerateRow, Prompt, maskgit::row_seed};
use soundstorm_audio::Audio;
use soundstorm_codec::Codec;
use soundstorm_runtime::Job;

use super::{
    generate::encode_for_model,
    load,
    pair::check_pair,
    sampling,
    sidecar::{self, Inputs},
    trace::Trace,
};
use crate::{
    args::{Common, Convert},
    audio_io, codes_io, output,
    progress::Progress,
};

pub(crate) fn run(args: Convert, common: Common) -> Result<()> {
    let device = common.device;
    soundstorm_runtime::run(&device, ConvertJob { args, common })?
}

struct ConvertJob {
    args: Convert,
    common: Common,
}

impl Job for ConvertJob {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        let Self { args, common } = self;
        common.dtype.check::<B>(&device)?;
        audio_io::format(&args.output, args.wav.wav_format)?;
        sidecar::check(args.sampling.sidecar, &args.output)?;
        sidecar::verify(args.sampling.from_sidecar.as_deref())?;
        let source = audio_io::read(&args.source)?;
        let codec = load::codec::<B>(&args.codec, &common, &device)?;
        let spec = codec.spec();
        let (config, model) = load::model::<B>(&args.model, &common, &device)?;
        ensure!(
            codes_io::takes_first_level(&config),
            "{}: converting needs a model whose semantic tokens are the codec's first level (semantic.source = {:?})",
            args.model,
            codes_io::CODEC_LEVEL_1
        );
        check_pair(&config, &spec)?;

        let waveform = audio_io::to_tensor::<B>(&source, &spec, &device)?;
        let (codes, scales) = codec.encode_scaled(common.dtype.cast(waveform), Some(1))?;
        let words = codes_io::from_tensor(codes).remove(0).remove(0);
        let (semantic, codes) =
            encode_for_model(&args.prompt, &config, &codec, common.dtype, &device)?;
        let row = GenerateRow {
            frames: Some(words.len()),
            seed: row_seed(common.seed, 0),
            semantic: Some(words.clone()),
            prompt: Some(Prompt { codes, semantic }),
            ..GenerateRow::default()
        };

        let asked = sampling::asked(&args.sampling, &config)?;
        let length = row.prompt.as_ref().map_or(0, Prompt::frames) + words.len();
        let mut progress = Progress::new("converting", common.quiet);
        let mut trace = args
            .sampling
            .trace_picture
            .as_ref()
            .map(|_| Trace::default());
        let mut passes = 0;
        let mut observe = sampling::observer::<B>(&mut progress, &mut trace);
        let mut generated = model
            .generation(&asked.options)
            .with_guidance(asked.guidance)
            .with_observer(|pass| {
                passes += 1;
                observe(pass)
            })
            .generate(&[row])?;
        drop(observe);
        drop(progress);
        let mut levels = generated.codes.remove(0);
        levels.insert(0, words);
        // At the loudness of the source, where a codec keeps it apart from the codes.
        let waveform = codec.decode_scaled(codes_io::row_tensor::<B>(&levels, &device), scales)?;
        let mut converted = audio_io::from_tensor(&waveform, 0, None, &spec)?;
        if source.channels.len() == 1 {
            converted = converted.mono();
        }
        let converted = fit(&converted.resample(source.sample_rate)?, source.frames())?;
        audio_io::write(&args.output, &converted, args.wav.wav_format)?;
        if let (Some(path), Some(trace)) = (&args.sampling.trace_picture, &trace) {
            trace.write(path, &[length], spec.frame_rate())?;
        }
        if args.sampling.sidecar {
            let inputs = Inputs::default()
                .folder(&args.model, &common)?
                .folder(&args.codec, &common)?
                .file(Some(&args.source))
                .file(Some(&args.prompt));
            let written = [args.output.clone()];
            sidecar::write(&args.output, &written, inputs, &common, &asked, passes)?;
        }
        if common.json {
            return output::json(&serde_json::json!({
                "output": args.output,
                "samples": converted.frames(),
                "sample_rate": converted.sample_rate,
                "seed": common.seed,
            }));
        }
        tracing::info!("{:.2} s in {}", converted.seconds(), args.output.display());
        Ok(())
    }
}

/// Audio of exactly a number of samples: cut, or a few zeros appended where
/// resampling there and back rounds down.
fn fit(audio: &Audio, samples: usize) -> Result<Audio> {
    let channels = audio
        .channels
        .iter()
        .map(|channel| {
            let mut channel = channel.clone();
            channel.resize(samples, 0.0);
            channel
        })
        .collect();
    Ok(Audio::new(audio.sample_rate, channels)?)
}
