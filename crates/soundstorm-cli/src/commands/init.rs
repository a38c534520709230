//! `soundstorm init`: a model folder with random weights.

use anyhow::Result;
use burn::tensor::backend::Backend;
use soundstorm::Preset;
use soundstorm_codec::CodecPreset;
use soundstorm_hub::{apply_settings, init_codec, init_model, inspect};
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

/// What else `--preset` takes.
fn codec_names() -> String {
    let names: Vec<_> = CodecPreset::ALL.iter().map(|codec| codec.name()).collect();
    format!("the codecs are {}", names.join(", "))
}

impl Job for InitJob {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        let Self { args, common } = self;
        let codec: Result<CodecPreset, _> = args.preset.parse();
        if let Ok(codec) = codec {
            if !args.set.is_empty() {
                return Err(usage("--set changes models, not codecs"));
            }
            init_codec::<B>(
                &codec.config(),
                &args.output,
                common.seed,
                args.force,
                &device,
            )?;
        } else {
            let preset: Preset = args
                .preset
                .parse()
                .map_err(|error| usage(format!("{error}; {}", codec_names())))?;
            let config = apply_settings(&preset.config(), &args.set)?;
            init_model::<B>(&config, &args.output, common.seed, args.force, &device)?;
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
            args.preset,
            info.tensors,
            info.parameters,
            args.output.display()
        ))
    }
}
