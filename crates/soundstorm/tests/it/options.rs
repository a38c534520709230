//! Generation with guidance, edits, candidates, and an observer that breaks off.

use std::ops::ControlFlow;

use burn::tensor::{Int, Tensor, TensorData};
use proptest::prelude::*;
use soundstorm::maskgit::{Confidence, DecodeError, DecodeOptions, Order, Remask, row_seed};
use soundstorm::{
    Conditions, EditRow, GenerateRow, Guidance, GuidanceError, Prompt, Region, RowCodes, ScoreRow,
    SoundStorm, SoundStormError,
};

use crate::support::{B, CODES, LEVELS, codes, conditioned, config, model};

fn row_codes(frames: usize, salt: usize) -> RowCodes {
    let flat: Vec<i64> = codes::<B>(1, frames, salt)
        .into_data()
        .iter::<i64>()
        .collect();
    flat.chunks(frames).map(<[i64]>::to_vec).collect()
}

fn semantic(frames: usize, salt: i64) -> Vec<i64> {
    (0..frames as i64).map(|t| (t * 3 + salt) % 11).collect()
}

fn row(frames: usize, seed: u64) -> GenerateRow {
    GenerateRow {
        frames: Some(frames),
        seed,
        semantic: Some(semantic(frames, seed as i64 % 5)),
        ..GenerateRow::default()
    }
}

fn edit_row(frames: usize, seed: u64) -> EditRow {
    EditRow {
        seed,
        semantic: Some(semantic(frames, 2)),
        ..EditRow::new(row_codes(frames, seed as usize))
    }
}

fn guided(
    model: &SoundStorm<B>,
    rows: &[GenerateRow],
    options: &DecodeOptions,
    guidance: Guidance,
) -> Vec<RowCodes> {
    let generation = model.generation(options).with_guidance(Some(guidance));
    generation.generate(rows).unwrap().codes
}

const STRONG: Guidance = Guidance {
    scale: 4.0,
    last_scale: None,
    curve: soundstorm::GuidanceCurve::Linear,
    rescale: 0.5,
    levels: 2,
};

/// One greedy pass a level: the argmax of u + s (c - u) with both passes done apart, at the levels
/// that are guided, and of c at the others.
#[test]
fn guidance_is_what_two_passes_give() {
    let model = model::<B>(&conditioned());
    let options = DecodeOptions {
        steps: vec![1],
        greedy: true,
        ..DecodeOptions::default()
    };
    let device = Default::default();
    for (levels, rescale) in [(1, 0.0), (3, 0.0), (LEVELS, 0.0)] {
        let guidance = Guidance {
            rescale,
            levels,
            ..STRONG
        };
        let got = guided(&model, &[row(7, 1)], &options, guidance);
        let condition = model.condition(Some(&[semantic(7, 1)]), 7).unwrap();
        let none = model.condition(Some(&[vec![]]), 7).unwrap();
        let mut tokens = Tensor::<B, 3, Int>::full([1, LEVELS, 7], CODES as i64, &device);
        for level in 0..LEVELS {
            let c = model.level_logits(tokens.clone(), condition.clone(), None, level);
            let u = model.level_logits(tokens.clone(), none.clone(), None, level);
            let logits = match level < levels {
                true => u.clone() + (c - u) * 4.0,
                false => c,
            };
            let best = logits.argmax(2).reshape([1, 1, 7]);
            tokens = tokens.slice_assign([0..1, level..level + 1, 0..7], best);
        }
        let want: Vec<i64> = tokens.into_data().iter::<i64>().collect();
        assert_eq!(got[0].concat(), want);
    }
}

#[test]
fn a_scale_of_one_is_no_guidance() {
    let config = conditioned();
    let model = model::<B>(&config);
    let rows = [row(13, 1), row(5, 2)];
    let plain = model.generate(&rows, &config.generation, |_| ()).unwrap();
    let one = Guidance {
        scale: 1.0,
        ..STRONG
    };
    assert_eq!(guided(&model, &rows, &config.generation, one), plain);
    assert_ne!(guided(&model, &rows, &config.generation, STRONG), plain);
}

#[test]
fn guidance_needs_a_condition() {
    let config = config();
    let model = model::<B>(&config);
    let rows = [GenerateRow {
        frames: Some(7),
        ..GenerateRow::default()
    }];
    let run = |guidance| {
        let generation = model.generation(&config.generation);
        generation.with_guidance(Some(guidance)).generate(&rows)
    };
    let error = run(STRONG).unwrap_err();
    let none = matches!(error, SoundStormError::Guidance(GuidanceError::NoCondition));
    assert!(none, "{error}");
    let error = run(Guidance {
        scale: f64::NAN,
        ..STRONG
    });
    assert!(error.unwrap_err().to_string().contains("NaN"));
}

