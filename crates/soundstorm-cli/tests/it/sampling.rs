//! Options of the sampler, candidates, pictures of a trace, and files beside outputs.

use crate::support::{Bench, HOP, LEVELS, RATE, folders};

fn bench() -> (Bench, &'static str, &'static str) {
    let bench = Bench::new();
    let (codec, model) = folders();
    bench.recording("in.wav", 40 * HOP, RATE);
    bench.ok(&["encode", "in.wav", "--codec", codec, "-o", "in.safetensors"]);
    (bench, codec, model)
}

fn generate<'a>(model: &'a str, codec: &'a str) -> [&'a str; 9] {
    [
        "generate",
        "--model",
        model,
        "--codec",
        codec,
        "--semantic",
        "in.safetensors",
        "--steps",
        "5,1",
    ]
}

/// Each option changes what comes out, and the same call repeats it.
#[test]
fn options_are_heard() {
    let (bench, codec, model) = bench();
    let run = |more: &[&str]| {
        bench.ok(&[&generate(model, codec)[..], more, &["-o", "x.safetensors"]].concat());
        bench.codes("x.safetensors").1
    };
    let plain = run(&[]);
    let mut seen = vec![plain.clone()];
    for option in [
        &["--top-p", "0.2"][..],
        &["--typical", "0.2"],
        &["--confidence", "margin", "--confidence-noise", "0"],
        &["--confidence", "entropy", "--confidence-noise", "0"],
        &["--order", "random"],
        &["--order", "van-der-corput"],
        &["--span", "3"],
        &["--remask", "least-confident"],
        &["--remask", "cap:0.5"],
        &["--remask", "rescale:0.7:confidence", "--schedule", "linear"],
        &["--entropy-budget", "3"],
        &["--schedule", "linear"],
        &["--guidance", "3"],
        &[
            "--guidance",
            "3,1",
            "--guidance-curve",
            "cosine",
            "--guidance-levels",
            "2",
        ],
        &["--guidance", "3", "--guidance-rescale", "0.7"],
    ] {
        let codes = run(option);
        assert!(!seen.contains(&codes), "{option:?}");
        assert_eq!(run(option), codes, "{option:?}");
        seen.push(codes);
    }
    // What is the default already.
    let default = [
        "--remask",
        "never",
        "--span",
        "1",
        "--order",
        "confidence",
        "--guidance",
        "1",
    ];
    assert_eq!(run(&default), plain);
}

#[test]
fn options_that_make_no_sense_are_wrong_calls() {
    let (bench, codec, model) = bench();
    for (more, words) in [
        (&["--top-p", "0"][..], "top_p"),
        (&["--typical", "1.5"], "typical"),
        (&["--order", "random", "--greedy"], "greedy and order"),
        (
            &["--order", "random", "--confidence", "margin"],
            "confidence and order",
        ),
        (&["--remask", "cap:2"], "eta"),
        (&["--span", "0"], "span"),
        (&["--entropy-budget=-1"], "entropy"),
        (&["--steps", "0"], "steps"),
        (&["--guidance=-1"], "guidance"),
        (&["--guidance-levels", "2"], "--guidance"),
        (&["--best-of", "0"], "--best-of"),
        (
            &["--best-of", "2", "--trace-picture", "x.png"],
            "--trace-picture",
        ),
    ] {
        let call = [&generate(model, codec)[..], more, &["-o", "x.safetensors"]].concat();
        let (status, error) = bench.fails(&call);
        assert_eq!(status, 2, "{error}");
        assert!(error.contains(words), "{words}: {error}");
        assert!(!bench.path("x.safetensors").exists());
    }
}

