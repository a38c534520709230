//! Generations by conditions of every kind, with self-conditioning and the model's own critic.

use std::ops::ControlFlow;

use burn::tensor::{Int, Tensor};
use soundstorm::maskgit::{Confidence, DecodeOptions, DecodeRow, Decoding};
use soundstorm::{
    Conditions, ContextAlignment, CriticConfig, GenerateRow, Guidance, RowCodes, ScoreRow,
    SelfConditioningConfig, SoundStorm, SoundStormConfig, SoundStormError,
};

use crate::conditions::{everything, rows};
use crate::support::{B, LEVELS, model};

fn config(alignment: ContextAlignment) -> SoundStormConfig {
    SoundStormConfig {
        self_conditioning: Some(SelfConditioningConfig::default()),
        critic: Some(CriticConfig::SelfCritic {}),
        ..everything(alignment)
    }
}

fn options() -> DecodeOptions {
    DecodeOptions {
        steps: vec![3, 2],
        ..DecodeOptions::default()
    }
}

/// Everything that a row can be given, for 7 frames.
fn full() -> Conditions {
    rows().0.swap_remove(0)
}

fn row(conditions: Conditions, seed: u64) -> GenerateRow {
    GenerateRow {
        frames: Some(7),
        seed,
        conditions,
        ..GenerateRow::default()
    }
}

fn generate(model: &SoundStorm<B>, rows: &[GenerateRow]) -> Vec<RowCodes> {
    model.generate(rows, &options(), |_| ()).unwrap()
}

/// By the sampler and the passes themselves.
#[test]
fn a_generation_is_passes_by_the_prepared_conditions() {
    for alignment in [
        ContextAlignment::CrossAttention,
        ContextAlignment::Durations,
    ] {
        let model = model::<B>(&config(alignment));
        let got = generate(&model, &[row(full(), 5)]).remove(0);

        let prepared = model.prepare(&[full()], Some(&[7]), 7).unwrap();
        let mut passes = model.passes(&prepared, Some(&[7]));
        let masked =
            Tensor::<B, 3, Int>::full([1, LEVELS, 7], model.mask_id() as i64, &Default::default());
        let rows = [DecodeRow { frames: 7, seed: 5 }];
        let options = options();
        let decoded =
            Decoding::<B, std::convert::Infallible>::new(&rows, model.mask_id(), &options)
                .run(masked, |tokens, at| {
                    Ok(passes.level_logits(tokens, at.level))
                })
                .unwrap();
        let want: Vec<i64> = decoded.into_tokens().into_data().iter().collect();
        assert_eq!(got.concat(), want);
    }
}

#[test]
fn what_is_given_is_heard() {
    let model = model::<B>(&config(ContextAlignment::CrossAttention));
    let options = options();
    let plain = generate(&model, &[row(full(), 5)]);
    let mut other = full();
    other.context = Some(vec![9, 1, 1, 4]);
    assert_ne!(generate(&model, &[row(other, 5)]), plain);
    // Of untrained weights semantic tokens move the choice of few codes; the first pass tells.
    let sure = |conditions: &Conditions| -> Vec<f32> {
        let mut found = Vec::new();
        let generation = model.generation(&options).with_observer(|pass| {
            found = pass.log_probability().into_data().iter().collect();
            ControlFlow::Break(())
        });
        let made = generation.generate(&[row(conditions.clone(), 5)]).unwrap();
        assert!(made.cancelled.is_some());
        found
    };
    let mut other = full();
    other.semantic = Some(vec![2; 7]);
    assert_ne!(sure(&other), sure(&full()));
    let mut other = full();
    other.speaker = Some(0);
    assert_ne!(sure(&other), sure(&full()));
    // Semantic tokens may stand in the row or among its conditions.
    let mut apart = row(full(), 5);
    apart.semantic = apart.conditions.semantic.take();
    assert_eq!(generate(&model, &[apart]), plain);
}

#[test]
fn a_row_lasts_as_long_as_its_context() {
    let mut config = config(ContextAlignment::Durations);
    config.semantic = None;
    let model = model::<B>(&config);
    let mut conditions = full();
    conditions.semantic = None;
    let mut asked = row(conditions.clone(), 1);
    asked.frames = None;
    assert_eq!(generate(&model, &[asked.clone()])[0][0].len(), 2 + 1 + 4);
    asked.conditions.durations = None;
    let predicted = model.predict_frames(&[asked.conditions.clone()]).unwrap()[0];
    match predicted {
        0 => assert!(model.generate(&[asked], &options(), |_| ()).is_err()),
        frames => assert_eq!(generate(&model, &[asked])[0][0].len(), frames),
    }
}

