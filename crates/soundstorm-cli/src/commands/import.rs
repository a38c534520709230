//! `soundstorm import`: a foreign checkpoint to a model folder.

use anyhow::Result;
use soundstorm_hub::{ImportOptions, import_observed};

use crate::{
    args::{Common, Import},
    output,
    progress::Progress,
};

pub(crate) fn run(args: Import, common: &Common) -> Result<()> {
    let options = ImportOptions {
        preset: args.preset,
        settings: args.set,
        config: args.config,
        force: args.force,
        ..ImportOptions::new(args.from, args.checkpoint, &args.output)
    };
    let mut progress = Progress::new("importing", common.quiet);
    let report = import_observed(&options, |done, of| {
        progress.at(done as usize, of as usize);
    })?;
    drop(progress);
    let imported = &report.imported;
    if common.json {
        return output::json(&serde_json::json!({
            "output": args.output,
            "imported": imported,
            "skipped": report.skipped,
            "ignored": report.ignored,
            "weights_sha256": report.weights_sha256,
        }));
    }
    output::say(&format!(
        "{}: {} tensors, {} parameters, in {}",
        imported.layout,
        imported.tensors,
        imported.parameters,
        args.output.display()
    ))
}
