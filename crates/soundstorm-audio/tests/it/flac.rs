//! Written FLAC files come back bit for bit through an independent decoder, which checks their MD5 as well.

use soundstorm_audio::{
    Audio, AudioError, FileFormat, FlacFormat, Limits, WavFormat, file_bytes, flac_bytes, read,
    wav_bytes, write,
};

use crate::support::{decode, names, sine};

/// Samples as integers of a number of bits, from -2^(bits - 1).
fn audio(rate: u32, bits: u32, channels: Vec<Vec<i32>>) -> Audio {
    let full = f64::from(1_u32 << (bits - 1));
    let scaled = |channel: Vec<i32>| -> Vec<f32> {
        channel
            .into_iter()
            .map(|value| (f64::from(value) / full) as f32)
            .collect()
    };
    Audio::new(rate, channels.into_iter().map(scaled).collect()).unwrap()
}

/// A repeatable mixture of loud noise, quiet noise, silence and a wave, of all sorts of blocks.
fn mixture(samples: usize, bits: u32, seed: i64) -> Vec<i32> {
    let full = 1_i64 << (bits - 1);
    let mut state = seed;
    (0..samples as i64)
        .map(|i| {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            let noise = (state >> 5) % (2 * full) - full;
            let value = match i / 997 % 5 {
                0 => noise,
                1 => noise / 300,
                2 => 0,
                3 => ((i as f64 * 0.05).sin() * full as f64 * 0.9) as i64,
                _ => noise / 4096 * 4096,
            };
            value as i32
        })
        .collect()
}

#[track_caller]
fn comes_back(audio: &Audio, format: FlacFormat) -> Vec<u8> {
    let bytes = flac_bytes(audio, format).unwrap();
    assert_eq!(&decode(bytes.clone()).unwrap(), audio);
    bytes
}

#[test]
fn every_16_bit_value_comes_back() {
    let all = (i32::from(i16::MIN)..=i16::MAX.into()).collect();
    let bytes = comes_back(&audio(22_050, 16, vec![all]), FlacFormat::Pcm16);
    // A ramp is predicted: a bit for each sample, and 17 frames with their headers and first samples.
    let most = 65_536 / 8 + 17 * 20;
    assert!(bytes.len() < most, "{}", bytes.len());
}

#[test]
fn lengths_around_a_block_come_back() {
    for samples in [
        1, 2, 3, 4, 5, 7, 15, 16, 17, 101, 4095, 4096, 4097, 4101, 8191, 8192, 12_289,
    ] {
        for (bits, format) in [(16, FlacFormat::Pcm16), (24, FlacFormat::Pcm24)] {
            comes_back(
                &audio(16_000, bits, vec![mixture(samples, bits, 7)]),
                format,
            );
        }
    }
}

#[test]
fn channels_come_back() {
    for count in 1..=8 {
        for (bits, format) in [(16, FlacFormat::Pcm16), (24, FlacFormat::Pcm24)] {
            let channels = (0..count).map(|seed| mixture(9001, bits, seed)).collect();
            comes_back(&audio(48_000, bits, channels), format);
        }
    }
}

#[test]
fn channels_that_resemble_each_other_come_back_in_less() {
    for (bits, format) in [(16, FlacFormat::Pcm16), (24, FlacFormat::Pcm24)] {
        let left: Vec<i32> = mixture(9001, bits, 3).iter().map(|v| v / 2).collect();
        let faint = mixture(9001, bits, 5);
        let right: Vec<i32> = left.iter().zip(&faint).map(|(l, f)| l + f / 5000).collect();
        let alone = comes_back(&audio(48_000, bits, vec![left.clone()]), format).len();
        for pair in [vec![left.clone(), right.clone()], vec![right, left.clone()]] {
            let both = comes_back(&audio(48_000, bits, pair), format).len();
            assert!(both < alone * 5 / 3, "{both} and {alone}");
        }
        // The greatest difference that there is.
        let full = 1 << (bits - 1);
        let square = |sign: i32| -> Vec<i32> {
            let level = |i: usize| if i % 100 < 50 { -full } else { full - 1 };
            (0..5001)
                .map(|i| if sign > 0 { level(i) } else { -1 - level(i) })
                .collect()
        };
        comes_back(&audio(48_000, bits, vec![square(1), square(-1)]), format);
    }
}

#[test]
fn rates_come_back() {
    // With a code of their own, in the frame's header, and in the file's header alone.
    for rate in [
        8_000, 16_000, 24_000, 44_100, 96_000, 192_000, 1_000, 11_027, 65_535, 65_537, 655_350,
    ] {
        comes_back(
            &audio(rate, 16, vec![mixture(5000, 16, 11)]),
            FlacFormat::Pcm16,
        );
    }
}

