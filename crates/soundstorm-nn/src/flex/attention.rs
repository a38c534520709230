//! What surrounds the two products of attention: splitting and turning heads,
//! softmax, mixing values, joining heads.

use burn::tensor::{Bool, DType, Tensor, backend::Backend};

use super::{Floats, by_rows, flags_if, give, vector};
use crate::lowest;

/// `[batch, heads, frames, dim_head]`
type Heads = [usize; 4];

/// Query, key and value of every head, the first two turned by `rotary`'s
/// cosines and sines.
///
/// - `qkv`: `[batch, frames, 3 * heads * dim_head]`
/// - `rotary`: `[1, 1, at least frames, dim_head / 2]` each
/// - output: `[batch, heads, frames, dim_head]` each
pub(crate) fn split_heads<B: Backend>(
    qkv: Tensor<B, 3>,
    heads: usize,
    rotary: Option<(&Tensor<B, 4>, &Tensor<B, 4>)>,
) -> Result<[Tensor<B, 4>; 3], Tensor<B, 3>> {
    let [batch, frames, width] = qkv.dims();
    let shape = [batch, heads, frames, width / (3 * heads)];
    let (cos, sin) = rotary.unzip();
    let (Some(cos), Some(sin)) = (Floats::read_if(cos), Floats::read_if(sin)) else {
        return Err(qkv);
    };
    let qkv = Floats::take(qkv)?;
    let tables = cos.as_ref().zip(sin.as_ref());
    let tables = tables.map(|(cos, sin)| (cos.numbers(), sin.numbers()));
    Ok([0, 1, 2].map(|part| {
        let turned = tables.filter(|_| part < 2);
        give(take_part(qkv.numbers(), part, shape, turned), shape)
    }))
}

/// One of query, key and value; turned, if there are tables.
fn take_part(
    qkv: &[f32],
    part: usize,
    [batch, heads, frames, dim_head]: Heads,
    tables: Option<(&[f32], &[f32])>,
) -> Vec<f32> {
    let mut out = vec![0.0; batch * heads * frames * dim_head];
    by_rows(&mut out, dim_head, |first, out| {
        for (row, out) in out.chunks_exact_mut(dim_head).enumerate() {
            let row = first + row;
            let (frame, head) = (row % frames, row / frames % heads);
            let from = row / (frames * heads) * frames + frame;
            let from = ((from * 3 + part) * heads + head) * dim_head;
            let x = &qkv[from..from + dim_head];
            match tables {
                None => out.copy_from_slice(x),
                Some((cos, sin)) => {
                    let half = dim_head / 2;
                    let angle = frame * half..(frame + 1) * half;
                    turn(x, &cos[angle.clone()], &sin[angle], out);
                }
            }
        }
    });
    out
}

/// Turns each pair of channels, one from each half, by an angle.
#[inline(always)]
fn turn(x: &[f32], cos: &[f32], sin: &[f32], out: &mut [f32]) {
    let (x1, x2) = x.split_at(cos.len());
    let (out1, out2) = out.split_at_mut(cos.len());
    let pairs = x1.iter().zip(x2).zip(cos.iter().zip(sin));
    let outs = out1.iter_mut().zip(out2);
    for (((x1, x2), (cos, sin)), (out1, out2)) in pairs.zip(outs) {
        *out1 = x1 * cos - x2 * sin;
        *out2 = x2 * cos + x1 * sin;
    }
}

/// `[batch, heads, frames, dim_head]` to `[batch, frames, heads * dim_head]`.
pub(crate) fn merge_heads<B: Backend>(x: Tensor<B, 4>) -> Result<Tensor<B, 3>, Tensor<B, 4>> {
    let shape = x.dims();
    let [batch, heads, frames, dim_head] = shape;
    let x = Floats::take(x)?;
    let out = merge_rows(x.numbers(), shape);
    Ok(give(out, [batch, frames, heads * dim_head]))
}

