//! Measures against other programs (`xtask/fixtures/metrics.py`), and what must hold of them.

use serde::Deserialize;
use soundstorm_audio::metrics::{
    MelScale, MetricError, StftScale, mel_distance, si_sdr, stft_distance,
};

#[derive(Deserialize)]
struct Golden {
    samples: i64,
    sample_rate: u32,
    si_sdr: f64,
    spectral_convergence: f64,
    log_magnitude: f64,
    mel: f64,
}

/// The script's signals: every sample is a fraction that single precision holds.
fn signals(samples: i64) -> (Vec<f32>, Vec<f32>) {
    (0..samples)
        .map(|i| {
            let wave = (i * 37 % 256 - 128) * (i % 1009);
            let reference = (wave + (i * i * 31 + i * 7) % 4099 - 2049) as f64 / 262_144.0;
            let noise = ((i * i * i % 509 * 13 + i * 5) % 1021 - 510) as f64 / 65_536.0;
            (reference as f32, (0.75 * reference + noise) as f32)
        })
        .unzip()
}

type Measure = dyn Fn(&[f32], &[f32]) -> Result<f64, MetricError>;

#[track_caller]
fn assert_close(got: f64, expect: f64, what: &str) {
    assert!(
        (got - expect).abs() <= 1e-9 * expect.abs(),
        "{what}: {got}, not {expect}"
    );
}

#[test]
fn other_programs_find_the_same() {
    let text = include_str!("../golden/metrics.json");
    let cases: Vec<Golden> = serde_json::from_str(text).unwrap();
    assert!(cases.len() > 2);
    for case in cases {
        let (reference, estimate) = signals(case.samples);
        let ratio = si_sdr(&reference, &estimate).unwrap();
        assert_close(ratio, case.si_sdr, "SI-SDR");
        let stft = stft_distance(&reference, &estimate, &StftScale::PAPER).unwrap();
        assert_close(
            stft.spectral_convergence,
            case.spectral_convergence,
            "convergence",
        );
        assert_close(stft.log_magnitude, case.log_magnitude, "log magnitude");
        let mel = mel_distance(&reference, &estimate, case.sample_rate, &MelScale::PAPER).unwrap();
        assert_close(mel, case.mel, "mel");
    }
}

#[test]
fn scale_leaves_si_sdr_alone() {
    let (reference, estimate) = signals(997);
    let expect = si_sdr(&reference, &estimate).unwrap();
    for factor in [0.3_f32, -1.7, 1e-3] {
        let scaled = |signal: &[f32]| -> Vec<f32> { signal.iter().map(|s| s * factor).collect() };
        let other = si_sdr(&reference, &scaled(&estimate)).unwrap();
        assert!((other - expect).abs() < 1e-5, "{factor}");
        let other = si_sdr(&scaled(&reference), &estimate).unwrap();
        assert!((other - expect).abs() < 1e-5, "{factor}");
    }
}

#[test]
fn a_known_noise_has_a_known_ratio() {
    // A tenth of an orthogonal signal: 20 dB.
    let reference: Vec<f32> = (0..1000).map(|i| [1.0, 0.0, -1.0, 0.0][i % 4]).collect();
    let estimate: Vec<f32> = (0..1000).map(|i| [1.0, 0.1, -1.0, -0.1][i % 4]).collect();
    assert!((si_sdr(&reference, &estimate).unwrap() - 20.0).abs() < 1e-6);
}

#[test]
fn the_same_signal_is_no_distance_away() {
    // Shorter than a hop, than a window, than a transform; and silence.
    for samples in [1, 2, 37, 499, 3001] {
        for signal in [signals(samples).0, vec![0.0; samples as usize]] {
            let stft = stft_distance(&signal, &signal, &StftScale::PAPER).unwrap();
            assert_eq!((stft.total(), stft.log_magnitude), (0.0, 0.0));
            let mel = mel_distance(&signal, &signal, 16_000, &MelScale::PAPER);
            assert_eq!(mel, Ok(0.0));
        }
    }
    let signal = signals(499).0;
    assert_eq!(si_sdr(&signal, &signal), Ok(f64::INFINITY));
}

