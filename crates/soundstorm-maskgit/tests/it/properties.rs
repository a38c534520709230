//! What holds for every decode, whatever the options, the prompt and the batch.

use proptest::prelude::*;
use soundstorm_maskgit::{Confidence, DecodeOptions, Order, Remask, Remdm, Schedule, row_seed};

use crate::support::{Input, Row, broken_off, golden_script, real, run, run_each};

#[derive(Debug, Clone)]
struct Job {
    inputs: Vec<Input>,
    codebook: usize,
    /// Of each row.
    options: Vec<DecodeOptions>,
}

/// What may be asked for beside the plain options, each with what contradicts it taken away.
fn style(style: usize, options: DecodeOptions) -> DecodeOptions {
    let drawn = DecodeOptions {
        greedy: false,
        ..options.clone()
    };
    let by_confidence = Remdm {
        eta: 0.6,
        by_confidence: true,
    };
    match style {
        0 => DecodeOptions {
            confidence: Confidence::Margin,
            ..options
        },
        1 => DecodeOptions {
            confidence: Confidence::Entropy,
            ..options
        },
        2 => DecodeOptions {
            confidence: Confidence::Critic,
            ..options
        },
        3 => DecodeOptions {
            order: Order::Random,
            ..drawn
        },
        4 => DecodeOptions {
            order: Order::VanDerCorput,
            ..options
        },
        5 => DecodeOptions {
            remask: Remask::LeastConfident,
            ..options
        },
        6 => DecodeOptions {
            remask: Remask::LeastConfident,
            confidence: Confidence::Critic,
            span: 2,
            ..options
        },
        7 => DecodeOptions {
            remask: Remask::cap(0.3),
            ..drawn
        },
        8 => DecodeOptions {
            remask: Remask::Rescale(by_confidence),
            order: Order::Random,
            ..drawn
        },
        9 => DecodeOptions { span: 3, ..options },
        10 => DecodeOptions {
            entropy_budget: Some(2.5),
            clip_schedule: false,
            ..options
        },
        11 => DecodeOptions {
            entropy_budget: Some(0.0),
            order: Order::VanDerCorput,
            clip_schedule: false,
            ..options
        },
        _ => options,
    }
}

