//! Recordings to a data set and a data set to a model, stopped and killed on the way.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{Bench, CODES, HOP, LEVELS, RATE, folders};

/// Recordings and a configuration of a model that takes a moment to train.
fn prepared() -> Bench {
    let bench = Bench::new();
    let (codec, _) = folders();
    fs::create_dir(bench.path("audio")).unwrap();
    for (number, frames) in [31, 17, 41, 23, 13, 37].into_iter().enumerate() {
        bench.recording(&format!("audio/{number}.wav"), frames * HOP, RATE);
    }
    fs::write(bench.path("audio/broken.flac"), b"fLaC").unwrap();
    let report = bench.json(&[
        "prepare",
        "--codec",
        codec,
        "--in",
        "audio",
        "-o",
        "codes",
        "--files-per-shard",
        "3",
    ]);
    assert_eq!(
        (&report["files"], &report["shards"]),
        (&6.into(), &3.into())
    );
    assert_eq!(report["skipped"][0]["file"], "broken.flac");
    let levels = LEVELS - 1;
    let config = format!(
        r#"
        steps = 40
        [data]
        path = "codes"
        max_frames = 19
        min_frames = 5
        batch = 2
        [validation]
        fraction = 0.2
        every = 10
        [schedule]
        warmup = 5
        [checkpoint]
        every = 5
        [log]
        every = 1
        [model]
        preset = "uslm"
        codebook_size = {CODES}
        num_quantizers = {levels}
        [model.conformer]
        dim = 26
        depth = 2
        heads = 2
        dim_head = 6
        conv_kernel_size = 5
        attn_dropout = 0.1
        ff_dropout = 0.1
        conv_dropout = 0.1
        [model.semantic]
        vocab = {CODES}
        "#
    );
    fs::write(bench.path("train.toml"), config).unwrap();
    bench
}

const TRAIN: [&str; 4] = ["train", "--config", "train.toml", "-o"];

fn train(bench: &Bench, run: &str) -> serde_json::Value {
    bench.json(&[&TRAIN[..], &[run]].concat())
}

