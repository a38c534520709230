//! A codec's work: audio to codes, codes to audio, and both frame by frame.

use anyhow::Result;
use burn::{
    module::Module,
    tensor::{Tensor, TensorData, backend::Backend},
};
use soundstorm_codec::{AnyCodec, Codec, CodecSpec, StreamingCodec};
use soundstorm_runtime::cast_module;

use super::{BenchJob, Once, Subject};
use crate::{args::Work, usage::usage};

impl BenchJob {
    pub(super) fn codec<B: Backend>(&self, device: &B::Device) -> Result<()> {
        let config = self.args.codec.config();
        let codec: AnyCodec<B> = cast_module(config.init(device)?, self.common.dtype);
        let spec = codec.spec();
        let levels = spec.check_levels("encode", self.args.levels.map(|levels| levels as usize))?;
        let samples = match self.args.seconds {
            Some(seconds) => samples(seconds, &spec)?,
            None => self.args.frames as usize * spec.hop,
        };
        let audio = self.common.dtype.cast(self.chirp(&spec, samples, device));
        let (codes, scales) = codec.encode_scaled(audio.clone(), Some(levels))?;
        B::sync(device)?;

        let subject = Subject {
            name: self.args.codec.name(),
            parameters: codec.num_params(),
            levels,
            frames: codes.dims()[2],
            seconds_of_audio: Some(samples as f64 / f64::from(spec.sample_rate)),
        };
        let once: Once = match self.args.work {
            Work::Decode => Box::new(|| {
                codec.decode_scaled(codes.clone(), scales.clone())?;
                B::sync(device)?;
                Ok(1)
            }),
            Work::Stream => stream(&codec, audio, levels, device)?,
            _ => Box::new(|| {
                codec.encode_scaled(audio.clone(), Some(levels))?;
                B::sync(device)?;
                Ok(1)
            }),
        };
        self.measure(&subject, once)
    }

    /// Quiet enough not to clip, `[batch, channels, samples]`.
    fn chirp<B: Backend>(
        &self,
        spec: &CodecSpec,
        samples: usize,
        device: &B::Device,
    ) -> Tensor<B, 3> {
        let shape = [self.args.batch as usize, spec.channels, samples];
        let audio: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|i| ((i % samples) as f32 * 0.01 * (1.0 + i as f32 * 1e-6)).sin() * 0.3)
            .collect();
        Tensor::from_data(TensorData::new(audio, shape), device)
    }
}

/// Of a length that memory can hold.
fn samples(seconds: f64, spec: &CodecSpec) -> Result<usize> {
    let samples = (seconds * f64::from(spec.sample_rate)).round();
    if !(1.0..=f64::from(u32::MAX)).contains(&samples) {
        return Err(usage(format!("--seconds {seconds}: {samples} samples")));
    }
    Ok(samples as usize)
}

/// A frame of audio comes, its codes are made, and audio of them, before the next comes.
fn stream<'a, B: Backend>(
    codec: &'a AnyCodec<B>,
    audio: Tensor<B, 3>,
    levels: usize,
    device: &'a B::Device,
) -> Result<Once<'a>> {
    let frames = audio.split(codec.spec().hop, 2);
    match codec {
        AnyCodec::Mimi(codec) => Ok(stream_by(codec, frames, levels, device)),
        AnyCodec::Encodec(codec) => Ok(stream_by(codec, frames, levels, device)),
        other => {
            let name = other.spec().name;
            Err(usage(format!(
                "{name} is not streamed; mimi and encodec-24khz are"
            )))
        }
    }
}

fn stream_by<'a, B: Backend>(
    codec: &'a impl StreamingCodec<B>,
    frames: Vec<Tensor<B, 3>>,
    levels: usize,
    device: &'a B::Device,
) -> Once<'a> {
    Box::new(move || {
        let mut encoder = codec.start_encoding(Some(levels))?;
        let mut decoder = codec.start_decoding()?;
        for frame in &frames {
            if let Some(codes) = codec.encode_piece(&mut encoder, frame.clone())? {
                codec.decode_piece(&mut decoder, codes)?;
            }
            B::sync(device)?;
        }
        Ok(frames.len())
    })
}
