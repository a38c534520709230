//! Conditions of every kind: what a row gives counts for it alone, and what it does not give adds
//! nothing.

use burn::tensor::{Tensor, Tolerance};
use soundstorm::conformer::ConformerConfig;
use soundstorm::{
    Conditions, ContextAlignment, ContextConfig, CriticConfig, GlobalConfig, SemanticConfig,
    SoundStorm, SoundStormConfig, SoundStormError,
};

use crate::support::{B, LEVELS, codes, config, model};

pub(crate) const SYMBOLS: usize = 19;
pub(crate) const EMBEDDING: usize = 5;

/// A model that takes all there is.
pub(crate) fn everything(alignment: ContextAlignment) -> SoundStormConfig {
    let encoder = ConformerConfig {
        heads: 1,
        dim_head: 6,
        conv_kernel_size: 3,
        ..ConformerConfig::new(11, 1)
    };
    SoundStormConfig {
        semantic: Some(SemanticConfig::new(11)),
        context: Some(ContextConfig {
            alignment,
            predict_durations: true,
            ..ContextConfig::new(SYMBOLS, encoder)
        }),
        global: Some(GlobalConfig {
            dim: 7,
            speakers: 3,
            embedding: EMBEDDING,
        }),
        ..config()
    }
}

const ALIGNMENTS: [ContextAlignment; 2] = [
    ContextAlignment::CrossAttention,
    ContextAlignment::Durations,
];

/// Rows of 7, 11, 4 and 9 frames: all conditions, some of them, and none.
pub(crate) fn rows() -> (Vec<Conditions>, Vec<usize>) {
    let full = Conditions {
        semantic: Some(vec![1, 5, 3, 9, 0, 2, 4]),
        context: Some(vec![3, 18, 0, 7]),
        durations: Some(vec![2, 1, 0, 4]),
        speaker: Some(2),
        embedding: Some(vec![0.5, -1.0, 0.25, 2.0, -0.75]),
    };
    let some = Conditions {
        context: Some(vec![5; 6]),
        speaker: Some(0),
        ..Conditions::default()
    };
    let voice = Conditions {
        semantic: Some(vec![7; 9]),
        embedding: Some(vec![1.0; EMBEDDING]),
        ..Conditions::default()
    };
    (
        vec![full, some, Conditions::default(), voice],
        vec![7, 11, 4, 9],
    )
}

/// More frames than any row here has.
const LONGEST: usize = 41;

fn logits(
    model: &SoundStorm<B>,
    rows: &[Conditions],
    lengths: &[usize],
    frames: usize,
    first: usize,
) -> Tensor<B, 3> {
    let prepared = model.prepare(rows, Some(lengths), frames).unwrap();
    let codes = codes::<B>(4, LONGEST, 3);
    let codes = codes.slice([first..first + rows.len(), 0..LEVELS, 0..frames]);
    model.level_logits_given(codes, &prepared, Some(lengths), 2)
}

/// Whatever the lengths and conditions of its batch-mates.
#[test]
fn a_row_gets_what_it_gets_alone() {
    for alignment in ALIGNMENTS {
        let model = model::<B>(&everything(alignment));
        let (rows, lengths) = rows();
        let together = logits(&model, &rows, &lengths, 11, 0);
        for (row, &length) in lengths.iter().enumerate() {
            let alone = logits(&model, &rows[row..row + 1], &[length], length, row);
            let got = together.clone().slice([row..row + 1, 0..length]);
            got.into_data()
                .assert_approx_eq::<f32>(&alone.into_data(), Tolerance::absolute(1e-5));
        }
    }
}

/// A row without conditions gets the bits of a pass that knows of none.
#[test]
fn a_null_adds_nothing() {
    for alignment in ALIGNMENTS {
        let model = model::<B>(&everything(alignment));
        let (rows, lengths) = rows();
        let together = logits(&model, &rows, &lengths, 11, 0);
        let codes = codes(4, LONGEST, 3).narrow(2, 0, 11);
        let want = model.level_logits(codes, None, Some(&lengths), 2);
        let row = |x: &Tensor<B, 3>, row| x.clone().slice([row..row + 1, 0..4]).into_data();
        row(&together, 2).assert_eq(&row(&want, 2), true);

        let nulls = vec![Conditions::default(); 4];
        let all = logits(&model, &nulls, &lengths, 11, 0);
        all.into_data().assert_eq(&want.into_data(), true);
    }
}

