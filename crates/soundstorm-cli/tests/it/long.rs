//! Files longer than a piece: what the library gives for the whole, from blocks.

use std::path::PathBuf;

use burn::tensor::{Tensor, TensorData, backend::Backend};
use soundstorm_audio::Audio;
use soundstorm_codec::{Codec, ScaledCodes};
use soundstorm_hub::{CodesFile, open_codec};
use soundstorm_runtime::{DeviceArg, Job};

use crate::codecs::hub_folder;
use crate::support::{Bench, folders};

/// More than three pieces of 2^18 samples, which any codec does whole at most, and no whole frame at the end.
const SAMPLES: usize = 900_001;

/// A codec's own functions on all of a recording at once.
struct Whole {
    codec: PathBuf,
    audio: Audio,
}

struct Result {
    codes: Vec<i64>,
    scales: Vec<f32>,
    /// `[channels, samples]`
    wave: Vec<f32>,
}

impl Job for Whole {
    type Output = Result;

    fn run<B: Backend>(self, device: B::Device) -> Result {
        let codec = open_codec::<B>(&self.codec, &device).unwrap();
        let channels = codec.spec().channels;
        let samples = self.audio.channels[0].repeat(channels);
        let shape = [1, channels, self.audio.frames()];
        let audio = Tensor::<B, 3>::from_data(TensorData::new(samples, shape), &device);
        let (codes, scales): ScaledCodes<B> = codec.encode_scaled(audio, None).unwrap();
        let wave = codec.decode_scaled(codes.clone(), scales.clone()).unwrap();
        let samples = wave.dims()[2].min(SAMPLES);
        let wave = wave.narrow(2, 0, samples);
        let scales = scales.map(|scales| scales.into_data().iter().collect());
        Result {
            codes: codes.into_data().iter().collect(),
            scales: scales.unwrap_or_default(),
            wave: wave.into_data().iter().collect(),
        }
    }
}

/// The program's codes and waveform of a long recording, and the library's of the whole.
fn both(bench: &Bench, codec: &str) -> (Result, Result) {
    let info = bench.json(&["info", codec]);
    let rate = info["config"]["sample_rate"].as_u64().unwrap() as u32;
    let recording = bench.recording("in.wav", SAMPLES, rate);
    let audio = soundstorm_audio::read(&recording, &Default::default()).unwrap();
    bench.ok(&["encode", "in.wav", "--codec", codec, "-o", "c.safetensors"]);
    let args = ["decode", "c.safetensors", "--codec", codec];
    bench.ok(&[&args[..], &["--wav-format", "f32", "-o", "out.wav"]].concat());
    let file = CodesFile::read(bench.path("c.safetensors")).unwrap();
    let wave = soundstorm_audio::read(bench.path("out.wav"), &Default::default()).unwrap();
    let program = Result {
        codes: file.codes.values().to_vec(),
        scales: file
            .scales
            .map_or(vec![], |scales| scales.values().to_vec()),
        wave: wave.channels.concat(),
    };
    let codec = bench.path(codec);
    let library = soundstorm_runtime::run(&DeviceArg::Cpu, Whole { codec, audio }).unwrap();
    assert_eq!(program.codes.len(), library.codes.len());
    assert_eq!(program.scales.len(), library.scales.len());
    assert_eq!(program.wave.len(), library.wave.len());
    (program, library)
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn long_recordings_give_what_the_whole_gives() {
    let bench = Bench::new();
    for (codec, name) in [
        ("encodec", "mono"),
        ("encodec", "stereo"),
        ("dac", "even"),
        ("mimi", "window"),
    ] {
        hub_folder(&bench, codec, name);
        let (program, library) = both(&bench, name);
        assert_eq!(program.codes, library.codes, "{name}");
        assert!(largest_difference(&program.scales, &library.scales) < 1e-6);
        let scale = largest_difference(&library.wave, &vec![0.0; library.wave.len()]);
        let error = largest_difference(&program.wave, &library.wave);
        assert!(error <= 1e-5 * scale.max(1.0), "{name}: {error} of {scale}");
    }
}

/// Its recurrent layers see both ends of a recording, so pieces overlap and are not exact.
#[test]
fn a_long_recording_through_recurrent_layers_is_nearly_that() {
    let bench = Bench::new();
    let (codec, _) = folders();
    let (program, library) = both(&bench, codec);
    let pairs = program.codes.iter().zip(&library.codes);
    let other = pairs.filter(|(a, b)| a != b).count();
    assert!(other * 1000 <= library.codes.len(), "{other} codes differ");
}
