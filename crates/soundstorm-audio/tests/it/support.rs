//! WAV files by hand, fixtures by name, and what a sine does.

use std::f64::consts::TAU;
use std::path::Path;

use soundstorm_audio::{Audio, Limits, Result, read_bytes};

/// A WAV file: format tag 1 (integers) or 3 (floats), `data` as it stands.
pub(crate) fn wav(tag: u16, bits: u16, rate: u32, channels: u16, data: &[u8]) -> Vec<u8> {
    let block = channels * bits.div_ceil(8);
    let mut out = b"RIFF".to_vec();
    out.extend((36 + data.len() as u32).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend(16_u32.to_le_bytes());
    out.extend(tag.to_le_bytes());
    out.extend(channels.to_le_bytes());
    out.extend(rate.to_le_bytes());
    out.extend((rate * u32::from(block)).to_le_bytes());
    out.extend(block.to_le_bytes());
    out.extend(bits.to_le_bytes());
    out.extend(b"data");
    out.extend((data.len() as u32).to_le_bytes());
    out.extend(data);
    out
}

/// 16-bit mono.
pub(crate) fn wav16(rate: u32, samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    wav(1, 16, rate, 1, &data)
}

/// Reads with the default limits.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<Audio> {
    read_bytes(bytes, "test", &Limits::default())
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

/// What lies in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) fn sine(rate: u32, frames: usize, hz: f64, level: f64) -> Vec<f32> {
    (0..frames)
        .map(|i| (level * (TAU * hz * i as f64 / f64::from(rate)).sin()) as f32)
        .collect()
}

/// Level and phase (radians) of the sine at `hz` that fits best; whole periods make it exact.
pub(crate) fn fit(samples: &[f32], rate: u32, hz: f64) -> (f64, f64) {
    let (mut sin, mut cos) = (0.0, 0.0);
    for (i, &s) in samples.iter().enumerate() {
        let angle = TAU * hz * i as f64 / f64::from(rate);
        sin += f64::from(s) * angle.sin();
        cos += f64::from(s) * angle.cos();
    }
    let scale = 2.0 / samples.len() as f64;
    ((sin.hypot(cos)) * scale, cos.atan2(sin))
}

pub(crate) fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}