/// Before training a speaker or an embedding changes no bit.
#[test]
fn an_untrained_voice_changes_nothing() {
    let config = SoundStormConfig {
        global: everything(ContextAlignment::CrossAttention).global,
        ..config()
    };
    let model = config.init::<B>(&Default::default()).unwrap();
    let voices: Vec<Conditions> = (0..4)
        .map(|row| Conditions {
            speaker: (row != 1).then_some(row % 3),
            embedding: (row > 0).then(|| vec![row as f32; EMBEDDING]),
            ..Conditions::default()
        })
        .collect();
    let got = logits(&model, &voices, &[11; 4], 11, 0);
    let nulls = vec![Conditions::default(); 4];
    let want = logits(&model, &nulls, &[11; 4], 11, 0);
    got.into_data().assert_eq(&want.into_data(), true);
}

#[test]
fn each_condition_counts() {
    for alignment in ALIGNMENTS {
        let model = model::<B>(&everything(alignment));
        let (rows, _) = rows();
        let base = logits(&model, &rows[..1], &[7], 7, 0);
        let changes: [fn(&mut Conditions); 5] = [
            |row| row.semantic.as_mut().unwrap()[3] = 1,
            |row| row.context.as_mut().unwrap()[1] = 2,
            |row| row.durations = Some(vec![0, 3, 4, 0]),
            |row| row.speaker = Some(1),
            |row| row.embedding.as_mut().unwrap()[4] = 0.5,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut row = rows[0].clone();
            change(&mut row);
            let other = logits(&model, &[row], &[7], 7, 0);
            let apart = (other - base.clone()).abs().max().into_scalar();
            // Blocks that attend to symbols need no durations.
            let counts = index != 2 || alignment == ContextAlignment::Durations;
            assert_eq!(apart > 1e-4, counts, "{index}: {apart}");
        }
    }
}

/// A speaker that is not given is not the first, and an embedding that is not given is not zero.
#[test]
fn each_half_of_a_voice_may_be_absent() {
    let model = model::<B>(&everything(ContextAlignment::CrossAttention));
    let of = |speaker, embedding: Option<f32>| {
        let row = Conditions {
            speaker,
            embedding: embedding.map(|value| vec![value; EMBEDDING]),
            ..Conditions::default()
        };
        logits(&model, &[row], &[7], 7, 0)
    };
    for (one, other) in [
        (of(None, Some(1.0)), of(Some(0), Some(1.0))),
        (of(Some(1), None), of(Some(1), Some(0.0))),
    ] {
        assert!((one - other).abs().max().into_scalar() > 1e-4);
    }
}

/// Durations that are not given are predicted, and fill the row's own frames.
#[test]
fn durations_are_predicted_where_they_are_needed() {
    let model = model::<B>(&everything(ContextAlignment::Durations));
    let text = |durations| Conditions {
        context: Some(vec![3, 18, 0, 7]),
        durations,
        ..Conditions::default()
    };
    let durations = model.predict_durations(&[text(None)]).unwrap();
    assert_eq!(durations[0].len(), 4);
    let frames = model.predict_frames(&[text(None)]).unwrap()[0];
    assert_eq!(frames, durations[0].iter().sum::<usize>());
    assert!(frames > 0);

    let given = [text(Some(durations[0].clone()))];
    let got = logits(&model, &[text(None)], &[frames], frames, 0);
    let want = logits(&model, &given, &[frames], frames, 0);
    got.into_data().assert_eq(&want.into_data(), true);
    // Two rows of other lengths, each by its own.
    let both = [text(None), text(None)];
    let together = logits(&model, &both, &[frames, LONGEST], LONGEST, 0);
    let alone = logits(&model, &both[..1], &[frames], frames, 0);
    let first = together.slice([0..1, 0..frames]);
    first
        .into_data()
        .assert_approx_eq::<f32>(&alone.into_data(), Tolerance::absolute(1e-5));
}

