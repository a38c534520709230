//! Recordings to a data set, a data set to a model, with nothing to download.
//!
//!     cargo run --example train [-- FOLDER [DEVICE]]
//!
//! FOLDER has recordings in it; without one it is `examples/assets`. The codec is
//! small and untrained, so its codes mean little: what is shown is how the parts
//! go together. `docs/training.md` tells how to train on a codec with weights.

#![recursion_limit = "256"]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::backend::{AutodiffBackend, Backend};
use soundstorm::GenerateRow;
use soundstorm::codec::{CodecConfig, SpeechTokenizerConfig};
use soundstorm_hub::{init_codec, open_codec, open_model, sha256_file, weights_path};
use soundstorm_runtime::{DeviceArg, TrainJob, select};
use soundstorm_train::{PrepareOptions, TrainConfig, TrainEvent, prepare, train};

#[global_allocator]
static ALLOCATOR: soundstorm_runtime::alloc::MiMalloc = soundstorm_runtime::alloc::MiMalloc;

/// What is not said here has a default; `config.toml` in the run's folder then has every key.
const CONFIG: &str = r#"
seed = 7
steps = 60

[data]
path = "trained/codes"
max_frames = 60
min_frames = 30
batch = 4

[optimizer]
learning_rate = 2e-3

[schedule]
warmup = 10

[model]
preset = "small"

[model.conformer]
dim = 64
depth = 2
"#;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let recordings = args.next().map_or(assets, PathBuf::from);
    let device: DeviceArg = args.next().as_deref().unwrap_or("auto").parse()?;
    let selected = select(&device)?;
    println!("Running on {selected}.");
    selected.run_autodiff(Train { recordings })
}

/// What follows runs on any backend; the device decides which one it is.
struct Train {
    recordings: PathBuf,
}

impl TrainJob for Train {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<()> {
        // A small codec in the shape of SpeechTokenizer: eight levels of codes.
        let codec = CodecConfig::SpeechTokenizer(SpeechTokenizerConfig {
            filters: 16,
            dimension: 128,
            ..SpeechTokenizerConfig::default()
        });
        let folder = Path::new("trained/codec");
        init_codec::<B::InnerBackend>(&codec, folder, 7, true, &device)?;
        let codec = open_codec::<B::InnerBackend>(folder, &device)?;

        // Recordings to codes, once. What is finished is kept by the next call.
        let weights = sha256_file(weights_path(folder))?;
        let options = PrepareOptions::new(self.recordings, "trained/codes", weights);
        let report = prepare(&codec, &options, &device, |_| ())?;
        println!(
            "{} recordings of {:.1} s, {} skipped.",
            report.files,
            report.seconds,
            report.skipped.len()
        );

        // Codes to a model. A run that is there is gone on with.
        let config = TrainConfig::parse(CONFIG, &[])?;
        let outcome = train::<B>(&config, "trained/run", &device, |event| {
            if let TrainEvent::Step(step) = event
                && step.step % 10 == 0
            {
                println!(
                    "Step {:2}: loss {:.3}, {:.1} seconds of audio a second.",
                    step.step,
                    step.loss,
                    step.audio_seconds / step.seconds
                );
            }
            ControlFlow::Continue(())
        })?;
        generate::<B::InnerBackend>(&outcome.model, &device)
    }
}

/// The folder that comes out is like any other: `soundstorm generate --model` takes it too.
fn generate<B: Backend>(folder: &Path, device: &B::Device) -> Result<()> {
    let model = open_model::<B>(folder, device)?;
    let row = GenerateRow {
        frames: Some(50),
        seed: 7,
        ..GenerateRow::default()
    };
    let options = &model.config.generation;
    let codes = model.model.generate(&[row], options, |_| ())?;
    println!(
        "The model in {} made {} levels x {} frames.",
        folder.display(),
        codes[0].len(),
        codes[0][0].len()
    );
    Ok(())
}
