//! What a decode draws, over many frames: frequencies of the softmax, filters, types.

use burn::tensor::{DType, Int, Tensor};
use soundstorm_maskgit::{DecodeOptions, DecodeRow, decode};

use crate::support::B;

const CODEBOOK: usize = 7;
const LOGITS: [f32; CODEBOOK] = [0.5, -1.25, 2.0, 0.0, 1.0, -3.0, 1.5];

/// Half of the frames are drawn at the first of two steps; how often each code is among those.
fn histogram(options: &DecodeOptions, frames: usize) -> [f64; CODEBOOK] {
    let device = Default::default();
    let rows = [DecodeRow { frames, seed: 23 }];
    let tokens = Tensor::<B, 3, Int>::full([1, 1, frames], CODEBOOK as i64, &device);
    let mut drawn = Vec::new();
    let net = |tokens: Tensor<B, 3, Int>, _| {
        drawn = tokens.into_data().iter::<i64>().collect();
        let logits = Tensor::<B, 1>::from_data(LOGITS, &device).reshape([1, 1, CODEBOOK]);
        Ok::<_, String>(logits.expand([1, frames, CODEBOOK]))
    };
    decode(tokens, &rows, CODEBOOK, options, net, |_| {}).unwrap();
    let mut counts = [0.0; CODEBOOK];
    for code in drawn.into_iter().filter(|&code| code < CODEBOOK as i64) {
        counts[code as usize] += 1.0;
    }
    counts
}

/// Keeps frames regardless of their confidence, so that what is kept is an unbiased sample: noise
/// far above any confidence.
fn unbiased(temperature: f64, top_k: Option<usize>) -> DecodeOptions {
    DecodeOptions {
        steps: vec![2],
        temperature,
        top_k,
        confidence_noise: 1e6,
        ..Default::default()
    }
}

#[test]
fn frequencies_are_those_of_the_filtered_softmax() {
    // The 99.9 % quantile of chi-square with 6 degrees of freedom is 22.5.
    for (temperature, top_k) in [(1.0, None), (0.6, None), (2.5, None), (1.0, Some(3))] {
        let counts = histogram(&unbiased(temperature, top_k), 3001);
        let total: f64 = counts.iter().sum();
        // floor(3001 * cos(pi/4)) = 2122 stay masked.
        assert_eq!(total, 879.0);
        let mut sorted = LOGITS;
        sorted.sort_by(|a, b| b.total_cmp(a));
        let least = sorted[top_k.unwrap_or(CODEBOOK) - 1];
        let weight = |l: f32| {
            if l < least {
                0.0
            } else {
                (f64::from(l) / temperature).exp()
            }
        };
        let sum: f64 = LOGITS.iter().map(|&l| weight(l)).sum();
        let mut chi_square = 0.0;
        for (code, &logit) in LOGITS.iter().enumerate() {
            let expected = total * weight(logit) / sum;
            if expected == 0.0 {
                assert_eq!(counts[code], 0.0, "{temperature} {top_k:?}");
            } else {
                chi_square += (counts[code] - expected).powi(2) / expected;
            }
        }
        assert!(chi_square < 22.5, "{temperature} {top_k:?}: {chi_square}");
    }
}

#[test]
fn colder_draws_agree_more_with_the_most_likely() {
    let mut last = 0.0;
    for temperature in [3.0, 1.0, 0.3, 0.01] {
        let counts = histogram(&unbiased(temperature, None), 1009);
        let share = counts[2] / counts.iter().sum::<f64>();
        assert!(share > last, "{temperature}: {share}");
        last = share;
    }
    assert_eq!(last, 1.0);
}

#[test]
fn without_noise_only_the_likely_are_kept() {
    let quiet = DecodeOptions {
        confidence_noise: 0.0,
        ..unbiased(1.0, None)
    };
    // Code 2 has a probability of 0.42: enough to fill the first step's 0.29 alone.
    let counts = histogram(&quiet, 1009);
    assert_eq!(counts[2], counts.iter().sum::<f64>());
}

#[test]
fn other_number_types_pass_through() {
    let device = Default::default();
    let rows = [DecodeRow {
        frames: 11,
        seed: 3,
    }];
    let run = |ints: DType, floats: DType| {
        let tokens = Tensor::<B, 3, Int>::full([1, 2, 11], CODEBOOK as i64, &device).cast(ints);
        let net = |_, _| {
            // Exact in bf16.
            let logits = Tensor::<B, 1>::from_data(LOGITS, &device).reshape([1, 1, CODEBOOK]);
            Ok::<_, String>(logits.repeat_dim(1, 11).cast(floats))
        };
        let options = DecodeOptions::default();
        let codes = decode(tokens, &rows, CODEBOOK, &options, net, |_| {}).unwrap();
        assert_eq!(codes.dtype(), ints);
        codes.into_data().iter().collect::<Vec<i64>>()
    };
    let expected = run(DType::I64, DType::F32);
    assert_eq!(run(DType::I32, DType::F32), expected);
    assert_eq!(run(DType::I32, DType::BF16), expected);
    assert_eq!(run(DType::I64, DType::F16), expected);
}
