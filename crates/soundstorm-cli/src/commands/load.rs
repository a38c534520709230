//! A codec or a model from its folder, in the number type that was asked for.

use std::path::Path;

use anyhow::Result;
use burn::tensor::backend::Backend;
use soundstorm::{SoundStorm, SoundStormConfig};
use soundstorm_codec::AnyCodec;
use soundstorm_hub::{open_codec, open_model};
use soundstorm_runtime::{cast_module, frame_multiple};

use crate::args::Common;

pub(super) fn codec<B: Backend>(
    folder: &Path,
    common: &Common,
    device: &B::Device,
) -> Result<AnyCodec<B>> {
    Ok(cast_module(open_codec(folder, device)?, common.dtype))
}

pub(super) fn model<B: Backend>(
    folder: &Path,
    common: &Common,
    device: &B::Device,
) -> Result<(SoundStormConfig, SoundStorm<B>)> {
    let opened = open_model(folder, device)?;
    let model = cast_module(opened.model, common.dtype);
    Ok((
        opened.config,
        model.with_frame_multiple(frame_multiple::<B>()),
    ))
}
