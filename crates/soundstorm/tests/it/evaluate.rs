//! The score of given codes.

use burn::module::Param;
use soundstorm::SoundStormError;

use crate::support::{B, CODES, LEVELS, codes, conditioned, config, model};

#[test]
fn a_model_that_knows_nothing_scores_the_uniform_entropy() {
    let mut model = model::<B>(&config());
    model.head.weight = Param::from_tensor(model.head.weight.val() * 0.0);
    model.head.bias = Param::from_tensor(model.head.bias.val() * 0.0);
    let scores = model.evaluate(codes(2, 7, 1), None, None, |_| ()).unwrap();
    assert_eq!(scores.len(), LEVELS);
    for (index, score) in scores.iter().enumerate() {
        assert_eq!(score.level, index + 1);
        assert!((score.loss - (CODES as f64).ln()).abs() < 1e-5);
    }
}

/// A level's score sees coarser levels only.
#[test]
fn finer_levels_are_masked() {
    let model = model::<B>(&config());
    let given = codes::<B>(1, 7, 1);
    let level = 2;
    let other = given.clone().slice_assign(
        [0..1, level + 1..LEVELS, 0..7],
        codes::<B>(1, 7, 5).narrow(1, level + 1, LEVELS - level - 1),
    );
    let a = model.evaluate(given, None, None, |_| ()).unwrap();
    let b = model.evaluate(other, None, None, |_| ()).unwrap();
    assert_eq!(a[..=level], b[..=level]);
    assert_ne!(a[level + 1..], b[level + 1..]);
}

/// A batch of padded rows scores the mean over real frames.
#[test]
fn padding_counts_in_nothing() {
    let model = model::<B>(&config());
    let batch = codes::<B>(2, 11, 3);
    let both = model
        .evaluate(batch.clone(), Some(&[7, 11]), None, |_| ())
        .unwrap();
    let short = batch.clone().narrow(0, 0, 1).narrow(2, 0, 7);
    let short = model.evaluate(short, None, None, |_| ()).unwrap();
    let long = model
        .evaluate(batch.narrow(0, 1, 1), None, None, |_| ())
        .unwrap();
    for level in 0..LEVELS {
        let want = (7.0 * short[level].loss + 11.0 * long[level].loss) / 18.0;
        assert!((both[level].loss - want).abs() < 1e-5);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let plain = model::<B>(&config());
    let error = |result: Result<_, SoundStormError>| result.err().unwrap().to_string();
    let few = codes::<B>(1, 7, 1).narrow(1, 0, 3);
    assert!(error(plain.evaluate(few, None, None, |_| ())).contains("5 levels, got 3"));
    let high = codes::<B>(1, 7, 1) + CODES as i64 - 1;
    assert!(error(plain.evaluate(high, None, None, |_| ())).contains("not within 0 and 16"));
    let semantic = [vec![1; 7]];
    let given = plain.evaluate(codes(1, 7, 1), None, Some(&semantic), |_| ());
    assert!(error(given).contains("not conditioned"));
    let missing = model::<B>(&conditioned()).evaluate(codes(1, 7, 1), None, None, |_| ());
    assert!(error(missing).contains("none are given"));
    let none = plain.evaluate(codes(1, 7, 1), Some(&[0]), None, |_| ());
    assert!(error(none).contains("no frames"));
}
