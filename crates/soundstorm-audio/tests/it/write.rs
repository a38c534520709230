//! Written WAV files: what was read comes back, whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use soundstorm_audio::{
    Audio, AudioError, Limits, WavFormat, read, wav_bytes, write_wav, write_wav_to,
};

use crate::support::{decode, names, wav16};

#[test]
fn sixteen_bits_come_back_bit_for_bit() {
    let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    let bytes = wav16(22_050, &samples);
    let audio = decode(bytes.clone()).unwrap();
    assert_eq!(wav_bytes(&audio, WavFormat::Pcm16).unwrap(), bytes);
}

#[test]
fn twenty_four_bits_come_back_bit_for_bit() {
    let samples: Vec<f32> = (-8_388_608..8_388_608_i32)
        .step_by(127)
        .chain([8_388_607])
        .map(|value| value as f32 / 8_388_608.0)
        .collect();
    let audio = Audio::new(22_050, vec![samples.clone(), samples]).unwrap();
    let back = decode(wav_bytes(&audio, WavFormat::Pcm24).unwrap()).unwrap();
    assert_eq!(back, audio);
}

#[test]
fn floats_come_back_as_they_were() {
    let channels = vec![vec![0.1, -2.5, 1e-20, 1.0], vec![0.3, 0.7, -0.9, 7.0]];
    let audio = Audio::new(24_000, channels).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.wav");
    write_wav(&path, &audio, WavFormat::F32).unwrap();
    assert_eq!(read(&path, &Limits::default()).unwrap(), audio);
}

#[test]
fn clipped_never_normalised() {
    let audio = Audio::from_mono(24_000, vec![0.25, 3.0, -3.0, -0.25]);
    let back = decode(wav_bytes(&audio, WavFormat::Pcm16).unwrap()).unwrap();
    assert_eq!(back.channels, [[0.25, 32767.0 / 32768.0, -1.0, -0.25]]);
}

#[test]
fn an_existing_file_is_replaced_and_nothing_left_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.wav");
    fs::write(&path, b"old").unwrap();
    let audio = Audio::from_mono(16_000, vec![0.5; 101]);
    write_wav(&path, &audio, WavFormat::Pcm16).unwrap();
    assert_eq!(read(&path, &Limits::default()).unwrap(), audio);
    assert_eq!(names(folder.path()), ["x.wav"]);
}

#[test]
fn a_refused_write_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.wav");
    fs::write(&path, b"old").unwrap();
    let broken = [
        Audio::from_mono(16_000, vec![0.0, f32::NAN]),
        Audio::from_mono(0, vec![0.0]),
        Audio {
            sample_rate: 16_000,
            channels: vec![vec![0.0; 3], vec![0.0; 2]],
        },
        Audio {
            sample_rate: 16_000,
            channels: vec![],
        },
    ];
    for audio in broken {
        for format in [WavFormat::Pcm16, WavFormat::Pcm24, WavFormat::F32] {
            let error = write_wav(&path, &audio, format).unwrap_err();
            assert!(matches!(error, AudioError::Invalid { .. }), "{error}");
        }
    }
    let audio = Audio::from_mono(16_000, vec![0.5; 7]);
    let into_folder = write_wav(folder.path(), &audio, WavFormat::Pcm16);
    assert!(matches!(into_folder, Err(AudioError::Io { .. })));
    let nowhere = write_wav(folder.path().join("no/x.wav"), &audio, WavFormat::Pcm16);
    assert!(matches!(nowhere, Err(AudioError::Io { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["x.wav"]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_devices_written_to() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (
        folder.path().join("target.wav"),
        folder.path().join("link.wav"),
    );
    fs::write(&target, b"old").unwrap();
    symlink(&target, &link).unwrap();
    let audio = Audio::from_mono(16_000, vec![0.5; 7]);
    write_wav(&link, &audio, WavFormat::Pcm16).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read(&target, &Limits::default()).unwrap(), audio);
    // Others may read it, as they may any new file.
    let plain = folder.path().join("plain");
    fs::write(&plain, b"").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&target), mode(&plain));

    write_wav("/dev/null", &audio, WavFormat::Pcm16).unwrap();
    assert!(
        fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );
}

#[test]
fn a_pipe_gets_the_same_bytes_and_its_failure_is_told() {
    let audio = Audio::new(16_000, vec![vec![0.5; 7], vec![-0.5; 7]]).unwrap();
    let mut pipe = Vec::new();
    write_wav_to(&mut pipe, "stdout", &audio, WavFormat::F32).unwrap();
    assert_eq!(pipe, wav_bytes(&audio, WavFormat::F32).unwrap());

    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = write_wav_to(Closed, "stdout", &audio, WavFormat::Pcm16).unwrap_err();
    assert!(error.to_string().contains("stdout"), "{error}");
}