#[test]
fn what_is_missing_is_named() {
    let model = model::<B>(&config(ContextAlignment::CrossAttention));
    let mut conditions = full();
    conditions.context = None;
    let rows = [row(full(), 1), row(conditions, 2)];
    let error = model.generate(&rows, &options(), |_| ()).unwrap_err();
    assert!(
        matches!(error, SoundStormError::Missing { row: 1, .. }),
        "{error}"
    );
}

/// Every condition is left out of the second branch, and the scale decides how much that counts.
#[test]
fn all_conditions_guide() {
    let model = model::<B>(&config(ContextAlignment::CrossAttention));
    let options = options();
    let guided = |scale| {
        let guidance = Guidance {
            scale,
            levels: 2,
            ..Guidance::default()
        };
        let generation = model.generation(&options).with_guidance(Some(guidance));
        generation.generate(&[row(full(), 5)]).unwrap().codes
    };
    let plain = generate(&model, &[row(full(), 5)]);
    assert_eq!(guided(1.0), plain);
    assert_ne!(guided(8.0), plain);
    // Scale 0 is the null's own generation, which no row may ask for without guidance.
    let prepared = model.prepare(&[Conditions::default()], None, 7).unwrap();
    let mut passes = model.passes(&prepared, None);
    let masked =
        Tensor::<B, 3, Int>::full([1, LEVELS, 7], model.mask_id() as i64, &Default::default());
    let rows = [DecodeRow { frames: 7, seed: 5 }];
    let decoded = Decoding::<B, std::convert::Infallible>::new(&rows, model.mask_id(), &options)
        .run(masked, |tokens, at| {
            Ok(passes.level_logits(tokens, at.level))
        })
        .unwrap();
    let null: Vec<i64> = decoded.into_tokens().into_data().iter().collect();
    let levels = |codes: &[i64]| codes[..2 * 7].to_vec();
    assert_eq!(levels(&guided(0.0)[0].concat()), levels(&null));
}

/// A scale that is 1 but for the last bit guides nothing, yet both branches run: what the last pass
/// saw must go over from them to the passes without guidance, and back.
#[test]
fn self_conditioning_survives_guidance() {
    let model = model::<B>(&config(ContextAlignment::CrossAttention));
    let (options, nearly) = (options(), 1.0 + f64::EPSILON);
    let sure = |guidance: Option<Guidance>| -> Vec<f32> {
        let mut found = Vec::new();
        let generation = model.generation(&options).with_guidance(guidance);
        let generation = generation.with_observer(|pass| {
            found.extend(pass.log_probability().into_data().iter::<f32>());
            ControlFlow::Continue(())
        });
        generation.generate(&[row(full(), 5)]).unwrap();
        found
    };
    let plain = sure(None);
    for (scale, last_scale) in [(nearly, 1.0), (1.0, nearly)] {
        let guided = sure(Some(Guidance {
            scale,
            last_scale: Some(last_scale),
            ..Guidance::default()
        }));
        let apart = plain.iter().zip(&guided).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-4);
    }
}

#[test]
fn the_models_own_critic_is_asked() {
    let model = model::<B>(&config(ContextAlignment::CrossAttention));
    let options = DecodeOptions {
        confidence: Confidence::Critic,
        ..options()
    };
    let rows = [row(full(), 5), row(full(), 6)];
    let own = model.generation(&options).generate(&rows).unwrap();
    let by_hand = model.generation(&options).with_critic(|input| {
        let scores = model
            .critic_scores(
                input.tokens,
                input.prepared,
                Some(input.lengths),
                input.level,
            )
            .unwrap();
        scores.neg()
    });
    assert_eq!(own, by_hand.generate(&rows).unwrap());
    let turned = model.generation(&options).with_critic(|input| {
        model
            .critic_scores(
                input.tokens,
                input.prepared,
                Some(input.lengths),
                input.level,
            )
            .unwrap()
    });
    assert_ne!(
        own,
        turned.generate(&rows).unwrap(),
        "what looks real comes first"
    );
}

#[test]
fn a_row_is_scored_by_its_conditions() {
    let model = model::<B>(&config(ContextAlignment::CrossAttention));
    let score = |conditions: Conditions| {
        let row = ScoreRow {
            codes: vec![vec![1; 7]; LEVELS],
            conditions,
            ..ScoreRow::default()
        };
        model.pseudo_log_likelihood(&[row], 1).unwrap()[0]
    };
    let mut other = full();
    other.context = Some(vec![9, 1, 1, 4]);
    assert_ne!(score(full()), score(other));
}
