//! The training objective.

use burn::tensor::Tensor;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use soundstorm::maskgit::TrainingMask;
use soundstorm::{SoundStorm, TrainingBatch};

use crate::support::{B, LEVELS, codes, conditioned, config, model};

fn scalar(loss: Tensor<B, 1>) -> f32 {
    loss.into_scalar()
}

fn masked_loss(model: &SoundStorm<B>, batch: &TrainingBatch<B>, mask: &TrainingMask) -> f32 {
    scalar(model.masked_loss(batch, mask).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_loss_is_finite_for_every_mask(
        seed in any::<u64>(),
        short in 1usize..11,
        conditioning in any::<bool>(),
    ) {
        let config = if conditioning { conditioned() } else { config() };
        let model = model::<B>(&config);
        let batch = TrainingBatch {
            codes: codes(3, 11, 2),
            lengths: Some(vec![11, short, 1]),
            semantic: conditioning.then(|| vec![vec![3; 11], vec![5; short], vec![2]]),
        };
        let loss = scalar(model.loss(&batch, &mut StdRng::seed_from_u64(seed)).unwrap());
        prop_assert!(loss.is_finite() && loss > 0.0);
    }
}

/// Only masked tokens of the drawn level count, and nothing finer is seen.
#[test]
fn only_the_masked_tokens_of_one_level_count() {
    let model = model::<B>(&config());
    let frames = 11;
    let mask = (0..)
        .map(|seed| {
            TrainingMask::draw(&[frames], LEVELS, frames, &mut StdRng::seed_from_u64(seed)).unwrap()
        })
        .find(|mask| mask.rows()[0].level == 1 && mask.rows()[0].prompt > 2)
        .unwrap();
    let row = &mask.rows()[0];
    let given = codes::<B>(1, frames, 1);
    let base = masked_loss(&model, &TrainingBatch::new(given.clone()), &mask);
    let change = |level: usize, frame: usize| {
        let token = given
            .clone()
            .slice([0..1, level..level + 1, frame..frame + 1]);
        let changed = given
            .clone()
            .slice_assign([0..1, level..level + 1, frame..frame + 1], (token + 1) % 17);
        (masked_loss(&model, &TrainingBatch::new(changed), &mask) - base).abs() > 1e-6
    };
    let masked = (0..frames).find(|&frame| row.masked[frame]).unwrap();
    assert!(change(1, masked), "a target counts");
    assert!(change(0, masked), "coarser levels are seen");
    assert!(
        !change(2, row.prompt),
        "finer levels after the prompt are not"
    );
    assert!(change(3, 0), "finer levels of the prompt are");
}

/// Each row is weighed by its masked tokens, whatever the others' levels.
#[test]
fn a_batch_is_the_mean_over_its_masked_tokens() {
    let model = model::<B>(&config());
    let frames = 11;
    let mut rng = StdRng::seed_from_u64(3);
    let mask = TrainingMask::draw(&[frames; 3], LEVELS, frames, &mut rng).unwrap();
    let both = masked_loss(&model, &TrainingBatch::new(codes(3, frames, 1)), &mask);

    // The same rows alone: drawn again, one by one, from the same stream.
    let mut rng = StdRng::seed_from_u64(3);
    let (mut sum, mut count) = (0.0, 0);
    for index in 0..3 {
        let alone = TrainingMask::draw(&[frames], LEVELS, frames, &mut rng).unwrap();
        assert_eq!(alone.rows()[0], mask.rows()[index]);
        let masked = alone.counted().iter().filter(|&&counts| counts).count();
        let codes = codes::<B>(3, frames, 1).narrow(0, index, 1);
        sum += masked_loss(&model, &TrainingBatch::new(codes), &alone) * masked as f32;
        count += masked;
    }
    assert!((both - sum / count as f32).abs() < 1e-5);
}

#[test]
fn training_lowers_the_loss() {
    use burn::optim::{AdamWConfig, GradientsParams, Optimizer};

    type Ad = burn_autodiff::Autodiff<B>;
    let mut model = model::<Ad>(&conditioned());
    let mut optimizer = AdamWConfig::new().init();
    let mut rng = StdRng::seed_from_u64(5);
    let batch = TrainingBatch::<Ad> {
        codes: codes(2, 7, 1),
        lengths: Some(vec![7, 5]),
        semantic: Some(vec![vec![3; 7], vec![5; 5]]),
    };
    let mut losses = Vec::new();
    for _ in 0..120 {
        let loss = model.loss(&batch, &mut rng).unwrap();
        losses.push(loss.clone().into_scalar());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    let (first, last) = (mean(&losses[..20]), mean(&losses[100..]));
    assert!(last < 0.6 * first, "{first} to {last}");
}