/// Starts a training and leaves it running.
fn start(bench: &Bench, run: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_soundstorm"))
        .current_dir(bench.path(""))
        .args(TRAIN)
        .args([run, "--device", "cpu", "--set", "steps=1000000"])
        .args([
            "--set",
            "schedule.kind=constant",
            "--set",
            "checkpoint.every=2",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for a file that has some lines.
fn wait_for_lines(path: &Path, lines: usize) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= lines {
            return;
        }
        assert!(Instant::now() < until, "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// What a finished run comes to: weights, moments, running mean and log.
fn result(bench: &Bench, run: &str) -> BTreeMap<&'static str, Vec<u8>> {
    [
        "checkpoints/step-000000040/model/model.safetensors",
        "checkpoints/step-000000040/ema/model.safetensors",
        "checkpoints/step-000000040/optimizer.safetensors",
        "model/model.safetensors",
        "log.jsonl",
    ]
    .map(|name| (name, fs::read(bench.path(run).join(name)).unwrap()))
    .into()
}

#[test]
fn a_training_is_planned_made_drawn_and_generated_with() {
    let bench = prepared();
    let (codec, _) = folders();
    let plan = bench.json(&["train", "--config", "train.toml", "--dry-run"]);
    assert_eq!(plan["piece"], serde_json::json!([2, LEVELS - 1, 19]));
    assert_eq!(plan["skipped_files"], 1);
    let text = bench.ok(&["train", "--config", "train.toml", "--dry-run"]);
    assert!(
        text.contains("conformer.blocks.1") && text.contains("MiB"),
        "{text}"
    );
    assert!(!bench.path("run").exists());

    let report = train(&bench, "run");
    assert_eq!(
        (&report["ended"], &report["step"]),
        (&"finished".into(), &40.into())
    );
    let info = bench.json(&["info", "run/model"]);
    assert_eq!(info["parameters"], plan["parameters"]);
    assert_eq!(info["metadata"]["step"], "40");
    bench.ok(&[
        "encode",
        "audio/0.wav",
        "--codec",
        codec,
        "-o",
        "in.safetensors",
    ]);
    bench.ok(&[
        "generate",
        "--model",
        "run/model",
        "--semantic",
        "in.safetensors",
        "-o",
        "out.safetensors",
    ]);
    assert_eq!(bench.codes("out.safetensors").0, [1, LEVELS - 1, 31]);
    let ema = "run/checkpoints/step-000000040/ema";
    bench.ok(&["eval", "--model", ema, "--codes", "in.safetensors"]);

    for name in ["curves.svg", "curves.png"] {
        let drawn = bench.json(&["plot", "run/log.jsonl", "-o", name]);
        assert_eq!(
            (&drawn["lines"], &drawn["height"]),
            (&44.into(), &600.into())
        );
        assert!(bench.path(name).exists());
    }
    let saved = fs::read_to_string(bench.path("run/config.toml")).unwrap();
    assert!(
        saved.contains("dim_head = 6") && saved.contains("ema_decay"),
        "{saved}"
    );
}

/// A signal saves and ends with success, and the run goes on to the same end.
#[cfg(unix)]
#[test]
fn a_signal_saves_and_leaves() {
    let bench = prepared();
    for name in ["-TERM", "-INT"] {
        let run = &format!("run{name}");
        let child = start(&bench, run);
        wait_for_lines(&bench.path(run).join("log.jsonl"), 3);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.starts_with("stopped after step "), "{said}");
        let log = fs::read_to_string(bench.path(run).join("log.jsonl")).unwrap();
        let trained = log
            .lines()
            .filter(|line| line.contains("\"train\""))
            .count();
        assert!(
            said.starts_with(&format!("stopped after step {trained};")),
            "{said}"
        );
    }
}

/// Killed at any moment, a run goes on to the bits of one that was not, dropout and all.
#[cfg(unix)]
#[test]
fn a_killed_run_comes_to_the_same_bits() {
    let bench = prepared();
    train(&bench, "whole");
    let whole = result(&bench, "whole");
    let kills: u64 = std::env::var("SOUNDSTORM_KILLS").map_or(4, |count| count.parse().unwrap());
    let mut landed = 0;
    for number in 0..kills {
        let run = &format!("run-{number}");
        let mut child = Command::new(env!("CARGO_BIN_EXE_soundstorm"))
            .current_dir(bench.path(""))
            .args(TRAIN)
            .args([run, "--device", "cpu", "--quiet"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Moments from before the first step to near the end, in no order.
        wait_for_lines(&bench.path(run).join("config.toml"), 1);
        std::thread::sleep(Duration::from_millis(number * 7919 % 1009));
        let is_early = child.try_wait().unwrap().is_none();
        let _ = child.kill();
        child.wait().unwrap();
        landed += u64::from(is_early);
        train(&bench, run);
        let got = result(&bench, run);
        for (name, want) in &whole {
            assert!(got[name] == *want, "{run}: {name} has other bytes");
        }
        fs::remove_dir_all(bench.path(run)).unwrap();
    }
    println!("{landed} of {kills} were killed while they ran");
    assert!(landed > 0, "every run was faster than its kill");
}

#[test]
fn what_is_wrong_is_said() {
    let bench = prepared();
    let train = |more: &[&str]| bench.fails(&[&TRAIN[..], &["run"], more].concat());
    for (args, status, word) in [
        (&["--set", "optimizer.clip"][..], 2, "key=value"),
        (&["--set", "optimizer.clips=3"], 1, "clips"),
        (&["--set", "model.num_quantizers=5"], 1, "levels"),
        (&["--set", "data.batch=400"], 1, "larger than the set"),
        (&["--set", "data.path=nowhere"], 1, "nowhere"),
        (&["--seed", "3"], 2, "--set seed"),
        (&["--dtype", "bf16"], 2, "f32"),
    ] {
        let (code, error) = train(args);
        assert_eq!(code, status, "{args:?}: {error}");
        assert!(error.contains(word), "{args:?}: {error}");
    }
    let (code, error) = bench.fails(&["train", "--config", "train.toml"]);
    assert_eq!(code, 2, "{error}");
    let (codec, _) = folders();
    fs::create_dir(bench.path("none")).unwrap();
    let (code, error) = bench.fails(&["prepare", "--codec", codec, "--in", "none", "-o", "x"]);
    assert_eq!((code, error.contains("no audio")), (1, true), "{error}");
    let (code, _) = bench.fails(&[
        "prepare", "--codec", codec, "--in", "audio", "-o", "x", "--shard", "2/2",
    ]);
    assert_eq!(code, 2);
    fs::write(bench.path("empty.jsonl"), "").unwrap();
    let (code, error) = bench.fails(&["plot", "empty.jsonl", "-o", "x.svg"]);
    assert_eq!((code, error.contains("no lines")), (1, true), "{error}");
}
