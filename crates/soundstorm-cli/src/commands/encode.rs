//! `soundstorm encode`: audio to codes.

use anyhow::Result;
use burn::tensor::backend::Backend;
use soundstorm_codec::{AnyCodec, Codec};
use soundstorm_hub::{Array, CodesFile, CodesMetadata};
use soundstorm_runtime::Job;

use super::load;
use crate::{
    args::{Common, Encode},
    audio_io, output,
    usage::usage,
};

pub(crate) fn run(args: Encode, common: Common) -> Result<()> {
    let device = common.device;
    soundstorm_runtime::run(&device, EncodeJob { args, common })?
}

struct EncodeJob {
    args: Encode,
    common: Common,
}

impl Job for EncodeJob {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        let Self { args, common } = self;
        common.dtype.check::<B>(&device)?;
        let audio = audio_io::read(&args.input)?;
        let codec = load::codec::<B>(&args.codec, &common, &device)?;
        let spec = codec.spec();
        let waveform = audio_io::to_tensor::<B>(&audio, &spec, &device)?;
        let samples = waveform.dims()[2];
        let levels = match (args.bandwidth, &codec) {
            (None, _) => args.levels,
            (Some(kbps), AnyCodec::Encodec(codec)) => Some(codec.config().levels_for(kbps)?),
            (Some(_), _) => {
                let problem = format!("{} has no bandwidths: use --levels", spec.name);
                return Err(usage(problem));
            }
        };
        let (codes, scales) = codec.encode_scaled(common.dtype.cast(waveform), levels)?;
        let mut file = CodesFile::new(Array::from_tensor(codes));
        file.scales = scales
            .map(|scales| Array::new(scales.dims(), scales.into_data().iter::<f32>().collect()))
            .transpose()?;
        file.metadata = CodesMetadata {
            codec: Some(spec.name.clone()),
            sample_rate: Some(spec.sample_rate),
            hop: Some(spec.hop),
            channels: Some(spec.channels),
            samples: Some(samples),
            ..CodesMetadata::default()
        };
        file.write(&args.output)?;
        let [_, levels, frames] = file.codes.shape();
        if common.json {
            return output::json(&serde_json::json!({
                "output": args.output,
                "levels": levels,
                "frames": frames,
                "samples": samples,
                "sample_rate": spec.sample_rate,
            }));
        }
        tracing::info!(
            "{levels} levels x {frames} frames ({:.2} s) in {}",
            frames as f64 / spec.frame_rate(),
            args.output.display()
        );
        Ok(())
    }
}
