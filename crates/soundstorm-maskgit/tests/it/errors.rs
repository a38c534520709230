//! Bad input is an error that says what and where.

use std::error::Error;
use std::fmt;

use burn::tensor::{Int, Tensor};
use soundstorm_maskgit::{DecodeError, DecodeOptions, DecodeRow, OptionsError, Schedule, decode};

use crate::support::{B, Input, run, upload};

#[derive(Debug, PartialEq)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of order")
    }
}

impl Error for Broken {}

const CODEBOOK: usize = 5;

fn rows(frames: &[usize]) -> Vec<DecodeRow> {
    let row = |&frames| DecodeRow { frames, seed: 1 };
    frames.iter().map(row).collect()
}

/// Decodes `[2, 3, 7]` tokens with a network of one logit shape.
fn check(
    tokens: Tensor<B, 3, Int>,
    rows: &[DecodeRow],
    mask_id: usize,
    options: &DecodeOptions,
    logits: [usize; 3],
) -> DecodeError<Broken> {
    let net = |_, _| Ok(Tensor::zeros(logits, &Default::default()));
    decode(tokens, rows, mask_id, options, net, |_| {}).unwrap_err()
}

fn masked() -> Tensor<B, 3, Int> {
    Tensor::full([2, 3, 7], CODEBOOK as i64, &Default::default())
}

#[test]
fn shapes_rows_and_tokens() {
    let options = DecodeOptions::default();
    let fits = [2, 7, CODEBOOK];
    assert_eq!(
        check(masked(), &rows(&[7]), CODEBOOK, &options, fits),
        DecodeError::Rows {
            expected: 2,
            got: 1
        }
    );
    assert_eq!(
        check(masked(), &rows(&[7, 11]), CODEBOOK, &options, fits),
        DecodeError::RowFrames {
            row: 1,
            got: 11,
            limit: 7
        }
    );
    assert_eq!(
        check(masked(), &rows(&[7, 7]), 0, &options, fits),
        DecodeError::MaskId { got: 0 }
    );
    assert_eq!(
        check(masked(), &rows(&[7, 7]), usize::MAX, &options, fits),
        DecodeError::MaskId { got: usize::MAX }
    );
    assert_eq!(
        check(masked(), &rows(&[7, 7]), 3, &options, fits),
        DecodeError::Token {
            row: 0,
            level: 0,
            frame: 0,
            got: 5,
            mask_id: 3
        }
    );
    let mut tokens = vec![vec![vec![5; 7]; 3]; 2];
    tokens[1][2][4] = -1;
    let error = check(upload(&tokens), &rows(&[7, 7]), CODEBOOK, &options, fits);
    assert_eq!(
        error,
        DecodeError::Token {
            row: 1,
            level: 2,
            frame: 4,
            got: -1,
            mask_id: 5
        }
    );
    assert_eq!(
        error.to_string(),
        "decode: expected tokens within 0..=5, got -1 in row 1, level 3, frame 4"
    );
    for got in [[2, 3, 0], [2, 0, 7]] {
        let tokens = Tensor::zeros(got, &Default::default());
        assert_eq!(
            check(tokens, &rows(&[0, 0]), CODEBOOK, &options, fits),
            DecodeError::Empty { got }
        );
    }
}

#[test]
fn logits_of_another_shape() {
    for got in [[2, 7, 3], [2, 3, 5], [1, 7, 5]] {
        let error = check(masked(), &rows(&[7, 7]), 5, &DecodeOptions::default(), got);
        assert_eq!(
            error,
            DecodeError::Logits {
                level: 0,
                step: 1,
                expected: [2, 7, 5],
                got
            }
        );
    }
}

#[test]
fn senseless_options() {
    let refused =
        |options: DecodeOptions| match check(masked(), &rows(&[7, 7]), 5, &options, [2, 7, 5]) {
            DecodeError::Options(error) => error,
            other => panic!("{other}"),
        };
    assert_eq!(
        refused(DecodeOptions {
            steps: vec![16, 0],
            ..Default::default()
        }),
        OptionsError::ZeroSteps { position: 1 }
    );
    assert_eq!(
        refused(DecodeOptions {
            schedule: Schedule::custom(|p| p + 1.0),
            steps: vec![2],
            ..Default::default()
        }),
        OptionsError::Schedule {
            progress: 0.5,
            got: 1.5
        }
    );
    assert_eq!(
        refused(DecodeOptions {
            schedule: Schedule::custom(|p| p * 0.5),
            steps: vec![4],
            ..Default::default()
        }),
        OptionsError::ScheduleRises {
            progress: 0.5,
            before: 0.125,
            got: 0.25
        }
    );
    assert_eq!(
        refused(DecodeOptions {
            top_p: Some(f64::NAN),
            ..Default::default()
        })
        .to_string(),
        "top_p: expected a share within (0, 1], got NaN"
    );
}

