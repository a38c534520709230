//! The paper's training mask: what always holds, and how often what is drawn.

use burn::tensor::{Int, Tensor};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use soundstorm_maskgit::{RowMask, TrainingMask, TrainingMaskError};

use crate::support::{B, download, upload};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn what_is_hidden_follows_the_paper(
        lengths in prop::collection::vec(1usize..=17, 1..=5),
        levels in 1usize..=5,
        seed: u64,
    ) {
        let (frames, mask_id) = (17, 23);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mask = TrainingMask::draw(&lengths, levels, frames, &mut rng).unwrap();
        prop_assert_eq!(mask.shape(), [lengths.len(), levels, frames]);
        let tokens: Vec<i64> = (0..(lengths.len() * levels * frames) as i64).map(|i| i % 23).collect();
        let masked = mask.apply(&tokens, mask_id).unwrap();
        let counted = mask.counted();
        for (row, &length) in lengths.iter().enumerate() {
            let drawn = &mask.rows()[row];
            prop_assert_eq!(drawn.frames, length);
            prop_assert!(drawn.prompt < length);
            prop_assert_eq!(drawn.level, mask.levels()[row]);
            let counts = &counted[row * frames..][..frames];
            prop_assert!(counts.contains(&true));
            for level in 0..levels {
                for frame in 0..frames {
                    let index = (row * levels + level) * frames + frame;
                    let open = (drawn.prompt..length).contains(&frame);
                    let hidden = match level.cmp(&drawn.level) {
                        std::cmp::Ordering::Less => false,
                        std::cmp::Ordering::Equal => counts[frame],
                        std::cmp::Ordering::Greater => open,
                    };
                    prop_assert!(open || !counts[frame]);
                    prop_assert_eq!(drawn.hides(level, frame), hidden);
                    prop_assert_eq!(mask.hidden()[index], hidden);
                    let expected = if hidden { mask_id as i64 } else { tokens[index] };
                    prop_assert_eq!(masked[index], expected);
                }
            }
        }
    }
}

fn many(length: usize, levels: usize, draws: usize) -> Vec<RowMask> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mask = TrainingMask::draw(&vec![length; draws], levels, length, &mut rng).unwrap();
    mask.rows().to_vec()
}

/// Chi-square of equal chances, less than the 99.9 % quantile given.
fn uniform(values: impl Iterator<Item = usize>, kinds: usize, quantile: f64) {
    let mut counts = vec![0.0; kinds];
    values.for_each(|value| counts[value] += 1.0);
    let expected = counts.iter().sum::<f64>() / kinds as f64;
    let chi_square: f64 = counts
        .iter()
        .map(|c| (c - expected).powi(2) / expected)
        .sum();
    assert!(chi_square < quantile, "{chi_square} {counts:?}");
}

#[test]
fn delimiters_and_levels_are_uniform() {
    let rows = many(11, 7, 10_007);
    uniform(rows.iter().map(|row| row.prompt), 11, 29.6);
    uniform(rows.iter().map(|row| row.level), 7, 22.5);
    // Independent: all pairs are as likely.
    uniform(rows.iter().map(|row| row.prompt * 7 + row.level), 77, 121.0);
}

#[test]
fn ratios_are_cosines_of_a_uniform_angle() {
    let rows = many(3, 1, 10_007);
    let angles = rows
        .iter()
        .map(|row| row.ratio.acos() / std::f64::consts::FRAC_PI_2);
    uniform(angles.map(|angle| (angle * 13.0) as usize), 13, 32.9);
}

#[test]
fn frames_are_masked_with_the_ratio() {
    let rows = many(101, 1, 4001);
    let (mut masked, mut expected, mut variance) = (0.0, 0.0, 0.0);
    for row in rows.iter().filter(|row| row.prompt < 50) {
        let open = (row.frames - row.prompt) as f64;
        masked += row.masked.iter().filter(|&&m| m).count() as f64;
        expected += open * row.ratio;
        variance += open * row.ratio * (1.0 - row.ratio);
    }
    assert!((masked - expected).abs() < 4.0 * f64::sqrt(variance));
}

