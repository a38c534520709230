//! A codec or a model from its folder or from the hub, in the number type that was asked for.

use std::path::PathBuf;

use anyhow::Result;
use burn::tensor::backend::Backend;
use soundstorm::{SoundStorm, SoundStormConfig};
use soundstorm_codec::AnyCodec;
use soundstorm_hub::{Location, open_codec, open_model, resolve};
use soundstorm_runtime::{cast_module, frame_multiple};

use crate::{args::Common, progress::Progress};

/// The local folder of a model or codec; what is on the hub is fetched first.
pub(super) fn folder(location: &Location, common: &Common) -> Result<PathBuf> {
    let mut bar = Progress::bytes("fetching", common.quiet);
    let folder = resolve(location, &mut |transfer| {
        bar.at_bytes(transfer.done, transfer.total.unwrap_or(transfer.done));
    })?;
    Ok(folder)
}

pub(super) fn codec<B: Backend>(
    location: &Location,
    common: &Common,
    device: &B::Device,
) -> Result<AnyCodec<B>> {
    let codec = open_codec(folder(location, common)?, device)?;
    Ok(cast_module(codec, common.dtype))
}

pub(super) fn model<B: Backend>(
    location: &Location,
    common: &Common,
    device: &B::Device,
) -> Result<(SoundStormConfig, SoundStorm<B>)> {
    let opened = open_model(folder(location, common)?, device)?;
    let model = cast_module(opened.model, common.dtype);
    Ok((
        opened.config,
        model.with_frame_multiple(frame_multiple::<B>()),
    ))
}
