//! What an observer and a critic are told.

use std::ops::ControlFlow;

use burn::tensor::{Int, Tensor};
use soundstorm_maskgit::{
    Confidence, DecodeError, DecodeOptions, DecodeRow, Decoding, Order, PassAt, Remask, Remdm,
    Schedule,
};

use crate::support::{B, download, upload};

const CODEBOOK: usize = 3;

/// Logits that favour code 1 the more, the later the frame: of weights 1, frame + 2, 1.
fn logits(frames: usize) -> Tensor<B, 3> {
    let weights: Vec<f32> = (0..frames)
        .flat_map(|frame| [0.0, (frame as f32 + 2.0).ln(), 0.0])
        .collect();
    Tensor::<B, 1>::from_data(weights.as_slice(), &Default::default())
        .reshape([1, frames, CODEBOOK])
}

fn numbers(tensor: Tensor<B, 2>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn flags(tensor: Tensor<B, 2, burn::tensor::Bool>) -> Vec<bool> {
    tensor.into_data().iter().collect()
}

/// Five frames, of which frame 2 is given, in two linear steps: first the latest two of four, as they
/// are the surest, then the rest.
#[test]
fn a_pass_tells_candidates_and_what_was_kept() {
    let rows = [DecodeRow { frames: 5, seed: 1 }];
    let options = DecodeOptions {
        steps: vec![2],
        schedule: Schedule::Linear,
        greedy: true,
        ..Default::default()
    };
    let mut told = Vec::new();
    Decoding::<B, String>::new(&rows, CODEBOOK, &options)
        .with_observer(|pass| {
            told.push((
                flags(pass.candidates()),
                flags(pass.kept()),
                flags(pass.remasked()),
                numbers(pass.log_probability()),
                download(pass.tokens())[0][0].clone(),
                pass.info().masked.clone(),
            ));
            ControlFlow::Continue(())
        })
        .run(upload(&[vec![vec![3, 3, 0, 3, 3]]]), |_, _| Ok(logits(5)))
        .unwrap();
    let (yes, no) = (true, false);
    let probability = |frame: f32| ((frame + 2.0) / (frame + 4.0)).ln();
    let near = |found: &[f32], expected: [f32; 5]| {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    };
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].0, [yes, yes, no, yes, yes]);
    assert_eq!(told[0].1, [no, no, no, yes, yes]);
    assert_eq!(told[0].2, [no; 5]);
    let [p0, p1, p3, p4] = [0.0, 1.0, 3.0, 4.0].map(probability);
    near(&told[0].3, [p0, p1, 0.0, p3, p4]);
    assert_eq!(told[0].4, [3, 3, 0, 1, 1]);
    assert_eq!(told[0].5, [2]);
    assert_eq!(told[1].0, [yes, yes, no, no, no]);
    assert_eq!(told[1].1, [yes, yes, no, no, no]);
    near(&told[1].3, [p0, p1, 0.0, 0.0, 0.0]);
    assert_eq!(told[1].4, [1, 1, 0, 1, 1]);
}

/// A critic that likes early frames at the first step and late ones at the second: what was kept is
/// masked again. It sees a candidate everywhere in the level, and the mask id in the finer one.
#[test]
fn a_critic_sees_candidates_and_may_change_its_mind() {
    let rows = [DecodeRow { frames: 4, seed: 1 }];
    let options = DecodeOptions {
        steps: vec![3, 1],
        schedule: Schedule::Linear,
        greedy: true,
        confidence: Confidence::Critic,
        remask: Remask::LeastConfident,
        ..Default::default()
    };
    let mut asked = Vec::new();
    let mut kept = Vec::new();
    let decoding = Decoding::<B, String>::new(&rows, CODEBOOK, &options)
        .with_critic(|tokens: Tensor<B, 3, Int>, at: PassAt| {
            asked.push((at.level, at.step, download(tokens)[0].clone()));
            let early = [[4.0, 3.0, 2.0, 1.0]];
            let scores = Tensor::from_data(early, &Default::default());
            Ok(if at.step == 1 { scores } else { -scores })
        })
        .with_observer(|pass| {
            kept.push((flags(pass.kept()), flags(pass.remasked())));
            ControlFlow::Continue(())
        });
    decoding
        .run(upload(&[vec![vec![3; 4]; 2]]), |_, _| Ok(logits(4)))
        .unwrap();
    // The last steps fill what is left, and ask nobody.
    let all = vec![vec![1; 4], vec![3; 4]];
    assert_eq!(asked, [(0, 1, all.clone()), (0, 2, all)]);
    let (yes, no) = (true, false);
    // floor(4 * 2/3) = 2 stay masked, then floor(4 * 1/3) = 1: of the late ones, three stay.
    assert_eq!(kept[0], (vec![yes, yes, no, no], vec![no; 4]));
    assert_eq!(kept[1], (vec![no, no, yes, yes], vec![yes, no, no, no]));
    assert_eq!(kept[2], (vec![yes, no, no, no], vec![no; 4]));
}

