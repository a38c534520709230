//! `soundstorm prepare`: recordings to a data set of codes.

use anyhow::Result;
use burn::tensor::backend::Backend;
use soundstorm_hub::{open_codec, sha256_file, weights_path};
use soundstorm_runtime::{DTypeArg, Job};
use soundstorm_train::{
    PrepareOptions,
    data::{PrepareEvent, PrepareReport},
};

use super::load;
use crate::{
    args::{Common, Prepare},
    output,
    progress::Progress,
    usage::usage,
};

/// Skipped files that are named in the end; the others are counted.
const NAMED: usize = 10;

pub(crate) fn run(args: Prepare, common: Common) -> Result<()> {
    if common.dtype != DTypeArg::F32 {
        return Err(usage(
            "data sets are encoded in f32, so that codes do not depend on a device",
        ));
    }
    let json = common.json;
    let device = common.device;
    let destination = args.output.clone();
    let report = soundstorm_runtime::run(&device, PrepareJob { args, common })??;
    if json {
        return output::json(&serde_json::json!({
            "output": destination,
            "shards": report.shards,
            "kept": report.kept,
            "files": report.files,
            "frames": report.frames,
            "seconds": report.seconds,
            "skipped": report.skipped,
        }));
    }
    for skipped in report.skipped.iter().take(NAMED) {
        tracing::warn!("skipped {}: {}", skipped.file, skipped.reason);
    }
    if let more @ 1.. = report.skipped.len().saturating_sub(NAMED) {
        tracing::warn!("skipped {more} more; the shards' indices name them all");
    }
    output::say(&format!(
        "{} files ({:.1} h, {} frames) in {} shards, {} of them made before; {} skipped",
        report.files,
        report.seconds / 3600.0,
        report.frames,
        report.shards,
        report.kept,
        report.skipped.len()
    ))
}

struct PrepareJob {
    args: Prepare,
    common: Common,
}

impl Job for PrepareJob {
    type Output = Result<PrepareReport>;

    fn run<B: Backend>(self, device: B::Device) -> Self::Output {
        let Self { args, common } = self;
        let folder = load::folder(&args.codec, &common)?;
        let codec = open_codec::<B>(&folder, &device)?;
        let options = PrepareOptions {
            semantic: args.semantic,
            levels: args.levels,
            files_per_shard: args.files_per_shard,
            part: args.shard,
            max_seconds: args.max_seconds,
            ..PrepareOptions::new(args.input, args.output, sha256_file(weights_path(&folder))?)
        };
        let mut progress = Progress::new("encoding", common.quiet);
        Ok(soundstorm_train::prepare(
            &codec,
            &options,
            &device,
            |event| {
                if let PrepareEvent::File { done, of, .. } = event {
                    progress.at(*done, *of);
                }
            },
        )?)
    }
}
