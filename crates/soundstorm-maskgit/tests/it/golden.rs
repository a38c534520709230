//! Streams and whole decodes against `tests/golden/{decode,options}.json`, written by the scripts of
//! their names beside them.

use serde::Deserialize;
use soundstorm_maskgit::{DecodeOptions, row_seed, step_noise};

use crate::support::{Input, Row, golden_script, run_each};

#[derive(Deserialize)]
struct Golden {
    #[serde(default)]
    row_seeds: Vec<(u64, usize, u64)>,
    #[serde(default)]
    streams: Vec<Stream>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Stream {
    seed: u64,
    level: usize,
    step: usize,
    uniforms: Vec<f32>,
    gumbels: Vec<f32>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    mask_id: usize,
    options: DecodeOptions,
    rows: Vec<CaseRow>,
}

#[derive(Deserialize)]
struct CaseRow {
    seed: u64,
    tokens: Row,
    /// Level, step and the tokens after it, for each step that changes a frame of this row.
    trace: Vec<(usize, usize, Row)>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/decode.json")).unwrap()
}

#[test]
fn row_seeds() {
    for (job, row, expected) in golden().row_seeds {
        assert_eq!(row_seed(job, row), expected, "{job} {row}");
    }
}

#[test]
fn streams() {
    for stream in golden().streams {
        let frames = stream.uniforms.len();
        let noise = step_noise(stream.seed, stream.level, stream.step, frames);
        assert_eq!(noise.uniforms, stream.uniforms);
        for (found, expected) in noise.gumbels.iter().zip(&stream.gumbels) {
            assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1.0));
        }
    }
}

#[test]
fn decodes() {
    golden().cases.iter().for_each(check);
}

/// Each option; among them MaskGIT's published algorithm.
#[test]
fn decodes_with_options() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/options.json")).unwrap();
    assert_eq!(golden.cases.len(), 22);
    golden.cases.iter().for_each(check);
    // All in one batch, each row with its own options.
    for part in golden.cases.chunks(7) {
        check_together(part);
    }
}

/// The script decodes each row alone; here they share a batch, padded with masks.
fn check(case: &Case) {
    check_together(std::slice::from_ref(case));
}

fn check_together(cases: &[Case]) {
    let mask = cases[0].mask_id;
    assert!(cases.iter().all(|case| case.mask_id == mask));
    let rows = || {
        let levels = cases[0].rows[0].tokens.len();
        let fits = move |row: &&CaseRow| row.tokens.len() == levels;
        cases.iter().flat_map(move |case| {
            let rows = case.rows.iter().filter(fits);
            rows.map(move |row| (case, row))
        })
    };
    let frames = rows().map(|(_, row)| row.tokens[0].len()).max().unwrap();
    let padded = |tokens: &Row| {
        Input::new(tokens.clone(), 0)
            .padded(frames, mask as i64)
            .tokens
    };
    let inputs: Vec<Input> = rows()
        .map(|(_, row)| Input::new(row.tokens.clone(), row.seed).padded(frames, mask as i64))
        .collect();
    let options: Vec<DecodeOptions> = rows().map(|(case, _)| case.options.clone()).collect();
    let (_, passes) = run_each(&inputs, mask, &options, golden_script).unwrap();
    for (index, (case, row)) in rows().enumerate() {
        let name = &case.name;
        let mut steps_found = 0;
        for pass in &passes {
            let (level, step) = (pass.info.level, pass.info.step);
            let of_this_step = row.trace.iter().find(|t| (t.0, t.1) == (level, step));
            let expected = match of_this_step {
                Some((_, _, tokens)) => {
                    steps_found += 1;
                    padded(tokens)
                }
                None => pass.before[index].clone(),
            };
            assert_eq!(
                pass.after[index], expected,
                "{name}, row {index}, {level}, {step}"
            );
        }
        assert_eq!(steps_found, row.trace.len(), "{name}, row {index}");
        assert_eq!(inputs[index].frames, row.tokens[0].len());
    }
}
