//! `soundstorm init`: a model folder with random weights.

use anyhow::Result;
use soundstorm_hub::InitOptions;

use crate::{
    args::{Common, Init},
    output,
};

pub(crate) fn run(args: Init, common: Common) -> Result<()> {
    let options = InitOptions {
        preset: args.preset.clone(),
        set: args.set.clone(),
        seed: common.seed,
        force: args.force,
    };
    let report = soundstorm_hub::init(&args.output, &options)?;
    if common.json {
        return output::json(&report);
    }
    output::say(&format!(
        "{}: {} tensors, {} parameters, untrained, in {}",
        args.preset,
        report.tensors,
        report.parameters,
        args.output.display()
    ))
}
