//! The spectrogram: mel bands in dB below the loudest.

use super::heat::Heat;
use super::panel::{Content, Panel, Vertical};
use crate::spectrum::{MelBands, Stft, hz_to_mel, mel_to_hz};

/// Bands from 0 Hz to half the sample rate.
const BANDS: usize = 128;
/// A window lasts the next power of two above a second's part of so much: 32 to 64 ms at usual rates.
const WINDOWS_A_SECOND: u32 = 31;
/// Bins of the transform from one band's middle to the next, where bands are narrowest.
const FINENESS: f64 = 4.0;
/// Windows to a hop.
const OVERLAP: usize = 4;
/// What is drawn from black to white.
const RANGE_DB: f64 = 80.0;
/// Frequencies on the axis, where they are.
const MARKS_HZ: [u32; 9] = [0, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000];

/// The panel of one channel, for a picture so many pixels wide.
pub(super) fn panel(samples: &[f32], rate: u32, width: u32) -> Panel {
    let nyquist = f64::from(rate) / 2.0;
    let marks = MARKS_HZ
        .into_iter()
        .filter(|&hz| f64::from(hz) <= nyquist)
        .map(|hz| (hz_to_mel(hz.into()), format!("{hz} Hz")))
        .collect();
    Panel {
        end: samples.len() as f64 / f64::from(rate),
        unit: " s",
        vertical: Vertical {
            low: 0.0,
            high: hz_to_mel(nyquist),
            marks,
        },
        content: Content::Heat(decibels(powers(samples, rate, width as usize))),
    }
}

/// The mean power of each band in each column, `[columns][bands]`; as many columns as there are frames, if fewer.
fn powers(samples: &[f32], rate: u32, width: usize) -> Vec<Vec<f64>> {
    let window = (rate / WINDOWS_A_SECOND).max(2).next_power_of_two() as usize;
    let narrowest = mel_to_hz(hz_to_mel(f64::from(rate) / 2.0) / (BANDS + 1) as f64);
    let fft = (FINENESS * f64::from(rate) / narrowest) as usize;
    let fft = fft.max(window).next_power_of_two();
    let mut stft = Stft::new(fft, window, (window / OVERLAP).max(1));
    let mel = MelBands::new(BANDS, fft, rate);
    let frames = stft.frames(samples.len());
    let columns = width.min(frames);
    let mut bins = Vec::with_capacity(stft.bins());
    (0..columns)
        .map(|column| {
            let range = column * frames / columns..(column + 1) * frames / columns;
            let count = range.len() as f64;
            let mut mean = vec![0.0; BANDS];
            for frame in range {
                bins.clear();
                bins.extend(stft.powers(samples, frame));
                for (mean, power) in mean.iter_mut().zip(mel.sums(&bins)) {
                    *mean += power / count;
                }
            }
            mean
        })
        .collect()
}

/// Powers as shares of the range below the greatest; all zero where there is silence.
fn decibels(powers: Vec<Vec<f64>>) -> Heat {
    let most = powers.iter().flatten().copied().fold(0.0, f64::max);
    let share = |power: f64| {
        if most == 0.0 {
            return 0.0;
        }
        let below = -10.0 * (power / most).log10();
        (1.0 - below / RANGE_DB).max(0.0) as f32
    };
    let columns = powers
        .into_iter()
        .map(|bands| bands.into_iter().map(share).collect())
        .collect();
    Heat { columns }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn heat(samples: &[f32], rate: u32, width: u32) -> Vec<Vec<f32>> {
        match panel(samples, rate, width).content {
            Content::Heat(heat) => heat.columns,
            Content::Lines(_) => panic!("a spectrogram has no line"),
        }
    }

    #[test]
    fn a_tone_is_brightest_in_its_band() {
        for (rate, hz) in [
            (16_000, 440.0),
            (16_000, 5000.0),
            (44_100, 12_000.0),
            (1000, 300.0),
        ] {
            let samples: Vec<f32> = (0..rate)
                .map(|i| (0.1 * (TAU * hz * f64::from(i) / f64::from(rate)).sin()) as f32)
                .collect();
            let columns = heat(&samples, rate, 20);
            assert_eq!(columns.len(), 20);
            let middle = &columns[10];
            assert_eq!(middle.len(), BANDS);
            let most = (0..BANDS).max_by(|a, b| middle[*a].total_cmp(&middle[*b]));
            let expect =
                hz_to_mel(hz) / hz_to_mel(f64::from(rate) / 2.0) * (BANDS + 1) as f64 - 1.0;
            let off = most.map(|most| (most as f64 - expect).abs());
            assert!(
                off.is_some_and(|off| off <= 1.0),
                "{rate} {hz}: {most:?}, {expect}"
            );
            assert!(middle[most.unwrap_or(0)] > 0.95);
        }
    }

    #[test]
    fn time_goes_to_the_right_and_silence_is_black() {
        let mut samples = vec![0.0_f32; 16_000];
        for (i, sample) in samples.iter_mut().enumerate().skip(12_000) {
            *sample = (i as f32).sin();
        }
        let columns = heat(&samples, 16_000, 8);
        assert!(columns[2].iter().all(|&value| value == 0.0));
        assert!(columns[7].iter().any(|&value| value > 0.9));
        assert!(
            heat(&[0.0; 50], 16_000, 8)
                .iter()
                .flatten()
                .all(|&value| value == 0.0)
        );
    }

    #[test]
    fn the_axis_ends_at_half_the_rate() {
        let vertical = panel(&[0.5], 16_000, 300).vertical;
        assert_eq!(vertical.high, hz_to_mel(8000.0));
        assert_eq!(
            vertical.marks.last(),
            Some(&(hz_to_mel(8000.0), "8000 Hz".to_owned()))
        );
    }
}
