//! `soundstorm encode`: audio to codes.

use anyhow::Result;
use burn::tensor::backend::Backend;
use soundstorm_codec::{AnyCodec, Codec, LongAudio};
use soundstorm_hub::CodesMetadata;
use soundstorm_runtime::Job;

use super::load;
use crate::{
    args::{Common, Encode},
    audio_io::{self, CodecBlocks},
    codes_io::Gathered,
    output,
    progress::Progress,
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
        let reader = audio_io::open(&args.input)?;
        let codec = load::codec::<B>(&args.codec, &common, &device)?;
        let spec = codec.spec();
        let levels = match (args.bandwidth, &codec) {
            (None, _) => args.levels,
            (Some(kbps), AnyCodec::Encodec(codec)) => Some(codec.config().levels_for(kbps)?),
            (Some(_), _) => {
                let problem = format!("{} has no bandwidths: use --levels", spec.name);
                return Err(usage(problem));
            }
        };
        let mut blocks = CodecBlocks::new(reader, &spec)?;
        let mut encoder = codec.long_encoder(levels, &codec.long_options())?;
        let mut bar = Progress::seconds("encoding", common.quiet);
        let (mut gathered, mut samples) = (Gathered::default(), 0);
        while let Some(block) = blocks.next()? {
            if block.frames() == 0 {
                continue;
            }
            samples += block.frames();
            let block = common
                .dtype
                .cast(audio_io::row_tensor::<B>(&block, &device));
            gathered.extend(encoder.push(block)?);
            let (done, of) = blocks.seconds();
            bar.at(done, of);
        }
        gathered.extend(encoder.finish()?);
        let mut file = gathered.into_file()?;
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
