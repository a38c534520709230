//! Pictures, and audio files by their endings.

use std::fs;

use crate::support::{Bench, RATE, folders};

#[test]
fn plot_draws_what_the_ending_says() {
    let bench = Bench::new();
    bench.recording("a.wav", 4001, RATE);
    for (name, magic) in [("a.png", &b"\x89PNG"[..]), ("a.svg", &b"<svg"[..])] {
        let report = bench.json(&["plot", "a.wav", "-o", name]);
        assert_eq!(
            (&report["width"], &report["height"]),
            (&1000.into(), &300.into())
        );
        let wave = fs::read(bench.path(name)).unwrap();
        assert!(wave.starts_with(magic), "{name}");
        bench.ok(&["plot", "a.wav", "-o", name, "--spectrogram"]);
        let spectrogram = fs::read(bench.path(name)).unwrap();
        assert!(spectrogram.starts_with(magic) && spectrogram != wave);
    }
    let args = [
        "plot", "a.wav", "-o", "b.svg", "--width", "431", "--height", "211",
    ];
    bench.ok(&args);
    let text = fs::read_to_string(bench.path("b.svg")).unwrap();
    assert!(text.contains("width=\"431\" height=\"211\""));
}

#[test]
fn plot_refuses_other_endings_and_sizes() {
    let bench = Bench::new();
    bench.recording("a.wav", 401, RATE);
    for (args, status, word) in [
        (&["plot", "a.wav", "-o", "a.jpg"][..], 2, "png and svg"),
        (&["plot", "a.wav", "-o", "-"][..], 2, "png and svg"),
        (
            &["plot", "a.wav", "-o", "a.png", "--width", "7"][..],
            1,
            "within",
        ),
        (
            &["plot", "missing.wav", "-o", "a.png"][..],
            1,
            "no such file",
        ),
    ] {
        let (code, error) = bench.fails(args);
        assert_eq!(code, status, "{args:?}: {error}");
        assert!(error.contains(word), "{args:?}: {error}");
    }
    assert!(!bench.path("a.png").exists() && !bench.path("a.jpg").exists());
}

#[test]
fn flac_is_written_where_the_ending_says_so() {
    let bench = Bench::new();
    let (codec, _) = folders();
    bench.recording("in.wav", 4001, RATE);
    bench.ok(&["encode", "in.wav", "--codec", codec, "-o", "in.safetensors"]);
    let decode = |out: &str, format: &str| {
        let args = [
            "decode",
            "in.safetensors",
            "--codec",
            codec,
            "--wav-format",
            format,
        ];
        bench.ok(&[&args[..], &["-o", out]].concat());
        soundstorm_audio::read(bench.path(out), &Default::default()).unwrap()
    };
    let wav = decode("out.wav", "s16");
    assert_eq!(decode("out.flac", "s16"), wav);
    let fine = decode("fine.flac", "s24");
    assert_ne!(fine, wav);
    assert_eq!(fine, decode("fine.wav", "s24"));
    assert!(
        fs::read(bench.path("out.flac"))
            .unwrap()
            .starts_with(b"fLaC")
    );
    for (out, format, word) in [
        ("x.flac", "f32", "integers"),
        ("x.mp3", "s16", "wav and flac"),
    ] {
        let args = [
            "decode",
            "missing.safetensors",
            "--codec",
            codec,
            "--wav-format",
            format,
        ];
        let (code, error) = bench.fails(&[&args[..], &["-o", out]].concat());
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(word), "{error}");
    }
}