/// Where nothing would be masked, any open frame may be the one.
#[test]
fn the_frame_masked_for_want_of_others_is_any() {
    let rows = many(5, 1, 20_011);
    let single = |row: &&RowMask| {
        row.prompt == 0 && row.ratio < 0.02 && row.masked.iter().filter(|&&m| m).count() == 1
    };
    let frames = rows.iter().filter(single);
    uniform(
        frames.map(|row| row.masked.iter().position(|&m| m).unwrap()),
        5,
        18.5,
    );
}

#[test]
fn tensors_get_what_slices_get() {
    let (batch, levels, frames, mask_id) = (3, 5, 7, 13);
    let tokens: Vec<i64> = (0..(batch * levels * frames) as i64)
        .map(|i| i % 13)
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mask = TrainingMask::draw(&[7, 2, 5], levels, frames, &mut rng).unwrap();
    let rows: Vec<Vec<Vec<i64>>> = tokens
        .chunks(levels * frames)
        .map(|row| row.chunks(frames).map(<[i64]>::to_vec).collect())
        .collect();
    let given = upload(&rows);
    let masked = mask.apply_tensor::<B>(given.clone(), mask_id).unwrap();
    let flat: Vec<i64> = masked.tokens.into_data().iter().collect();
    assert_eq!(flat, mask.apply(&tokens, mask_id).unwrap());
    let counted: Vec<bool> = masked.counted.into_data().iter().collect();
    assert_eq!(counted, mask.counted());
    assert_eq!(masked.levels, mask.levels());
    // The caller's tokens are as they were.
    assert_eq!(download(given), rows);
}

#[test]
fn bad_shapes_are_errors() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draw = |lengths: &[usize], levels, frames| {
        TrainingMask::draw(lengths, levels, frames, &mut rng).map(|mask| mask.shape())
    };
    for (lengths, levels, frames) in [(&[][..], 3, 7), (&[1], 0, 7), (&[0], 3, 0)] {
        let got = [lengths.len(), levels, frames];
        assert_eq!(
            draw(lengths, levels, frames),
            Err(TrainingMaskError::Empty { got })
        );
    }
    for got in [0, 8] {
        assert_eq!(
            draw(&[7, got], 3, 7),
            Err(TrainingMaskError::Length {
                row: 1,
                got,
                limit: 7
            })
        );
    }
    let mask = TrainingMask::draw(&[5], 2, 7, &mut rng).unwrap();
    assert_eq!(
        mask.apply(&[0; 13], 3),
        Err(TrainingMaskError::Shape {
            expected: [1, 2, 7],
            got: vec![13]
        })
    );
    let tokens = Tensor::<B, 3, Int>::zeros([1, 7, 2], &Default::default());
    assert_eq!(
        mask.apply_tensor(tokens, 3).unwrap_err(),
        TrainingMaskError::Shape {
            expected: [1, 2, 7],
            got: vec![1, 7, 2]
        }
    );
}

#[test]
fn a_mask_can_be_made_of_rows() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let drawn = TrainingMask::draw(&[7, 5, 1], 3, 7, &mut rng).unwrap();
    let rows = drawn.rows().to_vec();
    assert_eq!(
        TrainingMask::from_rows(rows.clone(), 3, 7),
        Ok(drawn.clone())
    );
    let refused = |change: fn(&mut soundstorm_maskgit::RowMask)| {
        let mut rows = rows.clone();
        change(&mut rows[1]);
        TrainingMask::from_rows(rows, 3, 7).unwrap_err()
    };
    let row = TrainingMaskError::Row { row: 1 };
    assert_eq!(refused(|row| row.level = 3), row);
    assert_eq!(refused(|row| row.masked = vec![false; 7]), row);
    assert_eq!(refused(|row| row.masked[6] = true), row, "padding");
    assert_eq!(refused(|row| row.prompt = 5), row, "prompt");
    assert_eq!(refused(|row| row.masked.truncate(6)), row);
    assert!(matches!(
        refused(|row| row.frames = 8),
        TrainingMaskError::Length {
            row: 1,
            got: 8,
            limit: 7
        }
    ));
    assert!(TrainingMask::from_rows(Vec::new(), 3, 7).is_err());
}