fn critical() -> DecodeOptions {
    DecodeOptions {
        steps: vec![3],
        confidence: Confidence::Critic,
        ..Default::default()
    }
}

fn criticised(
    options: &DecodeOptions,
    critic: impl FnMut(Tensor<B, 3, Int>, PassAt) -> Result<Tensor<B, 2>, String>,
) -> DecodeError<String> {
    let rows = [DecodeRow { frames: 5, seed: 1 }; 2];
    let net = |_, _| Ok(logits(7).repeat_dim(0, 2));
    let tokens = upload(&vec![vec![vec![3; 7]]; 2]);
    Decoding::<B, String>::new(&rows, CODEBOOK, options)
        .with_critic(critic)
        .run(tokens, net)
        .unwrap_err()
}

#[test]
fn bad_critics_are_told() {
    let (level, step) = (0, 1);
    let error = criticised(&critical(), |_, _| {
        Ok(Tensor::zeros([2, 6], &Default::default()))
    });
    let (expected, got) = ([2, 7], [2, 6]);
    assert_eq!(
        error,
        DecodeError::Scores {
            level,
            step,
            expected,
            got
        }
    );
    let source = "out of order".to_owned();
    let error = criticised(&critical(), |_, _| Err("out of order".to_owned()));
    assert_eq!(
        error,
        DecodeError::Critic {
            level,
            step,
            source
        }
    );
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        // Padding may be anything.
        let error = criticised(&critical(), |_, at| {
            let scores = Tensor::<B, 2>::zeros([2, 7], &Default::default());
            let scores = scores.slice_fill([0..2, 5..7], bad);
            Ok(match at.step {
                2 => scores.slice_fill([1..2, 0..5], bad),
                _ => scores,
            })
        });
        let (step, row) = (2, 1);
        assert_eq!(error, DecodeError::ScoresNotFinite { level, step, row });
    }
}

#[test]
fn a_critic_is_needed_where_it_is_asked_for() {
    let rows = [DecodeRow { frames: 7, seed: 1 }; 2];
    let options = [DecodeOptions::default(), critical()];
    let tokens = || upload(&vec![vec![vec![3; 7]]; 2]);
    let net = |_, _| Ok(logits(7).repeat_dim(0, 2));
    let run = |options| {
        Decoding::<B, String>::new(&rows, CODEBOOK, &critical())
            .with_row_options(options)
            .run(tokens(), net)
            .unwrap_err()
    };
    assert_eq!(run(&options), DecodeError::NoCritic);
    let (expected, got) = (2, 1);
    assert_eq!(
        run(&options[..1]),
        DecodeError::RowOptions { expected, got }
    );
}

/// Where kept frames are ranked with candidates, their logits must be sound too.
#[test]
fn logits_of_ranked_frames_are_looked_at() {
    let rows = [DecodeRow { frames: 4, seed: 1 }];
    let run = |remask| {
        let options = DecodeOptions {
            steps: vec![3],
            remask,
            ..Default::default()
        };
        let tokens = upload(&[vec![vec![3; 4]]]);
        let net = |tokens: Tensor<B, 3, Int>, _| {
            let mut values: Vec<f32> = logits(4).into_data().iter().collect();
            for (frame, &token) in download(tokens)[0][0].iter().enumerate() {
                if token < 3 {
                    values[3 * frame] = f32::NAN;
                }
            }
            let values = Tensor::<B, 1>::from_data(values.as_slice(), &Default::default());
            Ok(values.reshape([1, 4, 3]))
        };
        Decoding::<B, String>::new(&rows, CODEBOOK, &options).run(tokens, net)
    };
    run(Remask::Never).unwrap();
    run(Remask::cap(0.5)).unwrap();
    let (level, step, row) = (0, 2, 0);
    assert_eq!(
        run(Remask::LeastConfident).unwrap_err(),
        DecodeError::NotFinite { level, step, row }
    );
}

