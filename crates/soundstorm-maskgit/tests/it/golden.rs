//! Streams and whole decodes against `tests/golden/decode.json`, written by `decode.py` beside it.

use serde::Deserialize;
use soundstorm_maskgit::{DecodeOptions, row_seed, step_noise};

use crate::support::{Input, Row, golden_script, run};

#[derive(Deserialize)]
struct Golden {
    row_seeds: Vec<(u64, usize, u64)>,
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
    /// Level, step and the tokens after it, for each step that fills a frame of this row.
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

/// The script decodes each row alone; here they share a batch, padded with masks.
#[test]
fn decodes() {
    for case in golden().cases {
        let name = &case.name;
        let frames = case.rows.iter().map(|r| r.tokens[0].len()).max().unwrap();
        let inputs: Vec<Input> = case
            .rows
            .iter()
            .map(|row| Input::new(row.tokens.clone(), row.seed).padded(frames, case.mask_id as i64))
            .collect();
        let (_, passes) = run(&inputs, case.mask_id, &case.options, golden_script).unwrap();
        for (index, (row, input)) in case.rows.iter().zip(&inputs).enumerate() {
            let mut steps_found = 0;
            for pass in &passes {
                let (level, step) = (pass.info.level, pass.info.step);
                let of_this_step = row.trace.iter().find(|t| (t.0, t.1) == (level, step));
                let expected = match of_this_step {
                    Some((_, _, tokens)) => {
                        steps_found += 1;
                        Input::new(tokens.clone(), 0)
                            .padded(frames, case.mask_id as i64)
                            .tokens
                    }
                    None => pass.before[index].clone(),
                };
                assert_eq!(
                    pass.after[index], expected,
                    "{name}, row {index}, {level}, {step}"
                );
            }
            assert_eq!(steps_found, row.trace.len(), "{name}, row {index}");
            assert_eq!(input.frames, row.tokens[0].len());
        }
    }
}
