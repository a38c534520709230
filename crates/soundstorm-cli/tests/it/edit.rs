//! Parts generated anew, and what is kept.

use crate::support::{Bench, HOP, LEVELS, RATE, folders, tensor};

const FRAMES: usize = 40;

fn bench() -> (Bench, &'static str, &'static str) {
    let bench = Bench::new();
    let (codec, model) = folders();
    bench.recording("in.wav", FRAMES * HOP, RATE);
    bench.ok(&["encode", "in.wav", "--codec", codec, "-o", "in.safetensors"]);
    (bench, codec, model)
}

/// All levels of a file of codes, the first among them: `[levels][frames]`.
fn levels(bench: &Bench, name: &str) -> Vec<Vec<i64>> {
    let (shape, codes) = bench.codes(name);
    let mut levels: Vec<Vec<i64>> = codes.chunks(shape[2]).map(<[i64]>::to_vec).collect();
    if levels.len() < LEVELS {
        levels.insert(0, tensor(&bench.path(name), "semantic").1);
    }
    levels
}

/// Where two rows differ, as levels and frames.
fn differences(a: &[Vec<i64>], b: &[Vec<i64>]) -> Vec<(usize, usize)> {
    let places = (0..LEVELS).flat_map(|level| (0..FRAMES).map(move |frame| (level, frame)));
    places
        .filter(|&(level, frame)| a[level][frame] != b[level][frame])
        .collect()
}

#[test]
fn only_what_is_asked_for_changes() {
    let (bench, codec, model) = bench();
    let source = levels(&bench, "in.safetensors");
    let edit = |input: &str, more: &[&str]| {
        let base = ["edit", "--model", model, "--codec", codec, "--in", input];
        bench.ok(&[&base[..], more, &["--seed", "5", "-o", "out.safetensors"]].concat());
        levels(&bench, "out.safetensors")
    };
    // 0.01875 s are frames 10 to 20 at 533.3 frames a second: 0.0188 s to 0.0374 s.
    let region = ["--regenerate", "0.0188s..0.0374s", "--levels", "3..4"];
    let edited = edit("in.safetensors", &region);
    let changed = differences(&source, &edited);
    assert!(!changed.is_empty());
    for (level, frame) in changed {
        assert!(
            (2..4).contains(&level) && (10..20).contains(&frame),
            "{level} {frame}"
        );
    }
    // The recording is what its codes are, and the seed repeats.
    assert_eq!(edit("in.wav", &region), edited);

    // Everything the model makes; the first level is what it takes.
    let all = edit("in.safetensors", &[]);
    assert_eq!(all[0], source[0]);
    assert!(
        differences(&source, &all)
            .iter()
            .any(|&(level, _)| level == LEVELS - 1)
    );
    let none = edit("in.safetensors", &["--strength", "0"]);
    assert_eq!(none, source);
    let some = edit("in.safetensors", &["--strength", "0.1", "--greedy"]);
    let mut frames: Vec<usize> = differences(&source, &some).iter().map(|d| d.1).collect();
    frames.sort_unstable();
    frames.dedup();
    assert!(
        !frames.is_empty() && frames.len() <= FRAMES / 10,
        "{frames:?}"
    );

    let two = ["--regenerate", "0..3", "--regenerate", "35.."];
    let two = differences(&source, &edit("in.safetensors", &two));
    assert!(two.iter().all(|&(_, frame)| !(3..35).contains(&frame)));
    assert!(two.iter().any(|&(_, frame)| frame < 3));
    assert!(two.iter().any(|&(_, frame)| frame >= 35));
}

#[test]
fn a_recording_keeps_its_length() {
    let (bench, codec, model) = bench();
    bench.recording("odd.wav", 1007, RATE);
    let report = bench.json(&[
        "edit",
        "--model",
        model,
        "--codec",
        codec,
        "--in",
        "odd.wav",
        "--regenerate",
        "5..9",
        "-o",
        "odd.flac",
    ]);
    assert_eq!(report["rows"][0]["samples"], 1007);
    // Four frames of four levels.
    assert_eq!(report["regenerated"], 16);
}

#[test]
fn senseless_edits_are_refused() {
    let (bench, codec, model) = bench();
    let refuse = |more: &[&str], words: &str| {
        let base = [
            "edit",
            "--model",
            model,
            "--in",
            "in.safetensors",
            "-o",
            "x.safetensors",
        ];
        let (status, error) = bench.fails(&[&base[..], more].concat());
        assert_eq!(status, 2, "{error}");
        assert!(error.contains(words), "{words}: {error}");
        assert!(!bench.path("x.safetensors").exists());
    };
    refuse(&["--regenerate", "5..41"], "0..40");
    refuse(&["--regenerate", "7"], "FROM..TO");
    refuse(&["--regenerate", "0s..1s"], "--codec");
    refuse(&["--levels", "1.."], "2..5");
    refuse(&["--strength", "1.5"], "--strength");
    refuse(
        &["--codec", codec, "--remask", "sometimes"],
        "least-confident",
    );
}