/// Options that rows may have, with names that say what is odd about them.
fn kinds() -> [DecodeOptions; 4] {
    let plain = DecodeOptions {
        steps: vec![3, 2, 1],
        ..DecodeOptions::default()
    };
    [
        plain.clone(),
        DecodeOptions {
            steps: vec![5],
            remask: Remask::LeastConfident,
            top_p: Some(0.8),
            ..plain.clone()
        },
        DecodeOptions {
            order: Order::VanDerCorput,
            temperature: 0.7,
            ..plain.clone()
        },
        DecodeOptions {
            steps: vec![6, 1],
            entropy_budget: Some(3.0),
            ..plain
        },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// With options of its own, guided, edited: a row is what it is alone.
    #[test]
    fn an_edited_row_in_a_batch_is_the_row_alone(
        lengths in proptest::collection::vec(3usize..13, 1..4),
        kind in proptest::collection::vec(0usize..4, 4),
        strength in proptest::sample::select(vec![0.0, 0.4, 1.0]),
        guide in any::<bool>(),
    ) {
        let model = model::<B>(&conditioned());
        let kinds = kinds();
        let rows: Vec<EditRow> = lengths.iter().enumerate().map(|(i, &frames)| {
            let region = Region { frames: 1..frames - 1, levels: i % 3..LEVELS };
            edit_row(frames, i as u64).vary(&region, strength).unwrap()
        }).collect();
        let options: Vec<DecodeOptions> =
            (0..rows.len()).map(|i| kinds[kind[i]].clone()).collect();
        let guidance = guide.then_some(STRONG);
        let together = model
            .generation(&options[0])
            .with_row_options(&options)
            .with_guidance(guidance)
            .edit(&rows)
            .unwrap();
        for ((row, options), together) in rows.iter().zip(&options).zip(&together.codes) {
            let alone = model.generation(options).with_guidance(guidance);
            let alone = alone.edit(std::slice::from_ref(row)).unwrap();
            prop_assert_eq!(&alone.codes[0], together);
            for (level, codes) in together.iter().enumerate() {
                prop_assert_eq!(codes.len(), row.frames());
                for (frame, code) in codes.iter().enumerate() {
                    prop_assert!((0..CODES as i64).contains(code));
                    if row.keep[level][frame] {
                        prop_assert_eq!(*code, row.codes[level][frame]);
                    }
                }
            }
        }
    }
}

/// An edit that extends to the right is a generation after a prompt.
#[test]
fn extending_is_continuing() {
    let config = conditioned();
    let model = model::<B>(&config);
    let prompt = Prompt {
        codes: row_codes(5, 9),
        semantic: Some(semantic(5, 2)),
    };
    let mut continued = row(7, 3);
    continued.prompt = Some(prompt.clone());
    let expected = model.generate(&[continued.clone()], &config.generation, |_| ());
    let expected = expected.unwrap().remove(0);
    let whole = [prompt.semantic.unwrap(), continued.semantic.unwrap()].concat();
    let edit = EditRow {
        seed: 3,
        semantic: Some(whole),
        ..EditRow::new(prompt.codes)
    };
    let edited = model
        .generation(&config.generation)
        .edit(&[edit.extend(0, 7)])
        .unwrap();
    for (level, codes) in edited.codes[0].iter().enumerate() {
        assert_eq!(codes[5..], expected[level]);
    }
}

/// While level q is generated, finer levels are hidden from the first generated frame on, and shown
/// before it.
#[test]
fn finer_levels_are_hidden_behind_an_edit() {
    let model = model::<B>(&config());
    let options = DecodeOptions {
        steps: vec![1],
        greedy: true,
        ..DecodeOptions::default()
    };
    let region = Region {
        frames: 4..6,
        levels: 1..3,
    };
    let row = EditRow::new(row_codes(9, 4)).regenerate(&region).unwrap();
    let got = model
        .generation(&options)
        .edit(std::slice::from_ref(&row))
        .unwrap();
    let mut tokens = row_codes(9, 4);
    for level in 1..3 {
        let mut shown = tokens.clone();
        for (finer, codes) in shown.iter_mut().enumerate() {
            let from = match finer.cmp(&level) {
                std::cmp::Ordering::Less => 9..9,
                std::cmp::Ordering::Equal => 4..6,
                std::cmp::Ordering::Greater => 4..9,
            };
            codes[from].fill(CODES as i64);
        }
        let shown = TensorData::new(shown.concat(), [1, LEVELS, 9]);
        let shown = Tensor::from_data(shown, &Default::default());
        let best = model.level_logits(shown, None, None, level).argmax(2);
        let best: Vec<i64> = best.into_data().iter::<i64>().collect();
        tokens[level][4..6].copy_from_slice(&best[4..6]);
    }
    assert_eq!(got.codes[0], tokens);
    assert_ne!(tokens, row.codes);
}

#[test]
fn edits_that_do_not_fit_are_refused() {
    let config = config();
    let model = model::<B>(&config);
    let refuse = |row: EditRow| {
        let result = model.generation(&config.generation).edit(&[row]);
        result.unwrap_err().to_string()
    };
    let good = EditRow::new(row_codes(7, 1));
    let mut keep = good.clone();
    keep.keep[2].push(true);
    assert!(refuse(keep).contains("7 frames in each of 5 levels, got 8 in level 3"));
    let mut few = good.clone();
    few.codes.pop();
    few.keep.pop();
    assert!(refuse(few).contains("the model has 5 levels, got 4"));
    let mut bad = good.clone();
    bad.codes[1][3] = CODES as i64;
    assert!(refuse(bad.clone()).contains("level 2"));
    // Where it is not kept it may be anything.
    bad.keep[1][3] = false;
    model.generation(&config.generation).edit(&[bad]).unwrap();
    assert!(refuse(EditRow::new(vec![vec![]; LEVELS])).contains("no frames"));
}

#[test]
fn breaking_off_leaves_masks() {
    let config = conditioned();
    let model = model::<B>(&config);
    let mut passes = 0;
    let generation = model.generation(&config.generation).with_observer(|_| {
        passes += 1;
        match passes {
            4 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    let generated = generation.generate(&[row(11, 1), row(5, 2)]).unwrap();
    let at = generated.cancelled.unwrap();
    // Three passes for the first level, and the first of two for the second.
    assert_eq!((at.level, at.step, at.passes_done), (1, 1, 4));
    for (index, codes) in generated.codes.iter().enumerate() {
        let masked = |level: usize| {
            let codes = codes[level].iter();
            codes.filter(|&&code| code == CODES as i64).count()
        };
        assert_eq!(masked(0), 0);
        assert_eq!(masked(1), at.masked[index]);
        assert!((2..LEVELS).all(|level| masked(level) == codes[level].len()));
    }
}

/// With one part every code is scored given the coarser levels alone: a level's mean is minus its
/// loss in evaluation.
#[test]
fn one_part_scores_what_evaluation_does() {
    let model = model::<B>(&conditioned());
    let whole = row_codes(9, 3);
    let tokens = TensorData::new(whole.concat(), [1, LEVELS, 9]);
    let tokens = Tensor::from_data(tokens, &Default::default());
    let tokens_semantic = [semantic(9, 1)];
    let losses = model
        .evaluate(tokens, None, Some(&tokens_semantic), |_| ())
        .unwrap();
    let want = -losses.iter().map(|score| score.loss).sum::<f64>() / LEVELS as f64;
    let row = ScoreRow {
        codes: whole,
        from: 0,
        conditions: Conditions::semantic(tokens_semantic[0].clone()),
        seed: 5,
    };
    let got = model
        .pseudo_log_likelihood(std::slice::from_ref(&row), 1)
        .unwrap();
    assert!((got[0] - want).abs() < 1e-5, "{got:?} {want}");
    // Rows of a batch do not see each other, and prompts do not count but are seen.
    let short = ScoreRow {
        codes: row_codes(5, 7),
        from: 2,
        conditions: Conditions::semantic(semantic(5, 3)),
        seed: 6,
    };
    for parts in [1, 3] {
        let score = |rows: &[ScoreRow]| model.pseudo_log_likelihood(rows, parts).unwrap();
        let together = score(&[row.clone(), short.clone()]);
        for (one, together) in [&row, &short].into_iter().zip(together) {
            let alone = score(std::slice::from_ref(one))[0];
            assert!((alone - together).abs() < 1e-5, "{alone} {together}");
        }
    }
    let mut from = row.clone();
    from.from = 9;
    assert!(model.pseudo_log_likelihood(&[from], 1).is_err());
    assert!(model.pseudo_log_likelihood(&[row], 0).is_err());
}

/// In two parts, a code is scored with the other part's codes in sight: by hand, level by level.
#[test]
fn parts_are_masked_in_turn() {
    let model = model::<B>(&config());
    let (frames, from, seed) = (7, 2, 11);
    let row = ScoreRow {
        codes: row_codes(frames, 3),
        from,
        conditions: Conditions::default(),
        seed,
    };
    let got = model
        .pseudo_log_likelihood(std::slice::from_ref(&row), 2)
        .unwrap()[0];
    let mut sum = 0.0;
    let mut count = 0;
    for level in 0..LEVELS {
        let uniforms = soundstorm::maskgit::step_noise(seed, level, 0, frames).uniforms;
        for half in [false, true] {
            let hit = |frame: usize| frame >= from && (uniforms[frame] >= 0.5) == half;
            let mut shown = row.codes.clone();
            for frame in from..frames {
                if hit(frame) {
                    shown[level][frame] = CODES as i64;
                }
                for codes in &mut shown[level + 1..] {
                    codes[frame] = CODES as i64;
                }
            }
            let shown = TensorData::new(shown.concat(), [1, LEVELS, frames]);
            let shown = Tensor::from_data(shown, &Default::default());
            let logits: Vec<f64> = model
                .level_logits(shown, None, None, level)
                .into_data()
                .iter()
                .collect();
            for frame in (0..frames).filter(|&frame| hit(frame)) {
                let logits = &logits[frame * CODES..][..CODES];
                let total: f64 = logits.iter().map(|l| l.exp()).sum();
                sum += logits[row.codes[level][frame] as usize] - total.ln();
                count += 1;
            }
        }
    }
    assert_eq!(count, LEVELS * (frames - from));
    let want = sum / count as f64;
    assert!((got - want).abs() < 1e-4, "{got} {want}");
}

#[test]
fn the_best_of_several_is_the_likeliest() {
    let config = conditioned();
    let model = model::<B>(&config);
    let mut prompted = row(7, 2);
    prompted.prompt = Some(Prompt {
        codes: row_codes(3, 5),
        semantic: Some(semantic(3, 1)),
    });
    let rows = [row(11, 1), prompted];
    let best = model
        .generation(&config.generation)
        .best_of(&rows, 5, 2)
        .unwrap();
    let mut taken = 0;
    for (index, row) in rows.iter().enumerate() {
        let ranking = &best.rankings[index];
        assert_eq!(ranking.seeds[0], row.seed);
        assert_eq!(ranking.seeds[3], row_seed(row.seed, 3));
        let most = ranking.scores.iter().copied().fold(f64::MIN, f64::max);
        assert_eq!(ranking.scores[ranking.best], most);
        taken += ranking.best;
        // Its seed alone makes it again.
        let again = GenerateRow {
            seed: ranking.seeds[ranking.best],
            ..row.clone()
        };
        let again = model
            .generate(&[again], &config.generation, |_| ())
            .unwrap();
        assert_eq!(again[0], best.generated.codes[index]);
    }
    assert!(taken > 0, "the first is not always the best");
    let one = model
        .generation(&config.generation)
        .best_of(&rows, 1, 2)
        .unwrap();
    let plain = model.generate(&rows, &config.generation, |_| ()).unwrap();
    assert_eq!(one.generated.codes, plain);
    assert!(
        model
            .generation(&config.generation)
            .best_of(&rows, 0, 2)
            .is_err()
    );
}

/// A critic that likes high codes; it is told lengths and level, and is needed where it is asked for.
#[test]
fn a_critic_ranks_frames() {
    let model = model::<B>(&conditioned());
    let options = DecodeOptions {
        steps: vec![3, 1],
        confidence: Confidence::Critic,
        ..DecodeOptions::default()
    };
    let mut asked = 0;
    let generation = model.generation(&options).with_critic(|input| {
        asked += 1;
        assert_eq!((input.level, input.lengths), (0, &[7, 5][..]));
        let [batch, _, frames] = input.tokens.dims();
        let mut passes = model.passes(input.prepared, Some(input.lengths));
        let logits = passes.level_logits(input.tokens.clone(), input.level);
        assert_eq!(logits.dims()[..2], [batch, frames]);
        let level = input.tokens.narrow(1, input.level, 1);
        level.reshape([batch, frames]).float()
    });
    generation.generate(&[row(7, 1), row(5, 2)]).unwrap();
    assert_eq!(asked, 2);
    let error = model
        .generation(&options)
        .generate(&[row(7, 1)])
        .unwrap_err();
    assert!(matches!(
        error,
        SoundStormError::Decode(DecodeError::NoCritic)
    ));
}
