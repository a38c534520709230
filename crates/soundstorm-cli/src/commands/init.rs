//! `soundstorm init`: a model folder with random weights.

use anyhow::{Context, Result, bail};
use burn::tensor::backend::Backend;
use soundstorm::{Preset, SoundStormConfig};
use soundstorm_codec::{CodecConfig, CodecPreset};
use soundstorm_hub::{Folder, apply_settings, init_codec, init_model, inspect};
use soundstorm_runtime::Job;

use crate::{
    args::{Common, Init},
    output,
    usage::usage,
};

pub(crate) fn run(args: Init, common: Common) -> Result<()> {
    let device = common.device;
    soundstorm_runtime::run(&device, InitJob { args, common })?
}

struct InitJob {
    args: Init,
    common: Common,
}

enum Configuration {
    Model(Box<SoundStormConfig>),
    Codec(CodecConfig),
}

/// What is asked for, by a preset's name or a folder's configuration.
fn configuration(args: &Init) -> Result<(String, Configuration)> {
    let Some(preset) = &args.preset else {
        let folder = args
            .like
            .as_ref()
            .context("a preset or a folder is needed")?;
        let config = match Folder::read(folder)? {
            Folder::Model(model) => Configuration::Model(Box::new(model.config)),
            Folder::Codec(codec) => Configuration::Codec(codec.config),
            other => bail!("{}: unknown kind of folder {other:?}", folder.display()),
        };
        return Ok((folder.display().to_string(), config));
    };
    if let Ok(codec) = preset.parse::<CodecPreset>() {
        return Ok((preset.clone(), Configuration::Codec(codec.config())));
    }
    let model: Preset = preset
        .parse()
        .map_err(|error| usage(format!("{error}; {}", codec_names())))?;
    Ok((
        preset.clone(),
        Configuration::Model(Box::new(model.config())),
    ))
}

/// What else `--preset` takes.
fn codec_names() -> String {
    let names: Vec<_> = CodecPreset::ALL.iter().map(|codec| codec.name()).collect();
    format!("the codecs are {}", names.join(", "))
}

impl Job for InitJob {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        let Self { args, common } = self;
        let (name, config) = configuration(&args)?;
        match config {
            Configuration::Codec(config) => {
                if !args.set.is_empty() {
                    return Err(usage("--set changes models, not codecs"));
                }
                init_codec::<B>(&config, &args.output, common.seed, args.force, &device)?;
            }
            Configuration::Model(config) => {
                let config = apply_settings(&config, &args.set)?;
                init_model::<B>(&config, &args.output, common.seed, args.force, &device)?;
            }
        }
        let info = inspect(&args.output)?;
        if common.json {
            return output::json(&serde_json::json!({
                "output": args.output,
                "tensors": info.tensors,
                "parameters": info.parameters,
                "sha256": info.sha256,
                "seed": common.seed,
            }));
        }
        output::say(&format!(
            "{}: {} tensors, {} parameters, untrained, in {}",
            name,
            info.tensors,
            info.parameters,
            args.output.display()
        ))
    }
}
