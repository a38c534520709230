//! What holds for every decode, whatever the options, the prompt and the batch.

use proptest::prelude::*;
use soundstorm_maskgit::{DecodeOptions, Schedule, row_seed};

use crate::support::{Input, Row, golden_script, real, run};

#[derive(Debug, Clone)]
struct Job {
    inputs: Vec<Input>,
    codebook: usize,
    options: DecodeOptions,
}

fn options() -> impl Strategy<Value = DecodeOptions> {
    (
        prop::collection::vec(1usize..=7, 1..=3),
        any::<bool>(),
        prop::sample::select(vec![0.0, 0.3, 1.0, 1.7]),
        prop::option::of(1usize..=5),
        prop::sample::select(vec![0.0, 1.0, 4.5]),
        prop::bool::weighted(0.2),
        any::<bool>(),
    )
        .prop_map(
            |(steps, linear, temperature, top_k, confidence_noise, greedy, clip_schedule)| {
                DecodeOptions {
                    steps,
                    schedule: if linear {
                        Schedule::Linear
                    } else {
                        Schedule::Cosine
                    },
                    temperature,
                    top_k,
                    confidence_noise,
                    greedy,
                    clip_schedule,
                }
            },
        )
}

/// A row of `real` frames of `frames`; a third of its tokens given, anywhere, or a prompt, or none.
fn input(levels: usize, frames: usize, codebook: usize) -> impl Strategy<Value = Input> {
    let given = prop_oneof![
        prop::collection::vec(prop::bool::weighted(0.3), levels * frames),
        (0..=frames).prop_map(move |prompt| {
            (0..levels * frames).map(|i| i % frames < prompt).collect()
        }),
        Just(vec![false; levels * frames]),
    ];
    let codes = prop::collection::vec(0..codebook as i64, levels * frames);
    (given, codes, 0..=frames, any::<u64>()).prop_map(move |(given, codes, real, seed)| {
        let tokens: Vec<i64> = (given.iter().zip(codes))
            .map(|(given, code)| if *given { code } else { codebook as i64 })
            .collect();
        Input {
            tokens: tokens.chunks(frames).map(<[i64]>::to_vec).collect(),
            frames: real,
            seed,
        }
    })
}

fn job() -> impl Strategy<Value = Job> {
    (
        1usize..=4,
        prop::sample::select(vec![1usize, 2, 3]),
        prop::sample::select(vec![1usize, 2, 5, 11, 17]),
        prop::sample::select(vec![1usize, 2, 3, 7, 13]),
        options(),
    )
        .prop_flat_map(|(batch, levels, frames, codebook, options)| {
            prop::collection::vec(input(levels, frames, codebook), batch).prop_map(move |inputs| {
                Job {
                    inputs,
                    codebook,
                    options: options.clone(),
                }
            })
        })
}

/// The schedule written a second time, in whole steps from the row's own masked frames.
fn scheduled(n: usize, step: usize, steps: usize, options: &DecodeOptions) -> usize {
    if step == 0 {
        return n;
    }
    if step == steps {
        return 0;
    }
    let progress = step as f64 / steps as f64;
    let ratio = match options.schedule {
        Schedule::Linear => 1.0 - progress,
        _ => (std::f64::consts::PI * progress / 2.0).cos(),
    };
    let wanted = (n as f64 * ratio + 1e-9) as usize;
    let before = scheduled(n, step - 1, steps, options);
    match options.clip_schedule {
        true if before == 0 => 0,
        true => wanted.clamp(1, (before - 1).max(1)),
        false => wanted.min(before),
    }
}

fn masked(tokens: &[i64], mask: i64) -> usize {
    tokens.iter().filter(|&&token| token == mask).count()
}