#[test]
fn the_best_candidate_is_told_with_its_seed() {
    let (bench, codec, model) = bench();
    let call = [
        &generate(model, codec)[..],
        &["--best-of", "4", "--batch", "2"],
    ]
    .concat();
    let report = bench.json(&[&call[..], &["-o", "x.safetensors"]].concat());
    let candidates = report["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 2);
    for candidate in candidates {
        let scores: Vec<f64> = candidate["scores"]
            .as_array()
            .unwrap()
            .iter()
            .map(|score| score.as_f64().unwrap())
            .collect();
        assert_eq!(scores.len(), 4);
        let best = candidate["best"].as_u64().unwrap() as usize;
        assert!(scores.iter().all(|&score| score <= scores[best]));
    }
    let plain = bench.json(&[&generate(model, codec)[..], &["-o", "y.wav"]].concat());
    assert_eq!(plain["candidates"], serde_json::json!([]));
}

#[test]
fn a_trace_is_drawn() {
    let (bench, codec, model) = bench();
    let more = ["--trace-picture", "t.png", "-o", "x.wav"];
    bench.ok(&[&generate(model, codec)[..], &more].concat());
    let png = std::fs::read(bench.path("t.png")).unwrap();
    assert_eq!(&png[1..4], b"PNG");
    let (width, height) = (&png[16..20], &png[20..24]);
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    assert_eq!((number(width), number(height)), (1000, 480));
    // Another seed, another picture; the same, the same.
    let draw = |seed: &str| {
        let more = ["--trace-picture", "u.png", "--seed", seed, "-o", "x.wav"];
        bench.ok(&[&generate(model, codec)[..], &more].concat());
        std::fs::read(bench.path("u.png")).unwrap()
    };
    assert_eq!(draw("0"), png);
    assert_ne!(draw("1"), png);
    bench.recording("voice.wav", 900, RATE);
    let convert = [
        "convert",
        "--model",
        model,
        "--codec",
        codec,
        "--source",
        "in.wav",
        "--prompt",
        "voice.wav",
        "--trace-picture",
        "c.svg",
        "-o",
        "c.wav",
    ];
    bench.ok(&convert);
    assert!(bench.path("c.svg").exists());
}

#[test]
fn a_sidecar_makes_the_same_bytes_again() {
    let (bench, codec, model) = bench();
    let more = [
        "--prompt",
        "in.wav",
        "--seed",
        "9",
        "--top-p",
        "0.9",
        "--remask",
        "cap:0.3",
        "--guidance",
        "2",
        "--batch",
        "2",
        "--sidecar",
        "-o",
        "x.wav",
    ];
    bench.ok(&[&generate(model, codec)[..], &more].concat());
    let read = |name: &str| std::fs::read(bench.path(name)).unwrap();
    let sidecar: serde_json::Value = serde_json::from_slice(&read("x.wav.json")).unwrap();
    assert_eq!(sidecar["seed"], 9);
    assert_eq!(sidecar["passes"], 5 + LEVELS - 2);
    assert_eq!(sidecar["options"]["remask"]["cap"]["eta"], 0.3);
    // Configuration and weights of model and codec, the semantic tokens and the prompt.
    assert_eq!(sidecar["inputs"].as_object().unwrap().len(), 6);
    assert_eq!(sidecar["outputs"].as_object().unwrap().len(), 2);

    bench.ok(&["generate", "--from-sidecar", "x.wav.json", "-o", "y.wav"]);
    for row in 0..2 {
        assert_eq!(read(&format!("x-{row}.wav")), read(&format!("y-{row}.wav")));
    }
    // Nothing else may be asked for, and nothing may have changed.
    let (status, error) = bench.fails(&[
        "generate",
        "--from-sidecar",
        "x.wav.json",
        "--seed",
        "1",
        "-o",
        "z.wav",
    ]);
    assert_eq!(status, 2, "{error}");
    let (status, error) = bench.fails(&["edit", "--from-sidecar", "x.wav.json", "-o", "z.wav"]);
    assert_eq!(status, 2, "{error}");
    assert!(error.contains("soundstorm generate"), "{error}");
    bench.recording("in.wav", 41 * HOP, RATE);
    let (status, error) = bench.fails(&["generate", "--from-sidecar", "x.wav.json", "-o", "z.wav"]);
    assert_eq!(status, 1, "{error}");
    assert!(error.contains("in.wav has changed"), "{error}");
    let (_, error) = bench.fails(&["generate", "--from-sidecar", "none.json", "-o", "z.wav"]);
    assert!(error.contains("none.json"), "{error}");
    assert!(!bench.path("z-0.wav").exists());
}

#[test]
fn edits_and_conversions_have_sidecars_too() {
    let (bench, codec, model) = bench();
    let read = |name: &str| std::fs::read(bench.path(name)).unwrap();
    bench.ok(&[
        "edit",
        "--model",
        model,
        "--codec",
        codec,
        "--in",
        "in.wav",
        "--regenerate",
        "5..20",
        "--strength",
        "0.5",
        "--sidecar",
        "-o",
        "e.safetensors",
    ]);
    bench.ok(&[
        "edit",
        "--from-sidecar",
        "e.safetensors.json",
        "-o",
        "f.safetensors",
    ]);
    assert_eq!(bench.codes("e.safetensors"), bench.codes("f.safetensors"));
    bench.ok(&[
        "convert",
        "--model",
        model,
        "--codec",
        codec,
        "--source",
        "in.wav",
        "--prompt",
        "in.wav",
        "--sidecar",
        "-o",
        "c.wav",
    ]);
    bench.ok(&["convert", "--from-sidecar=c.wav.json", "-o", "d.wav"]);
    assert_eq!(read("c.wav"), read("d.wav"));
}

/// Items that fail do not stop others; those that are done are not done again, unless they changed.
#[test]
fn a_manifest_goes_on_where_it_stopped() {
    let (bench, codec, model) = bench();
    let manifest = |lines: &[&str]| {
        std::fs::write(bench.path("jobs.jsonl"), lines.join("\n")).unwrap();
    };
    let run = |expect: [usize; 3]| {
        let call = [
            "generate",
            "--model",
            model,
            "--codec",
            codec,
            "--steps",
            "2,1",
            "--manifest",
            "jobs.jsonl",
            "--json",
        ];
        let output = bench.run(&call);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let of = |name: &str| report[name].as_u64().unwrap() as usize;
        assert_eq!(["done", "skipped", "failed"].map(of), expect);
        assert_eq!(output.status.code(), Some(i32::from(expect[2] > 0)));
    };
    let first = r#"{"output": "a.wav", "semantic": "in.safetensors", "seed": 3}"#;
    let missing = r#"{"output": "b.wav", "semantic": "none.safetensors"}"#;
    let third = r#"{"output": "c.safetensors", "semantic": "in.safetensors", "frames": 7}"#;
    manifest(&[first, missing, "", third]);
    run([2, 0, 1]);
    let single = [&generate(model, codec)[..7], &["--steps", "2,1"]].concat();
    bench.ok(&[&single[..], &["--seed", "3", "-o", "x.wav"]].concat());
    let read = |name: &str| std::fs::read(bench.path(name)).unwrap();
    assert_eq!(read("a.wav"), read("x.wav"));
    assert_eq!(bench.codes("c.safetensors").0, [1, LEVELS - 1, 7]);
    let status = String::from_utf8(read("jobs.jsonl.status")).unwrap();
    assert_eq!(status.lines().count(), 3);
    assert!(status.lines().nth(1).unwrap().contains("none.safetensors"));

    // The failed one is tried again, and works; one output is gone, and one item has changed.
    std::fs::copy(bench.path("in.safetensors"), bench.path("none.safetensors")).unwrap();
    run([1, 2, 0]);
    std::fs::remove_file(bench.path("c.safetensors")).unwrap();
    manifest(&[&first.replace('3', "4"), missing, third]);
    run([2, 1, 0]);
    assert_ne!(read("a.wav"), read("x.wav"));

    let refuse = |lines: &[&str], words: &str| {
        manifest(lines);
        let call = [
            "generate",
            "--model",
            model,
            "--codec",
            codec,
            "--manifest",
            "jobs.jsonl",
        ];
        let (_, error) = bench.fails(&call);
        assert!(error.contains("line") && error.contains(words), "{error}");
    };
    refuse(&[r#"{"output": "a.wav", "frame": 3}"#], "frame");
    refuse(&[first, first], "a.wav");
    refuse(&[r#"{"output": "a.wav"}"#], "how much");
    refuse(&["nonsense"], "line 1");
}
