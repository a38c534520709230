//! A scripted network on the host, and a decode that records every state.

use std::cell::RefCell;
use std::ops::ControlFlow;

use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use soundstorm_maskgit::{DecodeError, DecodeOptions, DecodeRow, Decoded, Decoding, StepInfo};

pub(crate) type B = Flex;

/// Tokens `[levels][frames]` of one row.
pub(crate) type Row = Vec<Vec<i64>>;

/// Logits of one row: `[frames * codebook]` from its real tokens, the level and the codebook.
pub(crate) type Script = fn(&[Vec<i64>], usize, usize) -> Vec<f32>;

/// The logits of `tests/golden/decode.py`: they depend on every token of the level and of coarser
/// ones.
pub(crate) fn golden_script(tokens: &[Vec<i64>], level: usize, codebook: usize) -> Vec<f32> {
    let mut context = 0;
    for (q, tokens) in tokens[..=level].iter().enumerate() {
        for (frame, token) in tokens.iter().enumerate() {
            context += (*token as usize + 1) * (q + 2) * (frame + 3);
        }
    }
    let mut logits = Vec::new();
    for frame in 0..tokens[level].len() {
        for code in 0..codebook {
            let scrambled = level * 31 + frame * 17 + code * 13 + context * 5 + code * code * frame;
            logits.push((scrambled % 23) as f32 / 4.0 + code as f32 / 1024.0);
        }
    }
    logits
}

/// The critic of `tests/golden/options.py`: the score of each frame.
pub(crate) fn golden_critic(tokens: &[Vec<i64>], level: usize) -> Vec<f32> {
    let mut context = 0;
    for (q, tokens) in tokens[..=level].iter().enumerate() {
        for (frame, token) in tokens.iter().enumerate() {
            context += (*token as usize + 1) * (q + 3) * (frame + 2);
        }
    }
    let score = |(frame, token): (usize, &i64)| {
        let scrambled = context * 7 + *token as usize * 11 + frame * 5;
        (scrambled % 29) as f32 / 8.0 + frame as f32 / 1024.0
    };
    tokens[level].iter().enumerate().map(score).collect()
}

/// One row to decode: its tokens, of which the first `frames` are real, and its seed.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) tokens: Row,
    pub(crate) frames: usize,
    pub(crate) seed: u64,
}

impl Input {
    pub(crate) fn new(tokens: Row, seed: u64) -> Self {
        let frames = tokens[0].len();
        Self {
            tokens,
            frames,
            seed,
        }
    }

    pub(crate) fn row(&self) -> DecodeRow {
        DecodeRow {
            frames: self.frames,
            seed: self.seed,
        }
    }

    /// The row with its padding cut off.
    pub(crate) fn unpadded(&self) -> Self {
        Self {
            tokens: real(&self.tokens, self.frames),
            ..self.clone()
        }
    }

    /// The row padded to `frames` with a token.
    pub(crate) fn padded(&self, frames: usize, token: i64) -> Self {
        let mut padded = self.clone();
        for level in &mut padded.tokens {
            level.resize(frames, token);
        }
        padded
    }
}

pub(crate) fn real(tokens: &[Vec<i64>], frames: usize) -> Row {
    tokens
        .iter()
        .map(|level| level[..frames].to_vec())
        .collect()
}

pub(crate) fn upload(rows: &[Row]) -> Tensor<B, 3, Int> {
    let shape = [rows.len(), rows[0].len(), rows[0][0].len()];
    let flat: Vec<i64> = rows.iter().flatten().flatten().copied().collect();
    Tensor::from_data(TensorData::new(flat, shape), &Default::default())
}

pub(crate) fn download(tokens: Tensor<B, 3, Int>) -> Vec<Row> {
    let [_, levels, frames] = tokens.dims();
    let flat: Vec<i64> = tokens.into_data().iter().collect();
    let levels_of_rows: Vec<Vec<i64>> = flat.chunks(frames).map(<[i64]>::to_vec).collect();
    levels_of_rows.chunks(levels).map(<[_]>::to_vec).collect()
}

