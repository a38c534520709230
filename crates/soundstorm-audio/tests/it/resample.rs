//! Resampling keeps frequency, level and phase, suppresses aliases, and returns exactly the length it should.

use soundstorm_audio::{Audio, AudioError};

use crate::support::{fit, largest_difference, sine};

const RATES: [(u32, u32); 9] = [
    (48_000, 16_000),
    (16_000, 48_000),
    (44_100, 16_000),
    (44_100, 48_000),
    (48_000, 44_100),
    (16_000, 24_000),
    (24_000, 16_000),
    (22_050, 16_000),
    (11_027, 16_001),
];

fn resample(samples: Vec<f32>, from: u32, to: u32) -> Vec<f32> {
    let audio = Audio::from_mono(from, samples).resample(to).unwrap();
    assert_eq!(audio.sample_rate, to);
    audio.channels.into_iter().next().unwrap()
}

#[test]
fn sines_keep_frequency_level_and_phase() {
    for (from, to) in RATES {
        for fraction in [0.01, 0.11, 0.5, 0.83, 0.93] {
            let hz = (fraction * f64::from(from.min(to)) / 2.0).round();
            let seconds = 4;
            let input = sine(from, seconds * from as usize, hz, 0.5);
            let output = resample(input, from, to);
            let expect = sine(to, seconds * to as usize, hz, 0.5);
            // The ends meet the silence outside, half a filter deep: a second for rates without a common divisor.
            let middle = to as usize..(seconds - 1) * to as usize;
            let worst = largest_difference(&output[middle.clone()], &expect[middle]);
            assert!(worst < 2e-6, "{hz} Hz, {from} to {to}: {worst}");
        }
    }
}

#[test]
fn what_the_new_rate_cannot_hold_is_suppressed() {
    for (from, to) in RATES.into_iter().filter(|(from, to)| from > to) {
        let (nyquist, top) = (f64::from(to) / 2.0, f64::from(from) / 2.0);
        for hz in [nyquist * 1.02, (nyquist + top) / 2.0, top * 0.97] {
            if hz <= nyquist * 1.01 {
                continue;
            }
            let output = resample(sine(from, from as usize, hz, 1.0), from, to);
            let edge = to as usize / 4;
            let loudest = output[edge..to as usize - edge]
                .iter()
                .fold(0.0_f32, |m, s| m.max(s.abs()));
            assert!(loudest < 1e-4, "{hz} Hz, {from} to {to}: {loudest}");
        }
    }
}

#[test]
fn no_images_appear_above_the_old_band() {
    let output = resample(sine(16_000, 16_000, 5_000.0, 1.0), 16_000, 48_000);
    let middle = &output[12_000..36_000];
    for image in [11_000.0, 21_000.0] {
        assert!(fit(middle, 48_000, image).0 < 1e-5);
    }
}

#[test]
fn lengths_are_exact() {
    for (from, to) in RATES {
        for frames in [
            0_usize, 1, 2, 3, 5, 7, 13, 101, 1009, 2047, 2053, 6151, 40_009,
        ] {
            let expect = (frames as f64 * f64::from(to) / f64::from(from)).round() as usize;
            let output = resample(vec![0.5; frames], from, to);
            assert_eq!(output.len(), expect, "{frames} from {from} to {to}");
        }
    }
}

#[test]
fn an_impulse_stays_where_it_is() {
    for (from, to, at) in [
        (16_000, 48_000, 1),
        (16_000, 48_000, 997),
        (48_000, 16_000, 2_991),
    ] {
        let mut input = vec![0.0; 6_007];
        input[at] = 1.0;
        let output = resample(input, from, to);
        let peak = (0..output.len()).max_by(|&a, &b| output[a].total_cmp(&output[b]));
        assert_eq!(
            peak,
            Some(at * to as usize / from as usize),
            "{from} to {to}"
        );
    }
}

#[test]
fn channels_are_independent() {
    let (left, right) = (
        sine(24_000, 5_003, 440.0, 0.5),
        sine(24_000, 5_003, 997.0, 0.25),
    );
    let both = Audio::new(24_000, vec![left.clone(), right.clone()])
        .unwrap()
        .resample(16_000)
        .unwrap();
    assert_eq!(
        both.channels,
        [
            resample(left, 24_000, 16_000),
            resample(right, 24_000, 16_000)
        ]
    );
}

#[test]
fn there_and_back() {
    let input = sine(16_000, 16_000, 3_001.0, 0.5);
    let back = resample(resample(input.clone(), 16_000, 44_100), 44_100, 16_000);
    assert!(largest_difference(&back[4_000..12_000], &input[4_000..12_000]) < 1e-4);
    let same = Audio::from_mono(16_000, input);
    assert_eq!(same.resample(16_000).unwrap(), same);
}

#[test]
fn nonsense_is_refused() {
    let cases = [
        (Audio::from_mono(16_000, vec![0.0; 7]), 0),
        (Audio::from_mono(0, vec![0.0; 7]), 16_000),
        (Audio::from_mono(16_000, vec![f32::NAN; 7]), 24_000),
        (
            Audio {
                sample_rate: 16_000,
                channels: vec![vec![0.0; 7], vec![0.0; 5]],
            },
            24_000,
        ),
    ];
    for (audio, rate) in cases {
        let error = audio.resample(rate).unwrap_err();
        assert!(matches!(error, AudioError::Invalid { .. }), "{error}");
    }
}
