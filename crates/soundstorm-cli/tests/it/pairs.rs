//! Models with every kind of codec, through generate and convert.

use crate::{codecs::hub_folder, support::Bench};

/// Folders of small codecs: name, channels.
const CODECS: [(&str, &str, usize); 4] = [
    ("encodec", "mono", 1),
    ("encodec", "stereo", 2),
    ("dac", "even", 1),
    ("mimi", "window", 1),
];

/// Sample rate, levels and size of a codebook, as `info` tells them.
fn numbers(bench: &Bench, codec: &str) -> [u64; 3] {
    let config = &bench.json(&["info", codec])["spec"];
    ["sample_rate", "levels", "codebook_size"].map(|key| config[key].as_u64().unwrap())
}

/// A model of `levels` levels on codebooks of `codes`.
fn model(bench: &Bench, name: &str, preset: &str, levels: u64, codes: u64) {
    let mut sets = vec![
        "dim=16".to_owned(),
        "depth=1".to_owned(),
        "heads=2".to_owned(),
        "dim_head=8".to_owned(),
        format!("num_quantizers={levels}"),
        format!("codebook_size={codes}"),
    ];
    if preset == "uslm" {
        sets.push(format!("vocab={codes}"));
    }
    let sets: Vec<_> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let args = ["init", "--preset", preset, "-o", name];
    bench.ok(&[&args[..], &sets].concat());
}

#[test]
fn every_kind_of_codec_generates_and_converts() {
    for (codec, name, channels) in CODECS {
        let bench = Bench::new();
        hub_folder(&bench, codec, name);
        let [rate, levels, codes] = numbers(&bench, name);
        model(&bench, "plain", "small", levels, codes);
        model(&bench, "words", "uslm", levels - 1, codes);
        bench.recording("voice.wav", 1009, 16_000);
        bench.recording("words.wav", 2003, 11_025);
        let read =
            |file: &str| soundstorm_audio::read(bench.path(file), &Default::default()).unwrap();

        let generate = [
            "generate",
            "--model",
            "plain",
            "--codec",
            name,
            "--prompt",
            "voice.wav",
        ];
        bench.ok(&[&generate[..], &["--frames", "7", "-o", "g.wav"]].concat());
        let made = read("g.wav");
        assert_eq!(
            (made.sample_rate as u64, made.channels.len()),
            (rate, channels),
            "{name}"
        );
        assert!(made.frames() > 0, "{name}");

        let convert = [
            "convert",
            "--model",
            "words",
            "--codec",
            name,
            "--prompt",
            "voice.wav",
        ];
        bench.ok(&[&convert[..], &["--source", "words.wav", "-o", "c.wav"]].concat());
        let made = read("c.wav");
        let shape = (made.sample_rate, made.channels.len(), made.frames());
        assert_eq!(shape, (11_025, 1, 2003), "{name}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_numbers() {
    let bench = Bench::new();
    hub_folder(&bench, "dac", "even");
    let [_, levels, codes] = numbers(&bench, "even");
    model(&bench, "deep", "small", levels + 1, codes);
    model(&bench, "wide", "small", levels, codes + 2);
    for (model, words) in [("deep", [levels + 1, levels]), ("wide", [codes, codes + 2])] {
        let args = [
            "generate", "--model", model, "--codec", "even", "--frames", "7", "-o", "x.wav",
        ];
        let (status, error) = bench.fails(&args);
        assert_eq!(status, 1);
        for word in words {
            assert!(error.contains(&word.to_string()), "{model}: {error}");
        }
        assert!(!bench.path("x.wav").exists());
    }
}
