//! Audio to codes, SoundStorm, codes to audio, with nothing to download.
//!
//!     cargo run --example generate [-- DEVICE]
//!
//! DEVICE is auto, cpu, wgpu or cuda, as far as the features that this was built
//! with go (`--features wgpu`, `--features cuda`). No trained weights are shipped
//! yet: model and codec are small and untrained, and what comes out is noise.

#![recursion_limit = "256"]

use std::path::Path;

use anyhow::Result;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use soundstorm::codec::{Codec, SpeechTokenizerConfig};
use soundstorm::{GenerateRow, Preset, Prompt, SemanticConfig, SemanticSource};
use soundstorm_audio::{Audio, Limits, WavFormat};
use soundstorm_runtime::{DeviceArg, Job, select};

#[global_allocator]
static ALLOCATOR: soundstorm_runtime::alloc::MiMalloc = soundstorm_runtime::alloc::MiMalloc;

fn main() -> Result<()> {
    let device: DeviceArg = std::env::args()
        .nth(1)
        .as_deref()
        .unwrap_or("auto")
        .parse()?;
    let selected = select(&device)?;
    println!("Running on {selected}.");
    selected.run(Generate)
}

/// What follows runs on any backend; the device decides which one it is.
struct Generate;

impl Job for Generate {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        B::seed(&device, 7);

        // A small codec in the shape of SpeechTokenizer: eight levels of codes,
        // 50 frames a second.
        let codec = SpeechTokenizerConfig {
            filters: 16,
            dimension: 128,
            ..SpeechTokenizerConfig::default()
        }
        .init::<B>(&device)?;
        let spec = codec.spec();

        // A small SoundStorm. It is told the codec's first level, what is said,
        // and fills in the seven levels after it, how it sounds.
        let mut config = Preset::Small.config();
        config.codebook_size = spec.codebook_size;
        config.num_quantizers = spec.levels - 1;
        config.semantic = Some(SemanticConfig {
            source: SemanticSource::CodecLevel1,
            ..SemanticConfig::new(spec.codebook_size)
        });
        let model = config.init::<B>(&device)?;

        // Audio to codes, [batch, levels, frames].
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/speech.wav");
        let audio = soundstorm_audio::read(&path, &Limits::default())?
            .mono()
            .resample(spec.sample_rate)?;
        let samples = TensorData::new(audio.channels[0].clone(), [1, 1, audio.frames()]);
        let codes = codec.encode(Tensor::from_data(samples, &device), None)?;
        let frames = codes.dims()[2];
        println!(
            "Encoded {:.2} s of speech as {} levels x {frames} frames.",
            audio.seconds(),
            spec.levels
        );
        let flat: Vec<i64> = codes.into_data().iter::<i64>().collect();
        let levels: Vec<Vec<i64>> = flat.chunks(frames).map(<[i64]>::to_vec).collect();

        // The first second is the prompt, and is kept; the rest is generated.
        let prompt = 50;
        let row = GenerateRow {
            seed: 7,
            semantic: Some(levels[0][prompt..].to_vec()),
            prompt: Some(Prompt {
                codes: levels[1..]
                    .iter()
                    .map(|level| level[..prompt].to_vec())
                    .collect(),
                semantic: Some(levels[0][..prompt].to_vec()),
            }),
            ..GenerateRow::default()
        };
        let started = std::time::Instant::now();
        let mut passes = 0;
        let mut generated = model
            .generate(&[row], &config.generation, |step| passes = step.passes_done)?
            .remove(0);
        println!(
            "Generated {} levels x {} frames in {passes} passes and {:.2} s.",
            generated.len(),
            generated[0].len(),
            started.elapsed().as_secs_f64()
        );

        // Codes to audio: the first level goes back in front of the others.
        generated.insert(0, levels[0][prompt..].to_vec());
        let shape = [1, generated.len(), generated[0].len()];
        let codes = Tensor::from_data(TensorData::new(generated.concat(), shape), &device);
        let samples = codec.decode(codes)?.into_data().iter::<f32>().collect();
        let out = Path::new("generated.wav");
        soundstorm_audio::write_wav(
            out,
            &Audio::from_mono(spec.sample_rate, samples),
            WavFormat::Pcm16,
        )?;
        println!("Wrote {}.", out.display());
        println!(
            "Model and codec are untrained: this is noise, of the right length. To hear a voice,"
        );
        println!(
            "import published weights and run the voice_conversion example, as the README tells."
        );
        Ok(())
    }
}
