//! Voice conversion, end to end.

use crate::support::{Bench, folders};

#[test]
fn the_source_keeps_its_length_and_rate_and_the_seed_its_bytes() {
    let bench = Bench::new();
    let (codec, model) = folders();
    bench.recording("voice.wav", 2500, 16_000);
    for (rate, samples) in [(16_000, 4001), (44_100, 10_007), (8_000, 1)] {
        bench.recording("words.wav", samples, rate);
        let convert = |out: &str, seed: &str| {
            bench.ok(&[
                "convert",
                "--model",
                model,
                "--codec",
                codec,
                "--source",
                "words.wav",
                "--prompt",
                "voice.wav",
                "--steps",
                "3,1",
                "--seed",
                seed,
                "-o",
                out,
            ]);
            std::fs::read(bench.path(out)).unwrap()
        };
        let first = convert("a.wav", "1");
        assert_eq!(first, convert("b.wav", "1"));
        let out = soundstorm_audio::read(bench.path("a.wav"), &Default::default()).unwrap();
        assert_eq!((out.frames(), out.sample_rate), (samples, rate));
        if samples > 1 {
            assert_ne!(first, convert("c.wav", "2"));
        }
    }
}