fn argmax(logits: &[f32]) -> i64 {
    let best = logits.iter().copied().fold(f32::MIN, f32::max);
    logits.iter().position(|&l| l == best).unwrap() as i64
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn every_pass_follows_the_rules(job in job()) {
        let Job { inputs, codebook, options } = job;
        let mask = codebook as i64;
        let levels = inputs[0].tokens.len();
        let (done, passes) = run(&inputs, codebook, &options, golden_script).unwrap();
        for (index, input) in inputs.iter().enumerate() {
            let n = |level: usize| masked(&input.tokens[level][..input.frames], mask);
            let mut last_passes = vec![None; levels];
            for pass in &passes {
                let (level, step) = (pass.info.level, pass.info.step);
                let (before, after) = (&pass.before[index], &pass.after[index]);
                let steps = options.steps_at(level);
                prop_assert_eq!(pass.info.steps, steps);
                prop_assert_eq!(pass.info.levels, levels);

                let expected = scheduled(n(level), step, steps, &options);
                prop_assert_eq!(pass.info.masked[index], expected);
                prop_assert_eq!(masked(&after[level][..input.frames], mask), expected);

                for other in 0..levels {
                    if other < level {
                        prop_assert_eq!(masked(&before[other][..input.frames], mask), 0);
                    }
                    if other > level {
                        prop_assert_eq!(&after[other], &input.tokens[other]);
                    }
                    for frame in 0..input.tokens[other].len() {
                        let changed = before[other][frame] != after[other][frame];
                        let fillable = other == level
                            && frame < input.frames
                            && before[other][frame] == mask;
                        prop_assert!(!changed || fillable);
                        if changed && (options.greedy || step == steps) {
                            let logits = &pass.logits[index][frame * codebook..][..codebook];
                            prop_assert_eq!(after[other][frame], argmax(logits));
                        }
                    }
                }
                last_passes[level] = Some(step);
            }
            for level in 0..levels {
                for frame in 0..input.tokens[level].len() {
                    let (given, found) = (input.tokens[level][frame], done[index][level][frame]);
                    if given != mask || frame >= input.frames {
                        prop_assert_eq!(found, given);
                    } else {
                        prop_assert!((0..mask).contains(&found));
                    }
                }
            }
        }
    }

    #[test]
    fn passes_are_counted_and_none_is_idle(job in job()) {
        let Job { inputs, codebook, options } = job;
        let (_, passes) = run(&inputs, codebook, &options, golden_script).unwrap();
        let fills = |level: usize, step: usize| inputs.iter().any(|input| {
            let n = masked(&input.tokens[level][..input.frames], codebook as i64);
            let steps = options.steps_at(level);
            scheduled(n, step, steps, &options) < scheduled(n, step - 1, steps, &options)
        });
        let expected: Vec<(usize, usize)> = (0..inputs[0].tokens.len())
            .flat_map(|level| (1..=options.steps_at(level)).map(move |step| (level, step)))
            .filter(|&(level, step)| fills(level, step))
            .collect();
        let found: Vec<_> = passes.iter().map(|p| (p.info.level, p.info.step)).collect();
        prop_assert_eq!(&found, &expected);
        for (index, pass) in passes.iter().enumerate() {
            prop_assert_eq!(pass.info.passes_done, index + 1);
            prop_assert_eq!(pass.info.passes, expected.len());
        }
    }

    #[test]
    fn a_row_gets_in_a_batch_what_it_gets_alone(job in job(), more in 0usize..5) {
        let Job { inputs, codebook, options } = job;
        let (together, _) = run(&inputs, codebook, &options, golden_script).unwrap();
        let reversed: Vec<Input> = inputs.iter().rev().cloned().collect();
        let (mut backwards, _) = run(&reversed, codebook, &options, golden_script).unwrap();
        backwards.reverse();
        prop_assert_eq!(&together, &backwards);
        for (input, together) in inputs.iter().zip(&together) {
            let expected: Row = real(together, input.frames);
            if input.frames > 0 {
                let alone = [input.unpadded()];
                let (alone, _) = run(&alone, codebook, &options, golden_script).unwrap();
                prop_assert_eq!(&alone[0], &expected);
            }
            for token in [0, codebook as i64] {
                let padded = [input.padded(input.tokens[0].len() + more, token)];
                let (padded, _) = run(&padded, codebook, &options, golden_script).unwrap();
                prop_assert_eq!(&real(&padded[0], input.frames), &expected);
            }
        }
    }

    #[test]
    fn top_1_and_no_temperature_are_greedy_up_to_the_ranking_noise(job in job()) {
        let Job { inputs, codebook, options } = job;
        let greedy = DecodeOptions { greedy: true, ..options.clone() };
        let (greedy, _) = run(&inputs, codebook, &greedy, golden_script).unwrap();
        let quiet = DecodeOptions { greedy: false, confidence_noise: 0.0, ..options };
        for options in [
            DecodeOptions { top_k: Some(1), temperature: 1.3, ..quiet.clone() },
            DecodeOptions { top_k: None, temperature: 0.0, ..quiet.clone() },
            // Scripted logits are at least 1/1024 apart.
            DecodeOptions { top_k: None, temperature: 2e-5, ..quiet },
        ] {
            let (found, _) = run(&inputs, codebook, &options, golden_script).unwrap();
            prop_assert_eq!(&found, &greedy);
        }
    }
}

