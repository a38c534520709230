//! Codes and audio from a model.

use crate::support::{Bench, CODES, HOP, LEVELS, RATE, folders, tensor};

fn encoded(bench: &Bench) -> (&'static str, &'static str) {
    let (codec, model) = folders();
    bench.recording("in.wav", 40 * HOP, RATE);
    bench.ok(&["encode", "in.wav", "--codec", codec, "-o", "in.safetensors"]);
    (codec, model)
}

#[test]
fn codes_are_generated_for_each_row_and_repeat_with_the_seed() {
    let bench = Bench::new();
    let (codec, model) = encoded(&bench);
    let generate = |out: &str, seed: &str, batch: &str| {
        bench.ok(&[
            "generate",
            "--model",
            model,
            "--codec",
            codec,
            "--semantic",
            "in.safetensors",
            "--prompt",
            "in.wav",
            "--steps",
            "3,1",
            "--seed",
            seed,
            "--batch",
            batch,
            "-o",
            out,
        ]);
        bench.codes(out)
    };
    let (shape, codes) = generate("a.safetensors", "3", "2");
    assert_eq!(shape, [2, LEVELS - 1, 40]);
    assert!(codes.iter().all(|code| (0..CODES).contains(code)));
    let row = (LEVELS - 1) * 40;
    assert_ne!(codes[..row], codes[row..], "rows have seeds of their own");
    assert_eq!(generate("b.safetensors", "3", "2").1, codes);
    assert_ne!(generate("c.safetensors", "4", "2").1, codes);
    // A row does not depend on how many there are.
    assert_eq!(generate("d.safetensors", "3", "1").1, codes[..row]);
    // The first level rides along.
    let first = tensor(&bench.path("a.safetensors"), "semantic");
    let source = bench.codes("in.safetensors").1;
    assert_eq!(first, (vec![2, 40], source[..40].repeat(2)));
}

#[test]
fn audio_is_what_decoding_the_codes_gives() {
    let bench = Bench::new();
    let (codec, model) = encoded(&bench);
    let generate = |out: &str| {
        bench.ok(&[
            "generate",
            "--model",
            model,
            "--codec",
            codec,
            "--semantic",
            "in.safetensors",
            "--greedy",
            "--batch",
            "2",
            "-o",
            out,
        ])
    };
    generate("x.wav");
    generate("x.safetensors");
    bench.ok(&["decode", "x.safetensors", "--codec", codec, "-o", "y.wav"]);
    for row in 0..2 {
        let read = |name: &str| std::fs::read(bench.path(&format!("{name}-{row}.wav"))).unwrap();
        assert_eq!(read("x"), read("y"));
    }
}

#[test]
fn seconds_and_frames_say_how_much() {
    let bench = Bench::new();
    let (codec, model) = encoded(&bench);
    let base = [
        "generate",
        "--model",
        model,
        "--codec",
        codec,
        "--semantic",
        "in.safetensors",
    ];
    // 0.05 s are 26.7 frames of 30 samples at 16 kHz.
    let report = bench.json(&[&base[..], &["--seconds", "0.05", "-o", "s.safetensors"]].concat());
    assert_eq!(report["frames"], 27);
    let report = bench.json(&[&base[..], &["--frames", "11", "-o", "f.wav"]].concat());
    assert_eq!(report["rows"][0]["samples"], 11 * HOP);
    assert_eq!(report["rows"][0]["sample_rate"], RATE);
}

/// A prompt given as audio and as its codes is the same prompt.
#[test]
fn prompts_are_audio_or_codes() {
    let bench = Bench::new();
    let (codec, model) = encoded(&bench);
    let generate = |prompt: &str, out: &str| {
        bench.ok(&[
            "generate",
            "--model",
            model,
            "--codec",
            codec,
            "--semantic",
            "in.safetensors",
            "--prompt",
            prompt,
            "-o",
            out,
        ]);
        bench.codes(out).1
    };
    let audio = generate("in.wav", "a.safetensors");
    assert_eq!(audio, generate("in.safetensors", "c.safetensors"));
}

#[test]
fn a_models_score_is_printed_by_level() {
    let bench = Bench::new();
    let (_, model) = encoded(&bench);
    let report = bench.json(&["eval", "--model", model, "--codes", "in.safetensors"]);
    let levels = report["levels"].as_array().unwrap();
    assert_eq!(levels.len(), LEVELS - 1);
    for (index, level) in levels.iter().enumerate() {
        assert_eq!(level["level"], index + 1);
        assert!(level["loss"].as_f64().unwrap() > 0.0);
        assert!((0.0..=1.0).contains(&level["accuracy"].as_f64().unwrap()));
    }
}