/// Before a pass, what the network saw and said; after it, what the observer was told.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) before: Vec<Row>,
    pub(crate) logits: Vec<Vec<f32>>,
    pub(crate) after: Vec<Row>,
    pub(crate) info: StepInfo,
}

/// Decodes with a scripted network that sees each row's real tokens only, and answers NaN at its
/// padding, and with the scripted critic, which does so too.
pub(crate) fn run(
    inputs: &[Input],
    codebook: usize,
    options: &DecodeOptions,
    script: Script,
) -> Result<(Vec<Row>, Vec<Pass>), DecodeError<String>> {
    run_each(
        inputs,
        codebook,
        &vec![options.clone(); inputs.len()],
        script,
    )
}

/// A decode by the golden script that is broken off after so many passes, and the last of them.
pub(crate) fn broken_off(
    inputs: &[Input],
    codebook: usize,
    options: &[DecodeOptions],
    passes: usize,
) -> Option<(Vec<Row>, StepInfo)> {
    let decoded = decoded(inputs, codebook, options, golden_script, |_, info| {
        match info.passes_done == passes {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    match decoded.unwrap() {
        Decoded::Finished(_) => None,
        Decoded::Cancelled { tokens, at } => Some((download(tokens), at)),
    }
}

/// As [`run`], with options for each row.
pub(crate) fn run_each(
    inputs: &[Input],
    codebook: usize,
    options: &[DecodeOptions],
    script: Script,
) -> Result<(Vec<Row>, Vec<Pass>), DecodeError<String>> {
    let mut passes = Vec::new();
    let decoded = decoded(inputs, codebook, options, script, |pass, _| {
        passes.push(pass);
        ControlFlow::Continue(())
    });
    Ok((download(decoded?.into_tokens()), passes))
}

fn decoded(
    inputs: &[Input],
    codebook: usize,
    options: &[DecodeOptions],
    script: Script,
    mut observe: impl FnMut(Pass, &StepInfo) -> ControlFlow<()>,
) -> Result<Decoded<B>, DecodeError<String>> {
    let rows: Vec<DecodeRow> = inputs.iter().map(Input::row).collect();
    let frames = inputs[0].tokens[0].len();
    let seen = RefCell::new(Vec::new());
    let start: Vec<Row> = inputs.iter().map(|input| input.tokens.clone()).collect();
    let shared = options.iter().all(|other| *other == options[0]);
    let mut decoding = Decoding::new(&rows, codebook, &options[0]);
    if !shared {
        decoding = decoding.with_row_options(options);
    }
    decoding
        .with_critic(|tokens, at| {
            let tokens = download(tokens);
            let scores = tokens
                .iter()
                .zip(inputs)
                .map(|(tokens, input)| golden_critic(&real(tokens, input.frames), at.level));
            Ok(padded(scores.collect(), [tokens.len(), frames]))
        })
        .with_observer(|pass| {
            let mut seen = seen.borrow_mut();
            assert_eq!(seen.len(), 1, "one look after each pass");
            let (before, logits) = seen.remove(0);
            let told = Pass {
                before,
                logits,
                after: download(pass.tokens()),
                info: pass.info().clone(),
            };
            observe(told, pass.info())
        })
        .run(upload(&start), |tokens, at| {
            let tokens = download(tokens);
            let logits: Vec<Vec<f32>> = (tokens.iter().zip(inputs))
                .map(|(tokens, input)| script(&real(tokens, input.frames), at.level, codebook))
                .collect();
            seen.borrow_mut().push((tokens.clone(), logits.clone()));
            Ok::<_, String>(padded(logits, [tokens.len(), frames, codebook]))
        })
}

/// Rows of numbers on the device, with NaN at padding.
pub(crate) fn padded<const D: usize>(rows: Vec<Vec<f32>>, shape: [usize; D]) -> Tensor<B, D> {
    let of_row = shape[1..].iter().product();
    let rows = rows.into_iter().map(|mut row| {
        row.resize(of_row, f32::NAN);
        row
    });
    let flat: Vec<f32> = rows.flatten().collect();
    Tensor::from_data(TensorData::new(flat, shape), &Default::default())
}