#[test]
fn what_is_missing_or_given_in_vain_or_out_of_range_is_named() {
    let model = model::<B>(&everything(ContextAlignment::Durations));
    let plain = crate::support::model::<B>(&config());
    let (rows, _) = rows();
    model.require(&rows[..1]).unwrap();
    let missing = |change: fn(&mut Conditions)| {
        let mut row = rows[0].clone();
        change(&mut row);
        match model.require(&[rows[0].clone(), row]).unwrap_err() {
            SoundStormError::Missing { what, row: 1 } => what,
            other => panic!("{other}"),
        }
    };
    assert!(missing(|row| row.semantic = None).contains("semantic"));
    assert!(missing(|row| row.context = None).contains("context"));
    assert!(missing(|row| (row.speaker, row.embedding) = (None, None)).contains("speaker"));

    let vain = |change: fn(&mut Conditions)| {
        let mut row = Conditions::default();
        change(&mut row);
        match plain.prepare(&[row], None, 7).unwrap_err() {
            SoundStormError::Unused { what, row: 0 } => what,
            other => panic!("{other}"),
        }
    };
    assert!(vain(|row| row.semantic = Some(vec![1])).contains("semantic"));
    assert!(vain(|row| row.context = Some(vec![1])).contains("context"));
    assert!(vain(|row| row.speaker = Some(0)).contains("speaker"));
    assert!(vain(|row| row.embedding = Some(vec![])).contains("speaker"));

    let bad = |change: fn(&mut Conditions)| {
        let mut row = rows[0].clone();
        change(&mut row);
        let rows = [rows[1].clone(), row];
        model
            .prepare(&rows, Some(&[7, 7]), 7)
            .unwrap_err()
            .to_string()
    };
    let symbol = bad(|row| row.context.as_mut().unwrap()[2] = SYMBOLS as i64);
    assert!(symbol.contains("row 1") && symbol.contains("frame 2") && symbol.contains("19"));
    assert!(bad(|row| row.semantic.as_mut().unwrap()[1] = 11).contains("semantic"));
    let speaker = bad(|row| row.speaker = Some(3));
    assert!(
        speaker.contains("row 1") && speaker.contains('3'),
        "{speaker}"
    );
    assert!(bad(|row| row.embedding = Some(vec![0.0; 4])).contains("5 numbers in row 1"));
    assert!(bad(|row| row.embedding = Some(vec![f32::NAN; 5])).contains("finite"));
    assert!(bad(|row| row.durations = Some(vec![1; 3])).contains("4 symbols of row 1"));
    assert!(bad(|row| row.durations = Some(vec![2; 4])).contains("at most 7 frames"));

    let one_part = |global| {
        let config = SoundStormConfig {
            global: Some(global),
            ..config()
        };
        let model = crate::support::model::<B>(&config);
        let row = Conditions {
            speaker: Some(0),
            embedding: Some(vec![0.0; EMBEDDING]),
            ..Conditions::default()
        };
        model.prepare(&[row], None, 7).unwrap_err().to_string()
    };
    let embedding = GlobalConfig {
        dim: 7,
        speakers: 0,
        embedding: EMBEDDING,
    };
    assert!(one_part(embedding).contains("a speaker of a table"));
    assert!(one_part(GlobalConfig::speakers(7, 3)).contains("a given embedding"));

    let lengths = model.prepare(&rows[..1], Some(&[8]), 7).unwrap_err();
    assert!(lengths.to_string().contains("lengths"));
    let none = plain.predict_frames(&[Conditions::default()]).unwrap_err();
    assert!(none.to_string().contains("predictor"));
    let mut blind = everything(ContextAlignment::Durations);
    blind.context.as_mut().unwrap().predict_durations = false;
    let blind = crate::support::model::<B>(&blind);
    let row = [rows[1].clone()];
    let needed = blind.prepare(&row, None, 11).unwrap_err().to_string();
    assert!(needed.contains("durations"), "{needed}");
}

/// A critic of its own takes what its generator takes, of widths of its own.
#[test]
fn critics_are_conditioned_and_do_not_see_padding() {
    let own = ConformerConfig {
        heads: 2,
        dim_head: 4,
        conv_kernel_size: 3,
        ..ConformerConfig::new(17, 1)
    };
    for critic in [
        CriticConfig::SelfCritic {},
        CriticConfig::Token { conformer: own },
    ] {
        for alignment in ALIGNMENTS {
            let config = SoundStormConfig {
                critic: Some(critic.clone()),
                ..everything(alignment)
            };
            let model = model::<B>(&config);
            let (rows, lengths) = rows();
            let scores = |rows: &[Conditions], lengths: &[usize], frames: usize, first: usize| {
                let prepared = model.prepare(rows, Some(lengths), frames).unwrap();
                let codes = codes::<B>(4, 11, 3);
                let codes = codes.slice([first..first + rows.len(), 0..LEVELS, 0..frames]);
                let scores = model.critic_scores(codes, &prepared, Some(lengths), 1);
                scores.unwrap()
            };
            let together = scores(&rows, &lengths, 11, 0);
            for (row, &length) in lengths.iter().enumerate() {
                let alone = scores(&rows[row..row + 1], &[length], length, row);
                let got = together.clone().slice([row..row + 1, 0..length]);
                got.into_data()
                    .assert_approx_eq::<f32>(&alone.into_data(), Tolerance::absolute(1e-5));
            }
            for changed in 0..3 {
                let mut row = rows[0].clone();
                match changed {
                    0 => row.semantic = None,
                    1 => (row.context, row.durations) = (None, None),
                    _ => row.speaker = Some(1),
                }
                let apart = scores(&[row], &[7], 7, 0) - scores(&rows[..1], &[7], 7, 0);
                assert!(apart.abs().max().into_scalar() > 1e-4, "{changed}");
            }
        }
    }
    let model = model::<B>(&config());
    let prepared = model.prepare(&[Conditions::default()], None, 7).unwrap();
    let none = model.critic_scores(codes(1, 7, 1), &prepared, None, 0);
    assert!(none.unwrap_err().to_string().contains("critic"));
}
