//! Generation by the whole model.

use proptest::prelude::*;
use soundstorm::maskgit::DecodeOptions;
use soundstorm::{GenerateRow, Prompt, RowCodes, SoundStorm};

use crate::support::{B, CODES, LEVELS, codes, conditioned, config, model};

fn prompt(frames: usize, conditioned: bool) -> Prompt {
    let flat: Vec<i64> = codes::<B>(1, frames, 9).into_data().iter::<i64>().collect();
    Prompt {
        codes: flat.chunks(frames).map(<[i64]>::to_vec).collect(),
        semantic: conditioned.then(|| (0..frames as i64).map(|t| t % 11).collect()),
    }
}

fn row(frames: usize, seed: u64, prompt: Option<Prompt>) -> GenerateRow {
    let semantic = (0..frames as i64)
        .map(|t| (t * 3 + seed as i64 % 5) % 11)
        .collect();
    GenerateRow {
        frames: Some(frames),
        seed,
        semantic: Some(semantic),
        prompt,
        ..GenerateRow::default()
    }
}

fn generate(model: &SoundStorm<B>, rows: &[GenerateRow], options: &DecodeOptions) -> Vec<RowCodes> {
    model.generate(rows, options, |_| ()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever its batch-mates, their lengths and prompts, a row is the same.
    #[test]
    fn a_row_in_a_batch_is_the_row_alone(
        seed in 0u64..1000,
        lengths in proptest::collection::vec(1usize..13, 1..4),
        prompts in proptest::collection::vec(0usize..6, 3),
        position in 0usize..4,
    ) {
        let config = conditioned();
        let model = model::<B>(&config);
        let own = row(7, seed, Some(prompt(4, true)));
        let mut rows: Vec<_> = lengths
            .iter()
            .zip(&prompts)
            .enumerate()
            .map(|(i, (&frames, &p))| row(frames, i as u64, (p > 0).then(|| prompt(p, true))))
            .collect();
        let position = position.min(rows.len());
        rows.insert(position, own.clone());
        let together = generate(&model, &rows, &config.generation);
        let alone = generate(&model, &[own], &config.generation);
        prop_assert_eq!(&together[position], &alone[0]);
        for (row, codes) in rows.iter().zip(&together) {
            prop_assert_eq!(codes.len(), LEVELS);
            for level in codes {
                prop_assert_eq!(level.len(), row.frames.unwrap());
                prop_assert!(level.iter().all(|code| (0..CODES as i64).contains(code)));
            }
        }
    }
}

/// Frames that are added to reach a multiple are padding: nothing of them is seen.
#[test]
fn a_multiple_of_frames_changes_nothing() {
    let config = conditioned();
    let model = model::<B>(&config);
    let rows = [row(13, 1, None), row(5, 2, Some(prompt(4, true)))];
    let want = generate(&model, &rows, &config.generation);
    let mut seen = Vec::new();
    for multiple in [11, 13, 17] {
        let model = model.clone().with_frame_multiple(multiple);
        assert_eq!(generate(&model, &rows, &config.generation), want);
        seen.push(model.padded(13));
    }
    assert_eq!(seen, [22, 13, 17]);
}

#[test]
fn seeds_tell_rows_apart_and_repeat() {
    let config = conditioned();
    let model = model::<B>(&config);
    let rows = [row(13, 1, None), row(13, 2, None), row(13, 1, None)];
    // Their semantic tokens are the same.
    let rows = rows.map(|mut row| {
        row.semantic = Some(vec![4; 13]);
        row
    });
    let codes = generate(&model, &rows, &config.generation);
    assert_eq!(codes[0], codes[2]);
    assert_ne!(codes[0], codes[1]);
}

/// A prompt and semantic tokens change what follows; frames default to what the
/// semantic tokens cover.
#[test]
fn prompts_and_conditions_are_heard() {
    let config = conditioned();
    let model = model::<B>(&config);
    let greedy = DecodeOptions {
        greedy: true,
        ..config.generation
    };
    let plain = generate(&model, &[row(13, 0, None)], &greedy);
    let prompted = generate(&model, &[row(13, 0, Some(prompt(5, true)))], &greedy);
    assert_ne!(plain, prompted);
    let mut other = row(13, 0, None);
    other.semantic = Some(vec![7; 13]);
    assert_ne!(plain, generate(&model, &[other], &greedy));
    let mut open = row(13, 0, Some(prompt(5, true)));
    open.frames = None;
    assert_eq!(prompted, generate(&model, &[open], &greedy));
}

/// One greedy pass a level is the argmax of each level given the coarser ones.
#[test]
fn greedy_generation_is_the_argmax_level_by_level() {
    use burn::tensor::{Int, Tensor};

    let model = model::<B>(&config());
    let options = DecodeOptions {
        steps: vec![1],
        greedy: true,
        ..DecodeOptions::default()
    };
    let rows = [GenerateRow {
        frames: Some(7),
        ..GenerateRow::default()
    }];
    let mut passes = 0;
    let got = model
        .generate(&rows, &options, |info| passes = info.passes_done)
        .unwrap();
    assert_eq!(passes, LEVELS);

    let mut tokens = Tensor::<B, 3, Int>::full([1, LEVELS, 7], CODES as i64, &Default::default());
    for level in 0..LEVELS {
        let best = model
            .level_logits(tokens.clone(), None, None, level)
            .argmax(2);
        let best = best.reshape([1, 1, 7]);
        tokens = tokens.slice_assign([0..1, level..level + 1, 0..7], best);
    }
    let want: Vec<i64> = tokens.into_data().iter::<i64>().collect();
    assert_eq!(got[0].concat(), want);
}

#[test]
fn only_the_level_asked_for_is_projected() {
    let mut model = model::<B>(&config());
    let frames = codes(1, 7, 1);
    let before = model
        .level_logits(frames.clone(), None, None, 2)
        .into_data();
    let all = model.logits(frames.clone(), None, None);
    let third = all.narrow(1, 2, 1).reshape([1, 7, CODES]);
    third.into_data().assert_eq(&before, true);
    // The other levels' heads are not read.
    let device = Default::default();
    let nan = burn::tensor::Tensor::<B, 2>::full([LEVELS, CODES], f32::NAN, &device);
    let own = model.head.bias.val().narrow(0, 2, 1);
    model.head.bias = burn::module::Param::from_tensor(nan.slice_assign([2..3, 0..CODES], own));
    model
        .level_logits(frames, None, None, 2)
        .into_data()
        .assert_eq(&before, true);
}

#[test]
fn what_does_not_fit_is_refused() {
    let config = conditioned();
    let model = model::<B>(&config);
    let refuse = |row: GenerateRow| {
        let result = model.generate(&[row], &config.generation, |_| ());
        result.err().unwrap().to_string()
    };
    let mut few = prompt(3, true);
    few.codes.pop();
    assert!(refuse(row(7, 0, Some(few))).contains("5 levels, got 4"));
    let mut uneven = prompt(3, true);
    uneven.codes[2].pop();
    assert!(refuse(row(7, 0, Some(uneven))).contains("3 frames in every level"));
    let mut high = prompt(3, true);
    high.codes[4][1] = 17;
    assert!(refuse(row(7, 0, Some(high))).contains("level 5"));
    assert!(refuse(row(7, 0, Some(prompt(3, false)))).contains("the prompt has none"));
    assert!(refuse(row(0, 0, None)).contains("no frames"));
    let mut missing = row(7, 0, None);
    missing.semantic = None;
    assert!(refuse(missing).contains("none are given"));
    let mut bad = row(7, 0, None);
    bad.semantic = Some(vec![11; 7]);
    assert!(refuse(bad).contains("not within 0 and 10"));
}
