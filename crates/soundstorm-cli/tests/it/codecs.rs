//! Folders of codecs as they lie on the hub, through the program (soundstorm-codec's fixtures).

use std::{collections::BTreeMap, fs, path::Path};

use soundstorm_hub::{CodesFile, SafetensorsSource, TensorSource, write_safetensors};

use crate::support::Bench;

/// Makes the folder `name` of a fixture's state dict and configuration.
pub(crate) fn hub_folder(bench: &Bench, codec: &str, name: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../soundstorm-codec/tests/fixtures");
    let file = fixtures.join(codec).join(name);
    let tensors = SafetensorsSource::open(file.with_extension("safetensors")).unwrap();
    let folder = bench.path(name);
    fs::create_dir(&folder).unwrap();
    fs::copy(file.with_extension("json"), folder.join("config.json")).unwrap();
    let state = tensors.tensors().iter().filter_map(|(name, info)| {
        let state = name.strip_prefix("state.")?;
        Some((state.to_owned(), info.clone()))
    });
    let planned: Vec<_> = state.collect();
    let path = folder.join("model.safetensors");
    write_safetensors(path, &BTreeMap::new(), &planned, |name| {
        tensors.read_bytes(&format!("state.{name}"))
    })
    .unwrap();
}

/// Mono audio goes into both channels, and chunks come back at their loudness.
#[test]
fn every_codec_of_the_hub_goes_there_and_back() {
    let bench = Bench::new();
    for (codec, name, channels, scaled) in [
        ("encodec", "mono", 1, false),
        ("encodec", "stereo", 2, true),
        ("dac", "even", 1, false),
        ("mimi", "window", 1, false),
    ] {
        hub_folder(&bench, codec, name);
        let info = bench.json(&["info", name]);
        let rate = info["config"]["sample_rate"].as_u64().unwrap() as u32;
        let samples = 997;
        bench.recording("in.wav", samples, rate);
        bench.ok(&["encode", "in.wav", "--codec", name, "-o", "c.safetensors"]);
        let file = CodesFile::read(bench.path("c.safetensors")).unwrap();
        assert_eq!(file.scales.is_some(), scaled, "{name}");
        bench.ok(&["decode", "c.safetensors", "--codec", name, "-o", "out.wav"]);
        let audio = soundstorm_audio::read(bench.path("out.wav"), &Default::default()).unwrap();
        assert_eq!(
            (audio.frames(), audio.channels.len(), audio.sample_rate),
            (samples, channels, rate),
            "{name}"
        );
    }

    // Scales in the file are heard.
    bench.ok(&[
        "encode",
        "in.wav",
        "--codec",
        "stereo",
        "-o",
        "s.safetensors",
    ]);
    let scaled = CodesFile::read(bench.path("s.safetensors")).unwrap();
    let unscaled = CodesFile {
        scales: None,
        ..scaled
    };
    unscaled.write(bench.path("u.safetensors")).unwrap();
    for codes in ["s", "u"] {
        let (from, to) = (format!("{codes}.safetensors"), format!("{codes}.wav"));
        bench.ok(&["decode", &from, "--codec", "stereo", "-o", &to]);
    }
    assert_ne!(
        fs::read(bench.path("s.wav")).unwrap(),
        fs::read(bench.path("u.wav")).unwrap()
    );
}

#[test]
fn a_bandwidth_stands_for_levels() {
    let bench = Bench::new();
    hub_folder(&bench, "encodec", "mono");
    hub_folder(&bench, "dac", "even");
    bench.recording("in.wav", 997, 16_000);
    let encode = |codec, kbps| {
        let args = ["encode", "in.wav", "--codec", codec, "-o", "c.safetensors"];
        [&args[..], &["--bandwidth", kbps]].concat()
    };
    // The fixture's: 2.4, 5, 7.2 and 13.4 kbps.
    bench.ok(&encode("mono", "5"));
    let (fewer, _) = bench.codes("c.safetensors");
    bench.ok(&encode("mono", "13.4"));
    let (all, _) = bench.codes("c.safetensors");
    assert!(0 < fewer[1] && fewer[1] < all[1], "{fewer:?} {all:?}");
    let (status, error) = bench.fails(&encode("mono", "6"));
    assert!(status == 1 && error.contains("7.2"), "{error}");
    let (status, error) = bench.fails(&encode("even", "6"));
    assert!(status == 2 && error.contains("--levels"), "{error}");
}
