//! Every width of WAV sample, and headers as real writers leave them.

use soundstorm_audio::{AudioError, Limits, read_from};

use crate::support::{decode, wav, wav16};

#[test]
fn every_width_has_the_same_full_scale() {
    // -1, -0.5, 0, 0.5 and the largest positive value of each width.
    let cases: [(u16, u16, Vec<u8>, f32); 6] = [
        (1, 8, vec![0, 64, 128, 192, 255], 127.0 / 128.0),
        (
            1,
            16,
            [i16::MIN, -16384, 0, 16384, i16::MAX]
                .iter()
                .flat_map(|s| s.to_le_bytes())
                .collect(),
            32767.0 / 32768.0,
        ),
        (
            1,
            24,
            [-8_388_608_i32, -4_194_304, 0, 4_194_304, 8_388_607]
                .iter()
                .flat_map(|s| s.to_le_bytes()[..3].to_vec())
                .collect(),
            8_388_607.0 / 8_388_608.0,
        ),
        (
            1,
            32,
            [i32::MIN, -(1 << 30), 0, 1 << 30, i32::MAX]
                .iter()
                .flat_map(|s| s.to_le_bytes())
                .collect(),
            1.0,
        ),
        (
            3,
            32,
            [-1.0_f32, -0.5, 0.0, 0.5, 1.25]
                .iter()
                .flat_map(|s| s.to_le_bytes())
                .collect(),
            1.25,
        ),
        (
            3,
            64,
            [-1.0_f64, -0.5, 0.0, 0.5, 1.25]
                .iter()
                .flat_map(|s| s.to_le_bytes())
                .collect(),
            1.25,
        ),
    ];
    for (tag, bits, data, top) in cases {
        let audio = decode(wav(tag, bits, 11_027, 1, &data)).unwrap();
        assert_eq!(audio.sample_rate, 11_027);
        assert_eq!(
            audio.channels,
            [[-1.0, -0.5, 0.0, 0.5, top]],
            "{bits} bits, tag {tag}"
        );
    }
}

#[test]
fn channels_are_taken_apart() {
    let data: Vec<u8> = (0..15_i16).flat_map(|i| (i * 1024).to_le_bytes()).collect();
    let audio = decode(wav(1, 16, 8_009, 3, &data)).unwrap();
    assert_eq!((audio.channels.len(), audio.frames()), (3, 5));
    let expect: Vec<f32> = (0..5).map(|i| (3 * i + 2) as f32 / 32.0).collect();
    assert_eq!(audio.channels[2], expect);
}

#[test]
fn lengths_left_open_by_a_pipes_writer_are_settled() {
    let whole = wav16(16_000, &[1, 2, 3, 5, 7]);
    let expect = decode(whole.clone()).unwrap();
    // (outer length, data length): ffmpeg, sox, and one that wrote no outer length.
    for (riff, data) in [
        (u32::MAX, u32::MAX),
        (0x7FFF_F024, 0x7FFF_F000),
        (0, u32::MAX),
    ] {
        let mut open = whole.clone();
        open[4..8].copy_from_slice(&riff.to_le_bytes());
        open[40..44].copy_from_slice(&data.to_le_bytes());
        assert_eq!(decode(open).unwrap(), expect, "{riff:x} {data:x}");
    }
}

#[test]
fn chunks_around_the_data_are_skipped() {
    let plain = wav16(16_000, &[1, 2, 3, 5, 7]);
    let mut bytes = plain[..12].to_vec();
    // An odd length is padded to an even one.
    bytes.extend(b"junk\x03\0\0\0abc\0");
    bytes.extend(&plain[12..]);
    bytes.extend(b"LIST\x04\0\0\0INFO");
    let outer = bytes.len() as u32 - 8;
    bytes[4..8].copy_from_slice(&outer.to_le_bytes());
    assert_eq!(decode(bytes).unwrap(), decode(plain).unwrap());
}

#[test]
fn a_reader_that_gives_one_byte_at_a_time_will_do() {
    struct Trickle(std::vec::IntoIter<u8>);
    impl std::io::Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            Ok(match (self.0.next(), buffer.first_mut()) {
                (Some(byte), Some(slot)) => {
                    *slot = byte;
                    1
                }
                _ => 0,
            })
        }
    }
    let bytes = wav16(16_000, &[1, 2, 3, 5, 7]);
    let audio = read_from(
        Trickle(bytes.clone().into_iter()),
        "pipe",
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(audio, decode(bytes).unwrap());
}

#[test]
fn no_samples_is_empty() {
    for bytes in [vec![], wav16(16_000, &[])] {
        let error = decode(bytes).unwrap_err();
        assert!(matches!(error, AudioError::Empty { .. }), "{error}");
    }
    assert_eq!(decode(wav16(16_000, &[7])).unwrap().frames(), 1);
}

#[test]
fn non_finite_samples_are_found() {
    let mut samples = [0.25_f32; 11];
    samples[7] = f32::NAN;
    samples[9] = f32::INFINITY;
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let bytes = wav(3, 32, 16_000, 1, &data);
    let error = decode(bytes.clone()).unwrap_err();
    assert!(
        matches!(
            error,
            AudioError::NonFinite {
                channel: 0,
                index: 7,
                ..
            }
        ),
        "{error}"
    );
    let lenient = Limits::default().with_non_finite(true);
    let audio = read_from(&bytes[..], "test", &lenient).unwrap();
    assert_eq!(audio.channels[0][9], f32::INFINITY);
}
