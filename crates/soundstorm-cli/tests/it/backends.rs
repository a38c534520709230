//! The CPU backends of this build say the same, whole models and all. A software
//! Vulkan driver compiles them for minutes: soundstorm-runtime's tests hold it against
//! the CPU part by part.

use soundstorm_runtime::BackendKind;

use crate::support::{Bench, HOP, RATE, folders};

/// `doctor --check` compares, and fails where a backend strays.
fn check(device: &str) {
    let report = Bench::new().json(&["doctor", "--check", "--device", device]);
    assert_eq!(report["holds"], true, "{report}");
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.len() >= 5, "{report}");
}

#[test]
fn ndarray_computes_what_flex_does() {
    if BackendKind::NdArray.is_built() {
        check("ndarray");
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
    let half = loss("bf16");
    // Without instructions for it the CPU stays in f32.
    assert_eq!(
        single == half,
        soundstorm_runtime::bf16_instructions().is_none()
    );
    assert!((single - half).abs() < 0.05, "{half} and not {single}");
}
