//! `soundstorm info`: what a model folder or a codes file holds.

use std::path::Path;

use anyhow::{Result, bail};
use soundstorm_hub::Folder;

use super::load;
use crate::{
    args::{Common, Info},
    codes_io, output,
};

pub(crate) fn run(args: &Info, common: &Common) -> Result<()> {
    let path = load::folder(&args.path, common)?;
    if codes_io::is_codes(&path) && path.is_file() {
        return codes(&path, common);
    }
    let info = soundstorm_hub::inspect(&path)?;
    let (kind, config, imported) = match &info.folder {
        Folder::Model(model) => (
            "SoundStorm model",
            serde_json::to_value(model)?,
            &model.imported,
        ),
        Folder::Codec(codec) => ("codec", serde_json::to_value(codec)?, &codec.imported),
        other => bail!("{}: unknown kind of folder {other:?}", args.path),
    };
    let spec = match &info.folder {
        Folder::Codec(codec) => Some(codec.config.spec()),
        _ => None,
    };
    if common.json {
        return output::json(&serde_json::json!({
            "kind": kind,
            "parameters": info.parameters,
            "tensors": info.tensors,
            "bytes": info.bytes,
            "sha256": info.sha256,
            "metadata": info.metadata,
            "spec": spec.as_ref().map(|spec| serde_json::json!({
                "name": spec.name,
                "sample_rate": spec.sample_rate,
                "channels": spec.channels,
                "hop": spec.hop,
                "frame_rate": spec.frame_rate(),
                "levels": spec.levels,
                "codebook_size": spec.codebook_size,
            })),
            "config": config,
        }));
    }
    output::say(&format!("{}: {kind}", args.path))?;
    output::say(&format!("parameters  {}", info.parameters))?;
    output::say(&format!("tensors     {}", info.tensors))?;
    output::say(&format!("bytes       {}", info.bytes))?;
    output::say(&format!("sha256      {}", info.sha256))?;
    if let Some(imported) = imported {
        output::say(&format!(
            "imported    from {} ({}): {} tensors, {} parameters",
            imported.file, imported.layout, imported.tensors, imported.parameters
        ))?;
    }
    if let Some(spec) = spec {
        output::say(&format!(
            "codec       {} Hz, {} channels, {} samples a frame ({} frames a second), {} levels of {} codes",
            spec.sample_rate,
            spec.channels,
            spec.hop,
            spec.frame_rate(),
            spec.levels,
            spec.codebook_size
        ))?;
    }
    for (key, value) in &info.metadata {
        output::say(&format!("{key:11} {value}"))?;
    }
    output::say(&serde_json::to_string_pretty(&config)?)
}

fn codes(path: &Path, common: &Common) -> Result<()> {
    let file = codes_io::read(path)?;
    let [batch, levels, frames] = file.codes.shape();
    let largest = file.codes.values().iter().max().copied().unwrap_or(0);
    let semantic = file.semantic.as_ref().map(|semantic| semantic.shape()[1]);
    if common.json {
        return output::json(&serde_json::json!({
            "batch": batch,
            "levels": levels,
            "frames": frames,
            "largest_code": largest,
            "semantic_frames": semantic,
            "codec": file.metadata.codec,
            "sample_rate": file.metadata.sample_rate,
            "hop": file.metadata.hop,
            "samples": file.metadata.samples,
            "seed": file.metadata.seed,
        }));
    }
    output::say(&format!("{}: codes", path.display()))?;
    output::say(&format!(
        "batch x levels x frames  {batch} x {levels} x {frames}"
    ))?;
    output::say(&format!("largest code             {largest}"))?;
    if let Some(frames) = semantic {
        output::say(&format!("semantic tokens          {frames}"))?;
    }
    let metadata = &file.metadata;
    for (name, value) in [
        ("codec", metadata.codec.clone()),
        ("sample rate", metadata.sample_rate.map(|v| v.to_string())),
        ("hop", metadata.hop.map(|v| v.to_string())),
        ("samples", metadata.samples.map(|v| v.to_string())),
        ("seed", metadata.seed.map(|v| v.to_string())),
    ] {
        if let Some(value) = value {
            output::say(&format!("{name:24} {value}"))?;
        }
    }
    Ok(())
}
