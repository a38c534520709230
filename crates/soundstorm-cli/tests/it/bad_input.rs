//! What goes wrong is told clearly, with status 1 for a failure and 2 for a
//! wrong call, and leaves nothing half-written.

use std::{fs, path::Path};

use crate::support::{Bench, RATE, folders};

/// Runs a command that must fail, and checks status, words and that the output
/// is not there.
fn refuse(bench: &Bench, args: &[&str], status: i32, words: &[&str]) {
    let (code, error) = bench.fails(args);
    assert_eq!(code, status, "{args:?}: {error}");
    for word in words {
        assert!(
            error.contains(word),
            "{args:?} does not say {word:?}: {error}"
        );
    }
    if let Some(at) = args.iter().position(|arg| *arg == "-o") {
        assert!(
            !bench.path(args[at + 1]).exists(),
            "{args:?} left an output"
        );
    }
}

/// A copy of a folder.
fn copy(from: &str, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn wrong_calls_end_with_two() {
    let bench = Bench::new();
    let (codec, model) = folders();
    refuse(
        &bench,
        &[
            "encode", "x.wav", "--codec", codec, "-o", "y", "--device", "tpu",
        ],
        2,
        &["tpu", "cuda"],
    );
    refuse(&bench, &["speak"], 2, &["speak"]);
    refuse(
        &bench,
        &["generate", "--model", model, "--frames", "3", "-o", "y.wav"],
        2,
        &["--codec"],
    );
    refuse(
        &bench,
        &["generate", "--model", model, "-o", "y.safetensors"],
        2,
        &["--seconds"],
    );
    refuse(
        &bench,
        &[
            "generate",
            "--model",
            model,
            "--frames",
            "0",
            "-o",
            "y.safetensors",
        ],
        2,
        &["above zero"],
    );
    refuse(
        &bench,
        &[
            "generate",
            "--model",
            model,
            "--frames",
            "3",
            "-o",
            "y.safetensors",
        ],
        2,
        &["--semantic"],
    );
    refuse(
        &bench,
        &["init", "--preset", "tiny", "-o", "y"],
        2,
        &["tiny", "small"],
    );
    refuse(
        &bench,
        &["import", "--from", "nowhere", "x", "-o", "y"],
        2,
        &["nowhere", "speechtokenizer"],
    );
    refuse(
        &bench,
        &["init", "--preset", "small", "--set", "heads", "-o", "y"],
        2,
        &["key=value"],
    );
}

#[test]
fn devices_that_are_not_there_are_refused() {
    let bench = Bench::new();
    for device in ["cuda", "cuda:7", "wgpu:93"] {
        let args = [
            "init", "--preset", "small", "--set", "depth=1", "-o", "y", "--device", device,
        ];
        refuse(&bench, &args, 1, &[device.split(':').next().unwrap()]);
    }
}

#[test]
fn auto_falls_back_to_the_cpu() {
    let bench = Bench::new();
    bench.ok(&[
        "init", "--preset", "small", "--set", "depth=1", "--set", "dim=22", "-o", "y", "--device",
        "auto",
    ]);
}

#[test]
fn bad_audio_is_refused() {
    let bench = Bench::new();
    let (codec, _) = folders();
    let encode = |name: &str, words: &[&str]| {
        refuse(
            &bench,
            &["encode", name, "--codec", codec, "-o", "y.safetensors"],
            1,
            words,
        );
    };
    encode("missing.wav", &["missing.wav", "no such file"]);

    let whole = fs::read(bench.recording("whole.wav", 4001, RATE)).unwrap();
    fs::write(bench.path("cut.wav"), &whole[..whole.len() / 2]).unwrap();
    encode("cut.wav", &["cut.wav", "truncated"]);
    fs::write(bench.path("junk.wav"), [7u8; 33]).unwrap();
    encode("junk.wav", &["junk.wav"]);
    fs::write(bench.path("none.wav"), []).unwrap();
    encode("none.wav", &["none.wav"]);

    bench.recording("empty.wav", 0, RATE);
    encode("empty.wav", &["no audio samples"]);
    let mut nan = whole.clone();
    let at = nan.len() - 400;
    nan[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(bench.path("nan.wav"), nan).unwrap();
    encode("nan.wav", &["NaN"]);
}

#[test]
fn bad_levels_and_codes_are_refused() {
    let bench = Bench::new();
    let (codec, model) = folders();
    bench.recording("in.wav", 1200, RATE);
    for levels in ["0", "6"] {
        let args = [
            "encode",
            "in.wav",
            "--codec",
            codec,
            "--levels",
            levels,
            "-o",
            "y.safetensors",
        ];
        refuse(&bench, &args, 1, &["5 levels"]);
    }
    bench.ok(&[
        "encode",
        "in.wav",
        "--codec",
        codec,
        "--levels",
        "3",
        "-o",
        "three.safetensors",
    ]);
    let eval = |name: &str, words: &[&str]| {
        refuse(
            &bench,
            &["eval", "--model", model, "--codes", name],
            1,
            words,
        );
    };
    eval("three.safetensors", &["4 levels", "have 3"]);

    // Codes beyond the codebook: the last bytes of the file are codes.
    bench.ok(&["encode", "in.wav", "--codec", codec, "-o", "in.safetensors"]);
    let mut bytes = fs::read(bench.path("in.safetensors")).unwrap();
    let at = bytes.len() - 8;
    bytes[at..].copy_from_slice(&19i64.to_le_bytes());
    fs::write(bench.path("high.safetensors"), &bytes).unwrap();
    eval("high.safetensors", &["19", "level 5"]);
    refuse(
        &bench,
        &[
            "decode",
            "high.safetensors",
            "--codec",
            codec,
            "-o",
            "y.wav",
        ],
        1,
        &["19", "level 5"],
    );
    bytes[at..].copy_from_slice(&(-1i64).to_le_bytes());
    fs::write(bench.path("low.safetensors"), &bytes).unwrap();
    refuse(
        &bench,
        &["decode", "low.safetensors", "--codec", codec, "-o", "y.wav"],
        1,
        &["-1"],
    );
    fs::write(bench.path("cut.safetensors"), &bytes[..at - 3]).unwrap();
    eval("cut.safetensors", &["truncated"]);
    eval("missing.safetensors", &["missing.safetensors"]);
}

#[test]
fn damaged_folders_are_refused() {
    let bench = Bench::new();
    let (_, model) = folders();
    bench.recording("in.wav", 1200, RATE);
    let (codec, _) = folders();
    bench.ok(&["encode", "in.wav", "--codec", codec, "-o", "in.safetensors"]);
    let eval = |name: &str, words: &[&str]| {
        refuse(
            &bench,
            &["eval", "--model", name, "--codes", "in.safetensors"],
            1,
            words,
        );
    };
    eval("nowhere", &["nowhere"]);
    eval(codec, &["codec"]);

    copy(model, &bench.path("unknown"));
    let edit = |name: &str, from: &str, to: &str| {
        let path = bench.path(name).join("config.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    };
    edit("unknown", "\"depth\": 2", "\"depth\": 2, \"width\": 3");
    eval("unknown", &["width"]);

    copy(model, &bench.path("deeper"));
    edit("deeper", "\"depth\": 2", "\"depth\": 3");
    eval("deeper", &["missing tensors", "blocks.2"]);
    copy(model, &bench.path("shallow"));
    edit("shallow", "\"depth\": 2", "\"depth\": 1");
    eval("shallow", &["unexpected tensors", "blocks.1"]);
    copy(model, &bench.path("narrow"));
    edit("narrow", "\"ff_mult\": 4", "\"ff_mult\": 3");
    eval(
        "narrow",
        &[
            "misshaped tensors",
            "expand.weight",
            "[26, 78]",
            "[26, 104]",
        ],
    );

    copy(model, &bench.path("cut"));
    let weights = bench.path("cut").join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 5]).unwrap();
    eval("cut", &["truncated"]);
}

#[test]
fn checkpoints_that_run_code_are_refused() {
    let bench = Bench::new();
    let fixtures =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../soundstorm-hub/tests/fixtures/pickle");
    for name in ["evil.pt", "evil_legacy.pt", "evil.pkl"] {
        let path = fixtures.join(name);
        let args = [
            "import",
            "--from",
            "soundstorm-pytorch",
            path.to_str().unwrap(),
            "-o",
            "y",
        ];
        refuse(&bench, &args, 1, &["system"]);
    }
}
