//! A scripted network on the host, and a decode that records every state.

use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use soundstorm_maskgit::{DecodeError, DecodeOptions, DecodeRow, StepInfo, decode};

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
/// padding.
pub(crate) fn run(
    inputs: &[Input],
    codebook: usize,
    options: &DecodeOptions,
    script: Script,
) -> Result<(Vec<Row>, Vec<Pass>), DecodeError<String>> {
    let rows: Vec<DecodeRow> = inputs
        .iter()
        .map(|input| DecodeRow {
            frames: input.frames,
            seed: input.seed,
        })
        .collect();
    let frames = inputs[0].tokens[0].len();
    let mut seen = Vec::new();
    let mut infos = Vec::new();
    let start: Vec<Row> = inputs.iter().map(|input| input.tokens.clone()).collect();
    let net = |tokens: Tensor<B, 3, Int>, level: usize| {
        let tokens = download(tokens);
        let logits: Vec<Vec<f32>> = (tokens.iter().zip(inputs))
            .map(|(tokens, input)| script(&real(tokens, input.frames), level, codebook))
            .collect();
        let mut flat = Vec::new();
        for row in &logits {
            flat.extend(row);
            flat.resize(flat.len() + frames * codebook - row.len(), f32::NAN);
        }
        let shape = [tokens.len(), frames, codebook];
        seen.push((tokens, logits));
        Ok::<_, String>(Tensor::from_data(
            TensorData::new(flat, shape),
            &Default::default(),
        ))
    };
    let done = decode(upload(&start), &rows, codebook, options, net, |info| {
        infos.push(info.clone());
    })?;
    let done = download(done);
    assert_eq!(seen.len(), infos.len());
    let mut after: Vec<_> = seen
        .iter()
        .skip(1)
        .map(|(tokens, _)| tokens.clone())
        .collect();
    after.push(done.clone());
    let passes = (seen.into_iter().zip(after).zip(infos))
        .map(|(((before, logits), after), info)| Pass {
            before,
            logits,
            after,
            info,
        })
        .collect();
    Ok((done, passes))
}
