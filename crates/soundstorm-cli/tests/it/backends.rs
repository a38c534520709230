//! The CPU backends of this build say the same.

use serde_json::Value;

use crate::support::{Bench, HOP, RATE, folders};

/// The devices to hold against the CPU. A software Vulkan driver takes minutes to
/// tune a model's kernels: soundstorm-runtime's tests hold it against the CPU
/// operation by operation.
fn others() -> Vec<&'static str> {
    match cfg!(feature = "ndarray") {
        true => vec!["ndarray"],
        false => Vec::new(),
    }
}

#[test]
fn codes_scores_and_generations_agree() {
    let bench = Bench::new();
    let (codec, model) = folders();
    bench.recording("in.wav", 40 * HOP + 7, RATE);
    let run = |device: &str| {
        let file = |name: &str| format!("{}-{name}", device.replace(':', "_"));
        let codes = file("codes.safetensors");
        bench.ok(&[
            "encode", "in.wav", "--codec", codec, "-o", &codes, "--device", device,
        ]);
        let scores = bench.json(&[
            "eval", "--model", model, "--codes", &codes, "--device", device,
        ]);
        let generate = |out: &str, greedy: &[&str]| {
            let args = [
                "generate",
                "--model",
                model,
                "--codec",
                codec,
                "--semantic",
                &codes,
                "--prompt",
                &codes,
                "--steps",
                "3,1",
                "-o",
                out,
                "--device",
                device,
            ];
            bench.ok(&[&args[..], greedy].concat());
        };
        generate(&file("greedy.safetensors"), &["--greedy"]);
        generate(&file("drawn.safetensors"), &[]);
        bench.ok(&[
            "decode",
            &codes,
            "--codec",
            codec,
            "--wav-format",
            "f32",
            "-o",
            &file("out.wav"),
            "--device",
            device,
        ]);
        let audio =
            soundstorm_audio::read(bench.path(&file("out.wav")), &Default::default()).unwrap();
        (
            bench.codes(&codes),
            scores,
            bench.codes(&file("greedy.safetensors")),
            bench.codes(&file("drawn.safetensors")),
            audio.channels[0].clone(),
        )
    };
    let want = run("cpu");
    for device in others() {
        let got = run(device);
        assert_eq!(want.0, got.0, "{device}: codes");
        let losses = |scores: &Value| -> Vec<f64> {
            let levels = scores["levels"].as_array().unwrap();
            levels
                .iter()
                .map(|level| level["loss"].as_f64().unwrap())
                .collect()
        };
        for (want, got) in losses(&want.1).iter().zip(losses(&got.1)) {
            assert!(
                (want - got).abs() < 1e-4,
                "{device}: loss {got} and not {want}"
            );
        }
        assert_eq!(want.2, got.2, "{device}: greedy tokens");
        assert_eq!(want.3, got.3, "{device}: drawn tokens");
        let peak = want.4.iter().fold(0f32, |peak, x| peak.max(x.abs()));
        for (want, got) in want.4.iter().zip(&got.4) {
            assert!((want - got).abs() < 1e-3 * peak, "{device}: waveform");
        }
    }
}

/// Half precision runs, and stays near.
#[test]
fn number_types_are_casts() {
    let bench = Bench::new();
    let (codec, model) = folders();
    bench.recording("in.wav", 40 * HOP, RATE);
    bench.ok(&["encode", "in.wav", "--codec", codec, "-o", "in.safetensors"]);
    let loss = |dtype: &str| {
        let args = [
            "eval",
            "--model",
            model,
            "--codes",
            "in.safetensors",
            "--dtype",
            dtype,
        ];
        bench.json(&args)["levels"][0]["loss"].as_f64().unwrap()
    };
    let single = loss("f32");
    for dtype in ["bf16", "f16"] {
        let half = loss(dtype);
        assert_ne!(single, half);
        assert!(
            (single - half).abs() < 0.05,
            "{dtype}: {half} and not {single}"
        );
    }
}
