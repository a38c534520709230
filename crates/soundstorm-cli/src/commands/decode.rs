//! `soundstorm decode`: codes to audio.

use anyhow::Result;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use soundstorm_codec::Codec;
use soundstorm_runtime::Job;

use super::load;
use crate::{
    args::{Common, Decode},
    audio_io, codes_io, output,
};

pub(crate) fn run(args: Decode, common: Common) -> Result<()> {
    let device = common.device;
    soundstorm_runtime::run(&device, DecodeJob { args, common })?
}

struct DecodeJob {
    args: Decode,
    common: Common,
}

impl Job for DecodeJob {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        let Self { args, common } = self;
        common.dtype.check::<B>(&device)?;
        audio_io::format(&args.output, args.wav.wav_format)?;
        let file = codes_io::read(&args.input)?;
        let codec = load::codec::<B>(&args.codec, &common, &device)?;
        let spec = codec.spec();
        let rows = codes_io::for_codec(&file, &args.input, &spec)?;
        let mut written = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            // Row by row: a batch of long rows would need its memory at once.
            let codes = codes_io::row_tensor::<B>(row, &device);
            let scales = file.scales.as_ref().map(|scales| {
                let [_, chunks] = scales.shape();
                let scales = scales.values()[index * chunks..][..chunks].to_vec();
                Tensor::<B, 2>::from_data(TensorData::new(scales, [1, chunks]), &device)
            });
            let waveform = codec.decode_scaled(codes, scales)?;
            let audio = audio_io::from_tensor(&waveform, 0, file.metadata.samples, &spec)?;
            let path = audio_io::row_path(&args.output, index, rows.len());
            audio_io::write(&path, &audio, args.wav.wav_format)?;
            tracing::info!("{:.2} s in {}", audio.seconds(), path.display());
            written.push(serde_json::json!({
                "output": path,
                "samples": audio.frames(),
                "sample_rate": audio.sample_rate,
            }));
        }
        if common.json {
            return output::json(&serde_json::json!({ "rows": written }));
        }
        Ok(())
    }
}