#[test]
fn many_frames_come_back() {
    // Numbers of one, two and three bytes: 2048 blocks and more.
    let wave = sine(16_000, 2050 * 4096 + 7, 50.0, 0.001);
    let samples = wave
        .iter()
        .map(|s| (s * 32_768.0).round() / 32_768.0)
        .collect();
    comes_back(&Audio::from_mono(16_000, samples), FlacFormat::Pcm16);
}

#[test]
fn the_same_samples_as_in_wav() {
    // Clipped and rounded, never normalised.
    let audio = Audio::from_mono(24_000, vec![0.25, 3.0, -3.0, 0.3, -0.7, 1e-9, 1.0]);
    for (flac, wav) in [
        (FlacFormat::Pcm16, WavFormat::Pcm16),
        (FlacFormat::Pcm24, WavFormat::Pcm24),
    ] {
        let flac = decode(flac_bytes(&audio, flac).unwrap()).unwrap();
        assert_eq!(flac, decode(wav_bytes(&audio, wav).unwrap()).unwrap());
        assert_eq!(flac.channels[0][..1], [0.25]);
        assert_eq!(flac.channels[0][2], -1.0);
    }
}

#[test]
fn it_is_smaller_than_wav_and_silence_is_nothing() {
    let wave = Audio::from_mono(16_000, sine(16_000, 48_000, 200.0, 0.3));
    let wav = wav_bytes(&wave, WavFormat::Pcm16).unwrap().len();
    let flac = flac_bytes(&wave, FlacFormat::Pcm16).unwrap().len();
    assert!(flac < wav / 2, "{flac} and {wav}");
    let silence = Audio::from_mono(16_000, vec![0.0; 48_000]);
    assert!(flac_bytes(&silence, FlacFormat::Pcm16).unwrap().len() < 250);
    // Noise takes a little more than as it is.
    let noise = audio(
        16_000,
        16,
        vec![
            (0..40_000_i64)
                .map(|i| ((i * i * i * 48_271 + i * i * 7_919) % 65_521 - 32_760) as i32)
                .collect(),
        ],
    );
    assert!(flac_bytes(&noise, FlacFormat::Pcm16).unwrap().len() < 80_300);
}

#[test]
fn a_changed_bit_is_found() {
    let bytes = flac_bytes(
        &audio(16_000, 16, vec![mixture(5000, 16, 13)]),
        FlacFormat::Pcm16,
    )
    .unwrap();
    // In the MD5, and in the samples.
    for at in [30, 1000, bytes.len() - 5] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(decode(damaged).is_err(), "{at}");
    }
}

#[test]
fn what_flac_cannot_hold_is_refused() {
    let samples = || vec![0.5_f32; 7];
    for broken in [
        Audio::from_mono(655_351, samples()),
        Audio {
            sample_rate: 16_000,
            channels: vec![samples(); 9],
        },
        Audio {
            sample_rate: 16_000,
            channels: vec![],
        },
        Audio::from_mono(0, samples()),
        Audio::from_mono(16_000, vec![]),
        Audio::from_mono(16_000, vec![0.0, f32::NAN]),
    ] {
        let error = flac_bytes(&broken, FlacFormat::Pcm16).unwrap_err();
        assert!(
            matches!(
                error,
                AudioError::Invalid {
                    operation: "write FLAC",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn the_ending_chooses_and_the_file_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let audio = audio(16_000, 16, vec![mixture(5000, 16, 17)]);
    for (name, magic) in [("a.flac", b"fLaC"), ("a.wav", b"RIFF")] {
        let path = folder.path().join(name);
        std::fs::write(&path, b"old").unwrap();
        let format = FileFormat::of_path(&path).unwrap();
        write(&path, &audio, format).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.starts_with(magic));
        assert_eq!(bytes, file_bytes(&audio, format).unwrap());
        assert_eq!(read(&path, &Limits::default()).unwrap(), audio);
        // A refused write leaves it.
        let nan = Audio::from_mono(16_000, vec![f32::NAN]);
        assert!(write(&path, &nan, format).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    assert_eq!(names(folder.path()), ["a.flac", "a.wav"]);
}

/// Bytes 12 to 17: the smallest and the largest frame.
#[test]
fn the_header_tells_how_large_frames_are() {
    const HEADER: usize = 42;
    let sizes = |samples: Vec<i32>| {
        let bytes = flac_bytes(&audio(16_000, 16, vec![samples]), FlacFormat::Pcm16).unwrap();
        let number = |at: usize| {
            let bytes = bytes[at..at + 3].iter();
            bytes.fold(0, |number, &byte| number << 8 | usize::from(byte))
        };
        (number(12), number(15), bytes.len() - HEADER)
    };
    let loud = mixture(4096, 16, 7);
    let (least, most, one) = sizes(loud.clone());
    assert_eq!((least, most), (one, one));
    let (least, most, both) = sizes([loud, vec![0; 4096]].concat());
    assert_eq!((least, most), (both - one, one));
    assert!(least < most);
}