/// Codes that were kept and are impossible now are the first to go, but not more of them than the
/// count says, and not for frames that were given, such as the first here.
#[test]
fn impossible_codes_go_first() {
    let rows = [DecodeRow { frames: 6, seed: 1 }];
    let options = DecodeOptions {
        steps: vec![5],
        schedule: Schedule::Linear,
        greedy: true,
        remask: Remask::LeastConfident,
        ..Default::default()
    };
    let mut left = Vec::new();
    let mut lost = Vec::new();
    Decoding::<B, String>::new(&rows, CODEBOOK, &options)
        .with_observer(|pass| {
            let tokens = download(pass.tokens())[0][0].clone();
            left.push(tokens.iter().filter(|&&token| token == 3).count());
            lost.push(flags(pass.remasked()).iter().filter(|&&lost| lost).count());
            ControlFlow::Continue(())
        })
        .run(upload(&[vec![vec![0, 3, 3, 3, 3, 3]]]), |_, at| {
            let banned = logits(6).slice_fill([0..1, 0..6, 1..2], f32::NEG_INFINITY);
            Ok(if at.step < 4 { logits(6) } else { banned })
        })
        .unwrap();
    // Before the fourth step three impossible codes are kept; of five, four are to be.
    assert_eq!(left, [4, 3, 2, 1, 0]);
    assert_eq!(lost, [0, 0, 0, 1, 0]);
}

/// Even frames were filled with a probability near 1, odd ones with 1/3: by confidence the odd ones
/// are masked again more often, by exp(1 - 1/3) to 1.
#[test]
fn doubtful_frames_are_drawn_more_often() {
    let frames = 900;
    let rows = [DecodeRow { frames, seed: 1 }];
    let drawn = |by_confidence| {
        let options = DecodeOptions {
            steps: vec![3],
            schedule: Schedule::Linear,
            order: Order::Random,
            remask: Remask::Cap(Remdm {
                eta: 0.3,
                by_confidence,
            }),
            ..Default::default()
        };
        let mut counts = [0.0; 2];
        Decoding::<B, String>::new(&rows, CODEBOOK, &options)
            .with_observer(|pass| {
                for (frame, lost) in flags(pass.remasked()).into_iter().enumerate() {
                    counts[frame % 2] += f64::from(u8::from(lost));
                }
                ControlFlow::Continue(())
            })
            .run(upload(&[vec![vec![3; frames]]]), |_, _| {
                let sure = |frame| if frame % 2 == 0 { 9.0 } else { 0.0 };
                let values: Vec<f32> = (0..frames).flat_map(|f| [0.0, sure(f), 0.0]).collect();
                let values = Tensor::<B, 1>::from_data(values.as_slice(), &Default::default());
                Ok(values.reshape([1, frames, CODEBOOK]))
            })
            .unwrap();
        // 0.3 of 300 kept ones.
        assert_eq!(counts[0] + counts[1], 90.0);
        counts[1] / counts[0]
    };
    let (equal, weighted) = (drawn(false), drawn(true));
    assert!((0.7..1.4).contains(&equal), "{equal}");
    assert!((1.45..2.8).contains(&weighted), "{weighted}");
}

/// Of rows with options of their own, the first that has bad logits is told.
#[test]
fn the_first_bad_row_is_told() {
    let rows = [DecodeRow { frames: 5, seed: 1 }; 3];
    let plain = DecodeOptions::default();
    let other = DecodeOptions {
        temperature: 0.5,
        ..plain.clone()
    };
    let options = [plain.clone(), other, plain.clone()];
    let error = Decoding::<B, String>::new(&rows, CODEBOOK, &plain)
        .with_row_options(&options)
        .run(upload(&vec![vec![vec![3; 5]]; 3]), |_, _| {
            let logits = logits(5).repeat_dim(0, 3);
            Ok(logits.slice_fill([1..3, 4..5, 0..1], f32::NAN))
        })
        .unwrap_err();
    let (level, step, row) = (0, 1, 1);
    assert_eq!(error, DecodeError::NotFinite { level, step, row });
}
