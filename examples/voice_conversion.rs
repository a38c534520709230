//! What one recording says, in the voice of another.
//!
//!     cargo run --example voice_conversion -- MODEL CODEC SOURCE.wav VOICE.wav OUT.wav [DEVICE]
//!
//! MODEL and CODEC are model folders, made from published weights by `soundstorm
//! import`: a SoundStorm that takes SpeechTokenizer's first level, and
//! SpeechTokenizer.

#![recursion_limit = "256"]

use anyhow::{Context, Result};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use soundstorm::codec::{Codec, CodecSpec};
use soundstorm::{GenerateRow, Prompt, RowCodes};
use soundstorm_audio::{Audio, Limits, WavFormat};
use soundstorm_hub::{open_codec, open_model};
use soundstorm_runtime::{DeviceArg, Job, select};

#[global_allocator]
static ALLOCATOR: soundstorm_runtime::alloc::MiMalloc = soundstorm_runtime::alloc::MiMalloc;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = |what: &'static str| args.next().with_context(|| format!("no {what} given"));
    let job = Convert {
        model: next("MODEL")?,
        codec: next("CODEC")?,
        source: next("SOURCE.wav")?,
        voice: next("VOICE.wav")?,
        out: next("OUT.wav")?,
    };
    let device: DeviceArg = args.next().as_deref().unwrap_or("auto").parse()?;
    select(&device)?.run(job)
}

struct Convert {
    model: String,
    codec: String,
    source: String,
    voice: String,
    out: String,
}

impl Job for Convert {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        let codec = open_codec::<B>(&self.codec, &device)?;
        let opened = open_model::<B>(&self.model, &device)?;
        let spec = codec.spec();

        // Both recordings as codes; the first level says what is said, the
        // others how it sounds.
        let mut source = encode(&self.source, &codec, &spec, &device)?;
        let mut voice = encode(&self.voice, &codec, &spec, &device)?;
        let words = source.remove(0);
        let row = GenerateRow {
            semantic: Some(words.clone()),
            prompt: Some(Prompt {
                semantic: Some(voice.remove(0)),
                codes: voice,
            }),
            ..GenerateRow::default()
        };
        let mut levels = opened
            .model
            .generate(&[row], &opened.config.generation, |step| {
                println!("pass {} of {}", step.passes_done, step.passes);
            })?
            .remove(0);

        levels.insert(0, words);
        let shape = [1, levels.len(), levels[0].len()];
        let codes = Tensor::from_data(TensorData::new(levels.concat(), shape), &device);
        let samples = codec.decode(codes)?.into_data().iter::<f32>().collect();
        let audio = Audio::from_mono(spec.sample_rate, samples);
        soundstorm_audio::write_wav(&self.out, &audio, WavFormat::Pcm16)?;
        println!("Wrote {:.2} s to {}.", audio.seconds(), self.out);
        Ok(())
    }
}

/// A recording as codes, `[levels][frames]`.
fn encode<B: Backend>(
    path: &str,
    codec: &impl Codec<B>,
    spec: &CodecSpec,
    device: &B::Device,
) -> Result<RowCodes> {
    let audio = soundstorm_audio::read(path, &Limits::default())?
        .mono()
        .resample(spec.sample_rate)?;
    let samples = TensorData::new(audio.channels[0].clone(), [1, 1, audio.frames()]);
    let codes = codec.encode(Tensor::from_data(samples, device), None)?;
    let frames = codes.dims()[2];
    let flat: Vec<i64> = codes.into_data().iter::<i64>().collect();
    Ok(flat.chunks(frames).map(<[i64]>::to_vec).collect())
}