fn options() -> impl Strategy<Value = DecodeOptions> {
    (
        prop::collection::vec(1usize..=7, 1..=3),
        any::<bool>(),
        prop::sample::select(vec![0.0, 0.3, 1.0, 1.7]),
        prop::option::of(1usize..=5),
        prop::option::of(prop::sample::select(vec![0.2, 0.7, 1.0])),
        prop::option::of(prop::sample::select(vec![0.2, 0.7, 1.0])),
        prop::sample::select(vec![0.0, 1.0, 4.5]),
        prop::bool::weighted(0.2),
        any::<bool>(),
        0usize..16,
    )
        .prop_map(
            |(
                steps,
                linear,
                temperature,
                top_k,
                top_p,
                typical,
                confidence_noise,
                greedy,
                clip_schedule,
                kind,
            )| {
                let plain = DecodeOptions {
                    steps,
                    schedule: if linear {
                        Schedule::Linear
                    } else {
                        Schedule::Cosine
                    },
                    temperature,
                    top_k,
                    top_p,
                    typical,
                    confidence_noise,
                    greedy,
                    clip_schedule,
                    ..Default::default()
                };
                style(kind, plain)
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

/// A batch; in half of them all rows have the same options.
fn job() -> impl Strategy<Value = Job> {
    (
        1usize..=4,
        prop::sample::select(vec![1usize, 2, 3]),
        prop::sample::select(vec![1usize, 2, 5, 11, 17]),
        prop::sample::select(vec![1usize, 2, 3, 7, 13]),
        prop::collection::vec(options(), 4),
        any::<bool>(),
    )
        .prop_flat_map(|(batch, levels, frames, codebook, options, shared)| {
            let options: Vec<DecodeOptions> = match shared {
                true => vec![options[0].clone(); batch],
                false => options[..batch].to_vec(),
            };
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
    let spans = scheduled_spans(n.div_ceil(options.span), step.min(steps), steps, options);
    n.min(spans * options.span)
}

fn scheduled_spans(n: usize, step: usize, steps: usize, options: &DecodeOptions) -> usize {
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
    let before = scheduled_spans(n, step - 1, steps, options);
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
        let (done, passes) = run_each(&inputs, codebook, &options, golden_script).unwrap();
        for (index, (input, options)) in inputs.iter().zip(&options).enumerate() {
            let n = |level: usize| masked(&input.tokens[level][..input.frames], mask);
            for pass in &passes {
                let (level, step) = (pass.info.level, pass.info.step);
                let (before, after) = (&pass.before[index], &pass.after[index]);
                let steps = options.steps_at(level);
                prop_assert!(pass.info.steps >= steps);
                prop_assert_eq!(pass.info.levels, levels);

                let left = masked(&after[level][..input.frames], mask);
                prop_assert_eq!(pass.info.masked[index], left);
                match options.entropy_budget {
                    None => prop_assert_eq!(left, scheduled(n(level), step, steps, options)),
                    Some(_) => {
                        let before = masked(&before[level][..input.frames], mask);
                        prop_assert!(left < before || before == 0);
                        prop_assert!(left == 0 || step < steps);
                    }
                }

                for other in 0..levels {
                    if other < level {
                        prop_assert_eq!(masked(&before[other][..input.frames], mask), 0);
                    }
                    if other > level {
                        prop_assert_eq!(&after[other], &input.tokens[other]);
                    }
                    for frame in 0..input.tokens[other].len() {
                        let (old, new) = (before[other][frame], after[other][frame]);
                        if old == new {
                            continue;
                        }
                        // Filled, or masked again where that is asked for; never exchanged at once.
                        let own = input.tokens[other][frame] == mask && frame < input.frames;
                        let again = options.remask != Remask::Never && new == mask;
                        prop_assert!(own && other == level && (old == mask || again));
                        if new != mask && (options.greedy || step == steps) {
                            let logits = &pass.logits[index][frame * codebook..][..codebook];
                            prop_assert_eq!(new, argmax(logits));
                        }
                    }
                }
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
        let (_, passes) = run_each(&inputs, codebook, &options, golden_script).unwrap();
        let rows = || inputs.iter().zip(&options);
        let bounded = options.iter().any(|options| options.entropy_budget.is_some());
        let remasks = options.iter().any(|options| options.remask != Remask::Never);
        let fills = |level: usize, step: usize| rows().any(|(input, options)| {
            let n = masked(&input.tokens[level][..input.frames], codebook as i64);
            let steps = options.steps_at(level);
            let after = |step| scheduled(n, step, steps, options);
            after(step) < after(step - 1)
        });
        let steps = |level| options.iter().map(|options| options.steps_at(level)).max().unwrap();
        let expected: Vec<(usize, usize)> = (0..inputs[0].tokens.len())
            .flat_map(|level| (1..=steps(level)).map(move |step| (level, step)))
            .filter(|&(level, step)| fills(level, step))
            .collect();
        let found: Vec<_> = passes.iter().map(|p| (p.info.level, p.info.step)).collect();
        if !bounded && !remasks {
            prop_assert_eq!(&found, &expected);
        }
        for (index, pass) in passes.iter().enumerate() {
            prop_assert_eq!(pass.info.passes_done, index + 1);
            if bounded {
                prop_assert!(pass.info.passes >= found.len());
            } else {
                prop_assert_eq!(pass.info.passes, found.len());
            }
        }
    }

    #[test]
    fn a_row_gets_in_a_batch_what_it_gets_alone(job in job(), more in 0usize..5) {
        let Job { inputs, codebook, options } = job;
        let (together, _) = run_each(&inputs, codebook, &options, golden_script).unwrap();
        let reversed: Vec<Input> = inputs.iter().rev().cloned().collect();
        let other: Vec<DecodeOptions> = options.iter().rev().cloned().collect();
        let (mut backwards, _) = run_each(&reversed, codebook, &other, golden_script).unwrap();
        backwards.reverse();
        prop_assert_eq!(&together, &backwards);
        for ((input, options), together) in inputs.iter().zip(&options).zip(&together) {
            let expected: Row = real(together, input.frames);
            if input.frames > 0 {
                let alone = [input.unpadded()];
                let (alone, _) = run(&alone, codebook, options, golden_script).unwrap();
                prop_assert_eq!(&alone[0], &expected);
            }
            for token in [0, codebook as i64] {
                let padded = [input.padded(input.tokens[0].len() + more, token)];
                let (padded, _) = run(&padded, codebook, options, golden_script).unwrap();
                prop_assert_eq!(&real(&padded[0], input.frames), &expected);
            }
        }
    }

    #[test]
    fn top_1_and_no_temperature_are_greedy_up_to_the_ranking_noise(job in job()) {
        let Job { inputs, codebook, options } = job;
        let plain = DecodeOptions {
            steps: options[0].steps.clone(),
            confidence_noise: 0.0,
            ..Default::default()
        };
        let greedy = DecodeOptions { greedy: true, ..plain.clone() };
        let (greedy, _) = run(&inputs, codebook, &greedy, golden_script).unwrap();
        for options in [
            DecodeOptions { top_k: Some(1), temperature: 1.3, ..plain.clone() },
            DecodeOptions { temperature: 0.0, ..plain.clone() },
            DecodeOptions { top_p: Some(1e-6), ..plain.clone() },
            // Scripted logits are at least 1/1024 apart.
            DecodeOptions { temperature: 2e-5, ..plain },
        ] {
            let (found, _) = run(&inputs, codebook, &options, golden_script).unwrap();
            prop_assert_eq!(&found, &greedy);
        }
    }

    /// Wherever it is broken off, what was kept is kept, what was given is as it was, and all else is
    /// masked; and the passes before are those of the whole decode.
    #[test]
    fn breaking_off_leaves_what_was_kept(job in job(), at in 0usize..9) {
        let Job { inputs, codebook, options } = job;
        let mask = codebook as i64;
        let (_, passes) = run_each(&inputs, codebook, &options, golden_script).unwrap();
        let Some(whole) = passes.get(at) else { return Ok(()) };
        let (tokens, info) = broken_off(&inputs, codebook, &options, at + 1).unwrap();
        prop_assert_eq!(&info, &whole.info);
        prop_assert_eq!(&tokens, &whole.after);
        for (index, input) in inputs.iter().enumerate() {
            for level in 0..input.tokens.len() {
                for frame in 0..input.tokens[level].len() {
                    let (given, found) = (input.tokens[level][frame], tokens[index][level][frame]);
                    prop_assert!((0..=mask).contains(&found));
                    let open = given == mask && frame < input.frames;
                    prop_assert!(open || found == given);
                    prop_assert!(!open || level <= info.level || found == mask);
                    prop_assert!(!open || level >= info.level || found != mask);
                }
                if level == info.level {
                    let left = masked(&tokens[index][level][..input.frames], mask);
                    prop_assert_eq!(left, info.masked[index]);
                }
            }
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
