//! Measures of two recordings and of two codes files.

use soundstorm_audio::{Audio, WavFormat, write_wav};
use soundstorm_hub::{Array, CodesFile};

use crate::support::{Bench, RATE};

/// A recording at another level, with something added to every third sample.
fn changed(bench: &Bench, from: &str, to: &str) {
    let mut audio = soundstorm_audio::read(bench.path(from), &Default::default()).unwrap();
    for (i, sample) in audio.channels[0].iter_mut().enumerate() {
        *sample = 0.5 * *sample + if i % 3 == 0 { 0.01 } else { 0.0 };
    }
    write_wav(bench.path(to), &audio, WavFormat::F32).unwrap();
}

fn codes(bench: &Bench, name: &str, shape: [usize; 3], values: Vec<i64>) {
    let file = CodesFile::new(Array::new(shape, values).unwrap());
    file.write(bench.path(name)).unwrap();
}

#[test]
fn compare_measures_recordings() {
    let bench = Bench::new();
    bench.recording("a.wav", 4001, RATE);
    changed(&bench, "a.wav", "b.wav");

    let same = bench.json(&["compare", "a.wav", "a.wav"]);
    assert_eq!(same["identical"], true);
    assert!(same["si_sdr_db"].is_null(), "{same}");
    for distance in ["spectral_convergence", "log_stft_magnitude", "mel_distance"] {
        assert_eq!(same[distance], 0.0, "{distance}");
    }
    assert!(bench.ok(&["compare", "a.wav", "a.wav"]).contains("inf dB"));

    let other = bench.json(&["compare", "a.wav", "b.wav"]);
    assert_eq!(other["identical"], false);
    assert_eq!(
        (&other["samples"], &other["sample_rate"]),
        (&4001.into(), &RATE.into())
    );
    assert_eq!(other["notes"], serde_json::json!([]));
    // Half of a recording whose mean square is about 0.1, and 0.0001 in every third sample: some 29 dB.
    let ratio = other["si_sdr_db"].as_f64().unwrap();
    assert!((20.0..40.0).contains(&ratio), "{ratio}");
    for distance in ["spectral_convergence", "log_stft_magnitude", "mel_distance"] {
        assert!(other[distance].as_f64().unwrap() > 0.1, "{distance}");
    }
    let text = bench.ok(&["compare", "a.wav", "b.wav"]);
    assert!(text.contains(&format!("{ratio:.2} dB")), "{text}");
    assert!(
        text.contains("mel distance") && !text.contains("note"),
        "{text}"
    );
}

#[test]
fn compare_says_what_it_did_to_make_recordings_alike() {
    let bench = Bench::new();
    bench.recording("low.wav", 4001, RATE);
    bench.recording("high.wav", 12_600, 48_000);
    let report = bench.json(&["compare", "high.wav", "low.wav"]);
    assert_eq!(
        (&report["samples"], &report["sample_rate"]),
        (&4001.into(), &RATE.into())
    );
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("48000 Hz is resampled to 16000 Hz"),
        "{notes}"
    );
    assert!(
        notes.contains("first 4001 samples") && notes.contains("4200"),
        "{notes}"
    );
    // The same sound, but for what a rate cannot hold and the ends.
    assert!(report["si_sdr_db"].as_f64().unwrap() > 20.0, "{report}");
    let text = bench.ok(&["compare", "high.wav", "low.wav"]);
    assert!(text.contains("note: 48000 Hz"), "{text}");

    let mono = soundstorm_audio::read(bench.path("low.wav"), &Default::default()).unwrap();
    let (mut left, mut right) = (mono.channels[0].clone(), mono.channels[0].clone());
    left.iter_mut().for_each(|sample| *sample *= 1.5);
    right.iter_mut().for_each(|sample| *sample *= 0.5);
    let stereo = Audio::new(RATE, vec![left, right]).unwrap();
    write_wav(bench.path("stereo.wav"), &stereo, WavFormat::F32).unwrap();
    let report = bench.json(&["compare", "stereo.wav", "low.wav"]);
    assert!(report["notes"].to_string().contains("mono"), "{report}");
    assert!(report["mel_distance"].as_f64().unwrap() < 1e-3, "{report}");

    let silence = Audio::from_mono(RATE, vec![0.0; 4001]);
    write_wav(bench.path("silence.wav"), &silence, WavFormat::F32).unwrap();
    let report = bench.json(&["compare", "silence.wav", "low.wav"]);
    assert!(report["si_sdr_db"].is_null());
    assert!(report["notes"].to_string().contains("silent"), "{report}");
    assert!(
        bench
            .ok(&["compare", "silence.wav", "low.wav"])
            .contains("none")
    );
}

#[test]
fn compare_counts_codes_that_match() {
    let bench = Bench::new();
    let values: Vec<i64> = (0..30).collect();
    codes(&bench, "a.safetensors", [2, 3, 5], values.clone());
    let mut other = values.clone();
    for at in [0, 17, 25, 26, 27, 28, 29] {
        other[at] += 100;
    }
    codes(&bench, "b.safetensors", [2, 3, 5], other);
    let report = bench.json(&["compare", "a.safetensors", "b.safetensors"]);
    assert_eq!(report["levels"], serde_json::json!([0.8, 1.0, 0.5]));
    assert_eq!(report["match"], 23.0 / 30.0);
    let text = bench.ok(&["compare", "a.safetensors", "b.safetensors"]);
    assert!(
        text.contains("0.8000") && text.contains("all  0.7667"),
        "{text}"
    );

    // Two levels of four frames, as in the first file.
    let fewer = [0, 1, 2, 3, 5, 6, 7, 8, 15, 16, 17, 18, 20, 21, 22, 99];
    codes(&bench, "c.safetensors", [2, 2, 4], fewer.to_vec());
    let report = bench.json(&["compare", "a.safetensors", "c.safetensors"]);
    assert_eq!(report["levels"], serde_json::json!([1.0, 0.875]));
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("first 2 levels") && notes.contains("first 4 frames"),
        "{notes}"
    );
}

#[test]
fn compare_refuses_what_does_not_go_together() {
    let bench = Bench::new();
    bench.recording("a.wav", 401, RATE);
    codes(&bench, "two.safetensors", [2, 3, 5], (0..30).collect());
    codes(&bench, "one.safetensors", [1, 3, 5], (0..15).collect());
    codes(&bench, "none.safetensors", [2, 0, 5], vec![]);
    for (args, status, word) in [
        (["compare", "a.wav", "two.safetensors"], 2, "one of each"),
        (["compare", "one.safetensors", "two.safetensors"], 1, "rows"),
        (
            ["compare", "none.safetensors", "two.safetensors"],
            1,
            "codes is empty",
        ),
        (["compare", "a.wav", "missing.wav"], 1, "no such file"),
    ] {
        let (code, error) = bench.fails(&args);
        assert_eq!(code, status, "{args:?}: {error}");
        assert!(error.contains(word), "{args:?}: {error}");
    }
}