fn merge_rows(x: &[f32], [_, heads, frames, dim_head]: Heads) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    by_rows(&mut out, heads * dim_head, |first, out| {
        for (row, out) in out.chunks_exact_mut(heads * dim_head).enumerate() {
            let (row, frame) = ((first + row) / frames, (first + row) % frames);
            for (head, out) in out.chunks_exact_mut(dim_head).enumerate() {
                let from = ((row * heads + head) * frames + frame) * dim_head;
                out.copy_from_slice(&x[from..from + dim_head]);
            }
        }
    });
    out
}

/// `values + (first - values) * sigmoid(gate)`, in place.
///
/// - `values`, `first`, output: `[batch, heads, frames, dim_head]`
/// - `gate`: `[batch, frames, heads]`
pub(crate) fn mix_values<B: Backend>(
    values: Tensor<B, 4>,
    first: &Tensor<B, 4>,
    gate: &Tensor<B, 3>,
) -> Result<Tensor<B, 4>, Tensor<B, 4>> {
    let shape = values.dims();
    let (Some(first), Some(gate)) = (Floats::read(first), Floats::read(gate)) else {
        return Err(values);
    };
    let mut values = Floats::take(values)?;
    mix_rows(values.numbers_mut(), first.numbers(), gate.numbers(), shape);
    Ok(values.give())
}

fn mix_rows(values: &mut [f32], others: &[f32], gate: &[f32], [_, heads, frames, dim_head]: Heads) {
    by_rows(values, dim_head, |first, values| {
        let others = others[first * dim_head..].chunks_exact(dim_head);
        let rows = values.chunks_exact_mut(dim_head).zip(others);
        for (row, (values, others)) in rows.enumerate() {
            let row = first + row;
            let (frame, head) = (row % frames, row / frames % heads);
            let at = (row / (frames * heads) * frames + frame) * heads + head;
            let weight = vector::sigmoid(gate[at]);
            for (value, other) in values.iter_mut().zip(others) {
                *value += (other - *value) * weight;
            }
        }
    });
}

/// The softmax of `scores + bias` over the keys, with no weight on masked ones,
/// in place; rows whose keys are all masked get equal weights.
///
/// - `scores`, output: `[batch, heads, queries, keys]`
/// - `bias`: `[1 or batch, heads, queries, keys]`
/// - `mask`: `[batch, keys]`, true where a key may be attended to
pub(crate) fn masked_softmax<B: Backend>(
    scores: Tensor<B, 4>,
    bias: Option<&Tensor<B, 4>>,
    mask: Option<&Tensor<B, 2, Bool>>,
) -> Result<Tensor<B, 4>, Tensor<B, 4>> {
    let [_, heads, queries, keys] = scores.dims();
    let (Some(bias), Some(real)) = (Floats::read_if(bias), flags_if(mask)) else {
        return Err(scores);
    };
    let mut scores = Floats::take(scores)?;
    let bias = bias.as_ref().map(Floats::numbers);
    let rows = heads * queries;
    softmax_rows(scores.numbers_mut(), keys, rows, bias, real.as_deref());
    Ok(scores.give())
}

/// `rows_of_one`: rows of scores that belong to one row of the batch.
fn softmax_rows(
    scores: &mut [f32],
    keys: usize,
    rows_of_one: usize,
    bias: Option<&[f32]>,
    real: Option<&[bool]>,
) {
    let lowest = lowest(DType::F32);
    by_rows(scores, keys, |first, scores| {
        for (row, scores) in scores.chunks_exact_mut(keys).enumerate() {
            let row = first + row;
            if let Some(bias) = bias {
                // One bias for all rows of the batch comes round again.
                let from = row * keys % bias.len();
                for (score, bias) in scores.iter_mut().zip(&bias[from..from + keys]) {
                    *score += bias;
                }
            }
            if let Some(real) = real {
                let from = row / rows_of_one * keys;
                for (score, &real) in scores.iter_mut().zip(&real[from..from + keys]) {
                    *score = if real { *score } else { lowest };
                }
            }
            let largest = vector::largest(scores);
            for score in scores.iter_mut() {
                *score = vector::exp(*score - largest);
            }
            let scale = vector::sum(scores, |x| x).recip();
            for score in scores.iter_mut() {
                *score *= scale;
            }
        }
    });
}
