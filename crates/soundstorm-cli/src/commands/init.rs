//! `soundstorm init`: a model folder with random weights.

use anyhow::Result;
use burn::tensor::backend::Backend;
use soundstorm::Preset;
use soundstorm_codec::{
    CodecConfig, DacConfig, EncodecConfig, MimiConfig, SoundStreamConfig, SpeechTokenizerConfig,
};
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

/// A codec's name among the presets.
fn codec(preset: &str) -> Option<CodecConfig> {
    Some(match preset {
        "speechtokenizer" => CodecConfig::SpeechTokenizer(SpeechTokenizerConfig::default()),
        "speechtokenizer-snake" => CodecConfig::SpeechTokenizer(SpeechTokenizerConfig::snake()),
        "encodec-24khz" => CodecConfig::Encodec(EncodecConfig::default()),
        "encodec-48khz" => CodecConfig::Encodec(EncodecConfig::encodec_48khz()),
        "dac-16khz" => CodecConfig::Dac(DacConfig::dac_16khz()),
        "dac-24khz" => CodecConfig::Dac(DacConfig::dac_24khz()),
        "dac-44khz" => CodecConfig::Dac(DacConfig::default()),
        "mimi" => CodecConfig::Mimi(MimiConfig::default()),
        "soundstream" => CodecConfig::SoundStream(SoundStreamConfig::default()),
        "soundstream-musiclm" => CodecConfig::SoundStream(SoundStreamConfig::musiclm()),
        _ => return None,
    })
}

impl Job for InitJob {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        let Self { args, common } = self;
        if let Some(config) = codec(&args.preset) {
            if !args.set.is_empty() {
                return Err(usage("--set changes models, not codecs"));
            }
            init_codec::<B>(&config, &args.output, common.seed, args.force, &device)?;
        } else {
            let preset: Preset = args.preset.parse().map_err(|error| {
                usage(format!(
                    "{error}, and the codecs speechtokenizer, speechtokenizer-snake, \
                     encodec-24khz, encodec-48khz, dac-16khz, dac-24khz, dac-44khz, mimi, \
                     soundstream and soundstream-musiclm"
                ))
            })?;
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
