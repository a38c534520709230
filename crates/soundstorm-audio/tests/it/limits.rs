//! Each limit on its own, met exactly and passed by one.

use soundstorm_audio::{AudioError, Limits, Result, read, read_bytes, read_from};

use crate::support::{fixture, wav, wav16};

fn is_over<T>(result: Result<T>, expect: &str) -> bool {
    matches!(result, Err(AudioError::OverLimit { what, .. }) if what.contains(expect))
}

#[test]
fn bytes() {
    let file = wav16(16_000, &[5; 101]);
    let size = file.len() as u64;
    let exact = Limits::default().with_max_bytes(size);
    let below = Limits::default().with_max_bytes(size - 1);
    assert!(read_bytes(file.clone(), "x", &exact).is_ok());
    assert!(is_over(read_bytes(file.clone(), "x", &below), "file"));
    // A reader without an end is not read to it.
    assert!(is_over(read_from(std::io::repeat(0), "x", &below), "file"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.wav");
    std::fs::write(&path, &file).unwrap();
    assert!(read(&path, &exact).is_ok());
    assert!(is_over(read(&path, &below), "file"));
}

#[test]
fn seconds() {
    for name in ["tone.flac", "tone.mp3", "tone-no-header.mp3", "tone.ogg"] {
        let limit = |seconds| Limits::default().with_max_seconds(seconds);
        assert!(
            read_bytes(fixture(name), name, &limit(0.32)).is_ok(),
            "{name}"
        );
        assert!(is_over(
            read_bytes(fixture(name), name, &limit(0.24)),
            "duration"
        ));
    }
    // A FLAC that claims 2^36 - 1 samples is refused by its claim.
    let mut bytes = fixture("tone.flac");
    bytes[21] |= 0x0F;
    bytes[22..26].fill(0xFF);
    assert!(is_over(
        read_bytes(bytes, "x", &Limits::default()),
        "duration"
    ));
}

#[test]
fn channels() {
    let file = wav(1, 16, 16_000, 3, &[0; 30]);
    let limit = |channels| Limits::default().with_max_channels(channels);
    assert!(read_bytes(file.clone(), "x", &limit(3)).is_ok());
    assert!(is_over(read_bytes(file, "x", &limit(2)), "channels"));
}

#[test]
fn sample_rate() {
    let file = wav16(16_000, &[0; 7]);
    let limit = |low, high| Limits::default().with_sample_rates(low, high);
    assert!(read_bytes(file.clone(), "x", &limit(16_000, 16_000)).is_ok());
    assert!(is_over(
        read_bytes(file.clone(), "x", &limit(16_001, 48_000)),
        "rate"
    ));
    assert!(is_over(
        read_bytes(file, "x", &limit(8_000, 15_999)),
        "rate"
    ));
    let nothing = read_bytes(wav16(0, &[0; 7]), "x", &limit(0, 48_000));
    assert!(nothing.is_err());
}
