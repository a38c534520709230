//! A folder to work in, a small codec and model in it, and the program.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use serde_json::Value;
use soundstorm_audio::{Audio, WavFormat};

/// Codes and levels of the small codec, its samples in a frame, its sample rate.
pub(crate) const CODES: i64 = 19;
pub(crate) const LEVELS: usize = 5;
pub(crate) const HOP: usize = 30;
pub(crate) const RATE: u32 = 16_000;

/// A folder that goes when the test ends.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A recording of a few sines, mono.
    pub(crate) fn recording(&self, name: &str, samples: usize, rate: u32) -> PathBuf {
        let path = self.path(name);
        let samples = (0..samples)
            .map(|i| {
                let t = i as f32 / rate as f32;
                0.4 * (1700.0 * t * (1.0 + 3.0 * t)).sin() + 0.2 * (6100.0 * t).sin()
            })
            .collect();
        soundstorm_audio::write_wav(&path, &Audio::from_mono(rate, samples), WavFormat::F32)
            .unwrap();
        path
    }

    /// Runs the program here, on the CPU unless the arguments say otherwise.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.run_with(&[], args)
    }

    /// As [`Self::run`], with variables in the environment.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_soundstorm"));
        command
            .current_dir(self.folder.path())
            .args(args)
            .stdin(Stdio::null())
            .env_remove("SOUNDSTORM_LOG")
            .envs(variables.iter().copied());
        if !args.contains(&"--device") {
            command.args(["--device", "cpu"]);
        }
        command.output().unwrap()
    }

    /// Runs the program and expects that all goes well; what it says on stdout.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// As [`Self::ok`] with `--json`.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["--json"]].concat();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    /// Runs the program and expects a failure; its status and what it says.
    pub(crate) fn fails(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{args:?} succeeded: {error}");
        assert!(!error.contains("panicked"), "{args:?}: {error}");
        (output.status.code().unwrap(), error)
    }

    /// Codes in a file, `[batch, levels, frames]`.
    pub(crate) fn codes(&self, name: &str) -> (Vec<usize>, Vec<i64>) {
        tensor(&self.path(name), "codes")
    }
}

/// An integer tensor of a safetensors file.
pub(crate) fn tensor(path: &Path, name: &str) -> (Vec<usize>, Vec<i64>) {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let values = view
        .data()
        .chunks(8)
        .map(|b| i64::from_le_bytes(b.try_into().unwrap()));
    (view.shape().to_vec(), values.collect())
}

/// A model for the small codec: it takes the first level and makes the others.
const MODEL: [&str; 14] = [
    "--set",
    "codebook_size=19",
    "--set",
    "num_quantizers=4",
    "--set",
    "vocab=19",
    "--set",
    "dim=26",
    "--set",
    "depth=2",
    "--set",
    "heads=2",
    "--set",
    "dim_head=6",
];

/// The small codec's and model's folders, made once for all tests.
pub(crate) fn folders() -> (&'static str, &'static str) {
    static FOLDERS: OnceLock<(Bench, String, String)> = OnceLock::new();
    let (_, codec, model) = FOLDERS.get_or_init(|| {
        let bench = Bench::new();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../soundstorm-hub/tests/fixtures/speechtokenizer");
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let codec = text(bench.path("codec"));
        let checkpoint = text(fixtures.join("elu.pt"));
        bench.ok(&[
            "import",
            "--from",
            "speechtokenizer",
            &checkpoint,
            "-o",
            &codec,
        ]);
        let model = text(bench.path("model"));
        bench.ok(&[
            &["init", "--preset", "uslm", "-o", &model, "--seed", "7"],
            &MODEL[..],
        ]
        .concat());
        (bench, codec, model)
    });
    (codec, model)
}