fn blank(levels: usize, frames: usize, codebook: usize, seed: u64) -> Input {
    Input::new(vec![vec![codebook as i64; frames]; levels], seed)
}

#[test]
fn the_papers_steps_take_27_passes() {
    let inputs = [blank(12, 97, 7, 1)];
    let (_, passes) = run(&inputs, 7, &DecodeOptions::default(), golden_script).unwrap();
    assert_eq!(passes.len(), 27);
    assert_eq!(passes[0].info.passes, 27);
}

#[test]
fn seeds_matter_and_rows_of_a_job_differ() {
    let inputs: Vec<Input> = (0..5)
        .map(|row| blank(1, 17, 13, row_seed(3, row)))
        .collect();
    let (done, _) = run(&inputs, 13, &DecodeOptions::default(), golden_script).unwrap();
    for a in 0..5 {
        for b in 0..a {
            assert_ne!(done[a], done[b]);
        }
    }
    let (again, _) = run(&inputs, 13, &DecodeOptions::default(), golden_script).unwrap();
    assert_eq!(done, again);
}

#[test]
fn nothing_to_fill_calls_nothing() {
    let full = Input::new(vec![vec![3, 1, 4, 1, 5]; 2], 1);
    let empty = Input {
        frames: 0,
        ..blank(2, 5, 7, 2)
    };
    let inputs = [full, empty];
    let (done, passes) = run(&inputs, 7, &DecodeOptions::default(), golden_script).unwrap();
    assert!(passes.is_empty());
    assert_eq!(done[0], inputs[0].tokens);
    assert_eq!(done[1], inputs[1].tokens);
}

/// Frames as doubtful as their index: with every frame's best code as likely as the next frame's
/// is a little less, those kept first are the first ones.
#[test]
fn the_most_confident_frames_are_kept_first() {
    fn doubtful(tokens: &[Vec<i64>], _: usize, codebook: usize) -> Vec<f32> {
        let frames = tokens[0].len();
        (0..frames)
            .flat_map(|frame| {
                let best = frame % codebook;
                (0..codebook).map(move |code| {
                    if code == best {
                        (frames - frame) as f32 / 8.0
                    } else {
                        0.0
                    }
                })
            })
            .collect()
    }
    let options = DecodeOptions {
        steps: vec![10],
        schedule: Schedule::Linear,
        greedy: true,
        ..Default::default()
    };
    let (_, passes) = run(&[blank(1, 10, 3, 5)], 3, &options, doubtful).unwrap();
    for (done, pass) in passes.iter().enumerate() {
        let expected: Vec<i64> = (0..10)
            .map(|frame| if frame <= done { frame as i64 % 3 } else { 3 })
            .collect();
        assert_eq!(pass.after[0][0], expected);
    }
}

/// Equal confidence everywhere: the frames are filled in order.
#[test]
fn equals_are_kept_in_the_order_of_frames() {
    fn flat(tokens: &[Vec<i64>], _: usize, codebook: usize) -> Vec<f32> {
        vec![0.5; tokens[0].len() * codebook]
    }
    let options = DecodeOptions {
        steps: vec![5],
        schedule: Schedule::Linear,
        confidence_noise: 0.0,
        ..Default::default()
    };
    let (_, passes) = run(&[blank(1, 5, 7, 5)], 7, &options, flat).unwrap();
    for (done, pass) in passes.iter().enumerate() {
        for frame in 0..5 {
            assert_eq!(pass.after[0][0][frame] == 7, frame > done);
        }
    }
}
