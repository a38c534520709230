//! Audio to codes and back.

use crate::support::{Bench, CODES, HOP, LEVELS, RATE, folders};

#[test]
fn a_recording_comes_back_with_its_length_and_rate() {
    let bench = Bench::new();
    let (codec, _) = folders();
    // Not a multiple of the hop, and shorter than a second.
    for samples in [1, 29, 30, 4001] {
        bench.recording("in.wav", samples, RATE);
        bench.ok(&[
            "encode",
            "in.wav",
            "--codec",
            codec,
            "-o",
            "codes.safetensors",
        ]);
        let (shape, codes) = bench.codes("codes.safetensors");
        assert_eq!(shape, [1, LEVELS, samples.div_ceil(HOP)]);
        assert!(codes.iter().all(|code| (0..CODES).contains(code)));
        bench.ok(&[
            "decode",
            "codes.safetensors",
            "--codec",
            codec,
            "-o",
            "out.wav",
        ]);
        let out = soundstorm_audio::read(bench.path("out.wav"), &Default::default()).unwrap();
        assert_eq!(
            (out.frames(), out.sample_rate, out.channels.len()),
            (samples, RATE, 1)
        );
    }
}

#[test]
fn other_rates_channels_and_fewer_levels_are_taken() {
    let bench = Bench::new();
    let (codec, _) = folders();
    let mono = bench.recording("mono.wav", 4801, 48_000);
    let mut audio = soundstorm_audio::read(&mono, &Default::default()).unwrap();
    audio.channels.push(audio.channels[0].clone());
    let format = soundstorm_audio::WavFormat::F32;
    soundstorm_audio::write_wav(bench.path("stereo.wav"), &audio, format).unwrap();

    bench.ok(&[
        "encode",
        "mono.wav",
        "--codec",
        codec,
        "-o",
        "mono.safetensors",
    ]);
    bench.ok(&[
        "encode",
        "stereo.wav",
        "--codec",
        codec,
        "-o",
        "stereo.safetensors",
    ]);
    let mono = bench.codes("mono.safetensors");
    assert_eq!(mono, bench.codes("stereo.safetensors"));
    assert_eq!(mono.0[2], 1600usize.div_ceil(HOP));

    bench.ok(&[
        "encode",
        "mono.wav",
        "--codec",
        codec,
        "--levels",
        "2",
        "-o",
        "two.safetensors",
    ]);
    let two = bench.codes("two.safetensors");
    assert_eq!(two.0[1], 2);
    assert_eq!(two.1[..], mono.1[..two.1.len()]);
    bench.ok(&[
        "decode",
        "two.safetensors",
        "--codec",
        codec,
        "-o",
        "two.wav",
    ]);
}

#[test]
fn pipes_work() {
    use std::process::{Command, Stdio};

    let bench = Bench::new();
    let (codec, _) = folders();
    bench.recording("in.wav", 4001, RATE);
    bench.ok(&[
        "encode",
        "in.wav",
        "--codec",
        codec,
        "-o",
        "file.safetensors",
    ]);
    let input = std::fs::File::open(bench.path("in.wav")).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_soundstorm"))
        .args(["encode", "-", "--codec", codec, "--device", "cpu", "-o"])
        .arg(bench.path("pipe.safetensors"))
        .stdin(Stdio::from(input))
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(
        bench.codes("file.safetensors"),
        bench.codes("pipe.safetensors")
    );

    bench.ok(&[
        "decode",
        "file.safetensors",
        "--codec",
        codec,
        "-o",
        "out.wav",
    ]);
    let piped = bench
        .run(&["decode", "file.safetensors", "--codec", codec, "-o", "-"])
        .stdout;
    assert_eq!(piped, std::fs::read(bench.path("out.wav")).unwrap());
}
