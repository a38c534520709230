//! `soundstorm import`: a foreign checkpoint to a model folder.

use anyhow::Result;
use soundstorm_hub::ImportOptions;

use crate::{
    args::{Common, Import},
    output,
};

pub(crate) fn run(args: &Import, common: &Common) -> Result<()> {
    let options = ImportOptions {
        format: args.from,
        preset: args.preset,
        set: args.set.clone(),
        force: args.force,
    };
    let report = soundstorm_hub::import(&args.checkpoint, &args.output, &options)?;
    for skipped in &report.skipped {
        tracing::warn!("skipped: {skipped}");
    }
    if common.json {
        return output::json(&report);
    }
    output::say(&format!(
        "{}: {} tensors, {} parameters, in {}",
        report.layout,
        report.tensors,
        report.parameters,
        args.output.display()
    ))
}