#[test]
fn the_networks_own_error_is_the_source() {
    let options = DecodeOptions {
        steps: vec![2, 1],
        ..Default::default()
    };
    let mut calls = 0;
    let net = |tokens: Tensor<B, 3, Int>, _| {
        calls += 1;
        match calls {
            3 => Err(Broken),
            _ => Ok(Tensor::zeros([2, tokens.dims()[2], 5], &Default::default())),
        }
    };
    let error = decode(masked(), &rows(&[7, 7]), 5, &options, net, |_| {}).unwrap_err();
    assert_eq!(
        error,
        DecodeError::Net {
            level: 1,
            step: 1,
            source: Broken
        }
    );
    assert_eq!(
        error.to_string(),
        "decode: the network failed at level 2, step 1"
    );
    assert_eq!(error.source().unwrap().to_string(), "out of order");
}

/// Logits at level 1 (0-based) that go bad once three frames are filled, for the second row.
fn spoiled(tokens: &[Vec<i64>], level: usize, codebook: usize, bad: &[f32]) -> Vec<f32> {
    let frames = tokens[0].len();
    let mut logits = vec![0.25; frames * codebook];
    let filled = tokens[level]
        .iter()
        .filter(|&&t| t < codebook as i64)
        .count();
    if level == 1 && filled >= 3 && frames == 6 {
        // Frame 5 is filled last: equals are kept in order.
        logits[5 * codebook..][..bad.len()].copy_from_slice(bad);
    }
    logits
}

#[test]
fn logits_that_are_no_distribution() {
    let inputs = [7, 6].map(|frames| Input {
        frames,
        ..Input::new(vec![vec![5; 7]; 3], 1)
    });
    let options = |greedy| DecodeOptions {
        steps: vec![1, 6],
        schedule: Schedule::Linear,
        confidence_noise: 0.0,
        greedy,
        ..Default::default()
    };
    for greedy in [false, true] {
        let nan = |t: &[Vec<i64>], l: usize, c: usize| spoiled(t, l, c, &[0.0, f32::NAN]);
        let infinite = |t: &[Vec<i64>], l: usize, c: usize| spoiled(t, l, c, &[f32::INFINITY]);
        let nothing =
            |t: &[Vec<i64>], l: usize, c: usize| spoiled(t, l, c, &[f32::NEG_INFINITY; 5]);
        let (level, step, row) = (1, 4, 1);
        for script in [nan, infinite] {
            let error = run(&inputs, 5, &options(greedy), script).unwrap_err();
            assert_eq!(error, DecodeError::NotFinite { level, step, row });
        }
        let error = run(&inputs, 5, &options(greedy), nothing).unwrap_err();
        assert_eq!(error, DecodeError::NoCode { level, step, row });
        // One code banned is a distribution.
        let banned = |t: &[Vec<i64>], l: usize, c: usize| spoiled(t, l, c, &[f32::NEG_INFINITY]);
        run(&inputs, 5, &options(greedy), banned).unwrap();
    }
}

/// NaN where nothing is to be filled is nobody's business.
#[test]
fn logits_of_filled_frames_may_be_anything() {
    fn script(tokens: &[Vec<i64>], level: usize, codebook: usize) -> Vec<f32> {
        let of_frame = |token: &i64| match *token == codebook as i64 {
            true => vec![0.5; codebook],
            false => vec![f32::NAN; codebook],
        };
        tokens[level].iter().flat_map(of_frame).collect()
    }
    let input = Input::new(vec![vec![5, 1, 5, 5, 2, 5, 5]; 2], 9);
    let (done, _) = run(&[input], 5, &DecodeOptions::default(), script).unwrap();
    assert!(done[0].iter().flatten().all(|&token| token < 5));
}
