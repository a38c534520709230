//! What the program tells about itself and about files.

use crate::support::{Bench, folders};

#[test]
fn every_command_explains_itself() {
    let bench = Bench::new();
    let help = bench.ok(&["--help"]);
    for command in [
        "encode",
        "decode",
        "generate",
        "convert",
        "edit",
        "eval",
        "compare",
        "plot",
        "prepare",
        "train",
        "import",
        "init",
        "bench",
        "info",
        "doctor",
        "completions",
    ] {
        assert!(help.contains(command), "{command}");
        let own = bench.ok(&[command, "--help"]);
        assert!(own.contains("Usage: soundstorm"), "{command}");
        assert!(own.contains("--device"), "{command}");
    }
}

#[test]
fn completions_and_doctor_work_without_anything() {
    let bench = Bench::new();
    assert!(bench.ok(&["completions", "bash"]).contains("soundstorm"));
    let doctor = bench.ok(&["doctor"]);
    for backend in ["cuda", "wgpu", "flex", "ndarray"] {
        assert!(doctor.contains(backend), "{doctor}");
    }
    assert!(bench.json(&["doctor"])["backends"].is_array());
}

#[test]
fn info_counts_and_tells_where_weights_come_from() {
    let bench = Bench::new();
    let (codec, model) = folders();
    let info = bench.json(&["info", model]);
    assert_eq!(info["config"]["conformer"]["dim"], 26);
    assert_eq!(info["metadata"]["seed"], "7");
    let info = bench.json(&["info", codec]);
    assert_eq!(info["config"]["model_type"], "speechtokenizer");
    assert_eq!(info["config"]["imported"]["file"], "elu.pt");
    assert!(bench.ok(&["info", codec]).contains("imported"));
}

#[test]
fn init_repeats_with_its_seed() {
    let bench = Bench::new();
    let hash = |name: &str, seed: &str| {
        let args = [
            "init", "--preset", "small", "--set", "dim=22", "--set", "depth=1", "-o", name,
        ];
        bench.json(&[&args[..], &["--seed", seed]].concat())["sha256"].clone()
    };
    let first = hash("a", "5");
    assert_eq!(first, hash("b", "5"));
    assert_ne!(first, hash("c", "6"));
}

#[test]
fn bench_reports_what_it_did() {
    let bench = Bench::new();
    let args = [
        "bench", "--preset", "small", "--frames", "5", "--runs", "2", "--warmup", "0",
    ];
    let report = bench.json(&[&args[..], &["--work", "generate", "--steps", "2,1"]].concat());
    assert_eq!(report["passes"], 9);
    assert_eq!(report["levels"], 8);
    assert_eq!(report["parameters"], 15_021_568);
    let (min, median, max) = (&report["min_s"], &report["median_s"], &report["max_s"]);
    assert!(min.as_f64() <= median.as_f64() && median.as_f64() <= max.as_f64());
    let report = bench.json(&[&args[..], &["--work", "train", "--batch", "2"]].concat());
    assert_eq!(
        (&report["passes"], &report["batch"]),
        (&1.into(), &2.into())
    );
    let args = [&args[..], &["--work", "forward"]].concat();
    let report = bench.json(&args);
    assert_eq!(report["passes"], 1);
    assert!(report["instructions"].is_null(), "{report}");
    // What bf16 runs on is told.
    let report = bench.json(&[&args[..], &["--device", "cpu", "--dtype", "bf16"]].concat());
    let found = soundstorm_runtime::bf16_instructions();
    let want = found.unwrap_or_else(|| "none, in f32".into());
    assert_eq!(report["instructions"], want.as_str());
}
