//! Damaged input: an error that says what is wrong, never a panic, never a shorter result.

use soundstorm_audio::{Audio, AudioError, Limits, Result, read};

use crate::support::{decode, fixture, wav16};

fn kind<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(AudioError::NotFound { .. }) => "not found",
        Err(AudioError::Io { .. }) => "io",
        Err(AudioError::Malformed { .. }) => "malformed",
        Err(AudioError::Truncated { .. }) => "truncated",
        Err(AudioError::Unsupported { .. }) => "unsupported",
        Err(AudioError::OverLimit { .. }) => "over limit",
        Err(AudioError::Empty { .. }) => "empty",
        Err(AudioError::Decoder { .. }) => "decoder",
        Err(_) => "other",
    }
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let samples: Vec<i16> = (0..997).map(|i| (i * 31 % 2003) as i16).collect();
    let mut files = vec![("tone.wav", wav16(16_000, &samples))];
    for name in ["tone.flac", "tone.mp3", "tone-no-header.mp3", "tone.ogg"] {
        files.push((name, fixture(name)));
    }
    files
}

#[test]
fn a_missing_file_and_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits::default();
    let missing = read(folder.path().join("none.wav"), &limits);
    assert_eq!(kind(&missing), "not found");
    assert!(missing.unwrap_err().to_string().contains("none.wav"));
    assert_eq!(kind(&read(folder.path(), &limits)), "io");
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for (name, bytes) in files() {
        assert_eq!(kind(&decode(bytes.clone())), "ok", "{name}");
        for cut in (1..bytes.len()).filter(|n| n % 97 == 0 || n + 7 > bytes.len() || *n < 61) {
            let result = decode(bytes[..cut].to_vec());
            if name == "tone-no-header.mp3" && cut % 192 == 0 {
                // Cut between two of its frames, it is a shorter file like any other.
                continue;
            }
            assert_ne!(
                kind(&result),
                "ok",
                "{name} cut to {cut} of {}",
                bytes.len()
            );
            assert_ne!(kind(&result), "decoder", "{name} cut to {cut}");
            // Once a frame has been read, what is missing is the end.
            if cut > if name.ends_with("mp3") { 384 } else { 64 } {
                assert_eq!(
                    kind(&result),
                    "truncated",
                    "{name} cut to {cut}: {result:?}"
                );
            }
        }
    }
}

#[test]
fn garbage_is_an_error() {
    let mut state = 7_u32;
    let mut noise = |n: usize| -> Vec<u8> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..n).map(|_| next()).collect()
    };
    assert_eq!(kind(&decode(vec![b'x'; 33])), "unsupported");
    let starts: [&[u8]; 9] = [
        b"",
        b"RIFF",
        b"RIFF\x19\0\0\0WAVE",
        b"RIFF\xFF\xFF\xFF\xFFWAVEfmt ",
        b"fLaC",
        b"fLaC\0\0\0\x22",
        b"OggS",
        b"ID3",
        b"\xFF\xFB\x90\x64",
    ];
    for start in starts {
        for size in [33, 1009, 20_011] {
            let mut bytes = start.to_vec();
            bytes.extend(noise(size - start.len()));
            let result = decode(bytes);
            assert_ne!(kind(&result), "ok", "{start:?} {size}");
            assert_ne!(kind(&result), "decoder", "{start:?} {size}");
        }
    }
}

#[test]
fn a_flipped_byte_is_an_error_or_no_change() {
    // FLAC and Ogg carry checksums, so that nothing wrong comes out; WAV and MP3 do not, so that nothing panics.
    for (name, bytes) in files() {
        let whole: Audio = decode(bytes.clone()).unwrap();
        for at in (0..bytes.len()).step_by(89) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x55;
            let result = decode(flipped);
            assert_ne!(kind(&result), "decoder", "{name} at {at}");
            if let (Ok(audio), true) = (&result, name.ends_with("flac") || name.ends_with("ogg")) {
                assert_eq!(audio, &whole, "{name} at {at}");
            }
        }
    }
}

#[test]
fn flac_samples_are_held_against_the_checksum_in_the_file() {
    let mut bytes = fixture("tone.flac");
    // The MD5 of the samples: the last 16 bytes of the first block, which begins at 8 and is 34 long.
    bytes[8 + 34 - 1] ^= 1;
    assert_eq!(kind(&decode(bytes)), "malformed");
}

#[test]
fn chained_ogg_is_refused_rather_than_cut() {
    let once = fixture("tone.ogg");
    assert_eq!(kind(&decode([once.clone(), once].concat())), "unsupported");
}

#[test]
fn a_riff_file_of_another_kind_is_unsupported() {
    let mut bytes = wav16(16_000, &[1, 2, 3]);
    bytes[8..12].copy_from_slice(b"AVI ");
    assert_eq!(kind(&decode(bytes)), "unsupported");
}
