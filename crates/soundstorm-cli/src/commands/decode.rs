//! `soundstorm decode`: codes to audio.

use anyhow::Result;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use soundstorm_codec::{Codec, LongAudio};
use soundstorm_runtime::Job;

use super::load;
use crate::{
    args::{Common, Decode},
    audio_io, codes_io, output,
    progress::Progress,
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
        let options = codec.long_options();
        let mut bar = Progress::seconds("decoding", common.quiet);
        let frames = rows.first().and_then(|row| row.first()).map_or(0, Vec::len);
        let seconds = |frames: usize| (frames as f64 / spec.frame_rate()) as usize;
        let mut written = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            // Row by row: a batch of long rows would need its memory at once.
            let mut scales = file.scales.as_ref().map(|scales| {
                let [_, chunks] = scales.shape();
                let scales = scales.values()[index * chunks..][..chunks].to_vec();
                Tensor::<B, 2>::from_data(TensorData::new(scales, [1, chunks]), &device)
            });
            let path = audio_io::row_path(&args.output, index, rows.len());
            let mut writer = audio_io::create(&path, &spec, args.wav.wav_format)?;
            let mut left = file.metadata.samples.unwrap_or(usize::MAX);
            let mut write = |waveform: Option<Tensor<B, 3>>| -> Result<()> {
                if let Some(waveform) = waveform.filter(|_| left > 0) {
                    let audio = audio_io::from_tensor(&waveform, 0, Some(left), &spec)?;
                    left -= audio.frames();
                    writer.write(&audio)?;
                }
                Ok(())
            };
            let mut decoder = codec.long_decoder(&options);
            for start in (0..frames).step_by(options.piece) {
                let end = frames.min(start + options.piece);
                let part = codes_io::part_tensor::<B>(row, start..end, &device);
                write(decoder.push(part, scales.take())?)?;
                bar.at(seconds(index * frames + end), seconds(rows.len() * frames));
            }
            write(decoder.finish()?)?;
            let samples = writer.frames();
            writer.finish()?;
            let length = samples as f64 / f64::from(spec.sample_rate);
            tracing::info!("{length:.2} s in {}", path.display());
            written.push(serde_json::json!({
                "output": path,
                "samples": samples,
                "sample_rate": spec.sample_rate,
            }));
        }
        if common.json {
            return output::json(&serde_json::json!({ "rows": written }));
        }
        Ok(())
    }
}