#[test]
fn logarithmic_distances_are_symmetric_and_convergence_is_not() {
    let (reference, estimate) = signals(2003);
    let there = stft_distance(&reference, &estimate, &StftScale::PAPER).unwrap();
    let back = stft_distance(&estimate, &reference, &StftScale::PAPER).unwrap();
    assert_close(there.log_magnitude, back.log_magnitude, "log magnitude");
    assert!((there.spectral_convergence - back.spectral_convergence).abs() > 1e-3);
    assert_eq!(
        there.total(),
        there.spectral_convergence + there.log_magnitude
    );
    let mel = |a: &[f32], b: &[f32]| mel_distance(a, b, 16_000, &MelScale::PAPER).unwrap();
    assert_close(
        mel(&reference, &estimate),
        mel(&estimate, &reference),
        "mel",
    );
}

#[test]
fn half_the_level_is_a_known_distance() {
    // Far above the floors: half of the reference, and the logarithms of 2.
    let noise: Vec<f32> = signals(4001).1.iter().map(|s| 32_768.0 * s).collect();
    let half: Vec<f32> = noise.iter().map(|s| 0.5 * s).collect();
    let stft = stft_distance(&noise, &half, &StftScale::PAPER).unwrap();
    assert_close(stft.spectral_convergence, 0.5, "convergence");
    assert_close(stft.log_magnitude, 2.0_f64.ln(), "log magnitude");
    let scales = [
        MelScale::new(64, 5),
        MelScale::new(128, 7),
        MelScale::new(512, 11),
    ];
    let mel = mel_distance(&noise, &half, 16_000, &scales).unwrap();
    assert_close(mel, 3.0 * 2.0_f64.log10(), "mel");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let stft = |a: &[f32], b: &[f32]| stft_distance(a, b, &StftScale::PAPER).map(|d| d.total());
    let mel = |a: &[f32], b: &[f32]| mel_distance(a, b, 16_000, &MelScale::PAPER);
    let measures: [&Measure; 3] = [&si_sdr, &stft, &mel];
    for measure in measures {
        assert!(matches!(
            measure(&[0.5; 7], &[0.5; 5]),
            Err(MetricError::Length {
                expected: 7,
                got: 5,
                ..
            })
        ));
        assert!(matches!(measure(&[], &[]), Err(MetricError::Empty { .. })));
        assert!(matches!(
            measure(&[0.5, f32::NAN], &[0.5; 2]),
            Err(MetricError::NonFinite {
                signal: "reference",
                index: 1,
                ..
            })
        ));
        assert!(matches!(
            measure(&[0.5; 2], &[f32::INFINITY, 0.5]),
            Err(MetricError::NonFinite {
                signal: "estimate",
                index: 0,
                ..
            })
        ));
    }
    let signal = [0.5; 7];
    for scale in [(0, 0, 1), (8, 0, 2), (8, 8, 0), (8, 9, 2)] {
        let scale = StftScale::new(scale.0, scale.1, scale.2);
        let error = stft_distance(&signal, &signal, &[scale]).unwrap_err();
        assert!(matches!(error, MetricError::Scale { .. }), "{scale:?}");
    }
    for (rate, scale) in [
        (0, (8, 2)),
        (16_000, (8, 0)),
        (16_000, (3, 2)),
        (16_000, (0, 2)),
    ] {
        let scale = MelScale::new(scale.0, scale.1);
        let error = mel_distance(&signal, &signal, rate, &[scale]).unwrap_err();
        assert!(matches!(error, MetricError::Scale { .. }), "{scale:?}");
    }
    assert!(stft_distance(&signal, &signal, &[]).is_err());
    assert!(mel_distance(&signal, &signal, 16_000, &[]).is_err());
}
