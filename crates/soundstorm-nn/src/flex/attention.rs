//! What surrounds the two products of attention: splitting and turning heads,
//! softmax, mixing values, joining heads.

use burn::tensor::{Bool, DType, Tensor, backend::Backend};

use super::{Floats, by_rows, flags_if, give, vector};
use crate::lowest;

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
    let dim_head = width / (3 * heads);
    let rotary = match rotary {
        None => None,
        Some((cos, sin)) => match (Floats::read(cos), Floats::read(sin)) {
            (Some(cos), Some(sin)) => Some((cos, sin)),
            _ => return Err(qkv),
        },
    };
    let qkv = Floats::take(qkv)?;
    let shape = [batch, heads, frames, dim_head];
    let part = |index: usize| {
        let turned = rotary.as_ref().filter(|_| index < 2);
        let half = dim_head / 2;
        let mut out = vec![0.0; shape.iter().product()];
        by_rows(&mut out, dim_head, |first, out| {
            for (row, out) in out.chunks_exact_mut(dim_head).enumerate() {
                let row = first + row;
                let (frame, head) = (row % frames, row / frames % heads);
                let from = row / (frames * heads) * frames + frame;
                let from = from * width + (index * heads + head) * dim_head;
                let x = &qkv.numbers()[from..from + dim_head];
                let Some((cos, sin)) = turned else {
                    out.copy_from_slice(x);
                    continue;
                };
                let (cos, sin) = (
                    &cos.numbers()[frame * half..][..half],
                    &sin.numbers()[frame * half..][..half],
                );
                let (x1, x2) = (&x[..half], &x[half..]);
                let (out1, out2) = out.split_at_mut(half);
                for i in 0..half {
                    out1[i] = x1[i] * cos[i] - x2[i] * sin[i];
                    out2[i] = x2[i] * cos[i] + x1[i] * sin[i];
                }
            }
        });
        give(out, shape)
    };
    Ok([part(0), part(1), part(2)])
}

/// `[batch, heads, frames, dim_head]` to `[batch, frames, heads * dim_head]`.
pub(crate) fn merge_heads<B: Backend>(x: Tensor<B, 4>) -> Result<Tensor<B, 3>, Tensor<B, 4>> {
    let [batch, heads, frames, dim_head] = x.dims();
    let x = Floats::take(x)?;
    let mut out = vec![0.0; batch * frames * heads * dim_head];
    by_rows(&mut out, heads * dim_head, |first, out| {
        for (row, out) in out.chunks_exact_mut(heads * dim_head).enumerate() {
            let (row, frame) = ((first + row) / frames, (first + row) % frames);
            for (head, out) in out.chunks_exact_mut(dim_head).enumerate() {
                let from = ((row * heads + head) * frames + frame) * dim_head;
                out.copy_from_slice(&x.numbers()[from..from + dim_head]);
            }
        }
    });
    Ok(give(out, [batch, frames, heads * dim_head]))
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
    let [_, heads, frames, dim_head] = values.dims();
    let (Some(other), Some(gate)) = (Floats::read(first), Floats::read(gate)) else {
        return Err(values);
    };
    let mut values = Floats::take(values)?;
    by_rows(values.numbers_mut(), dim_head, |first, numbers| {
        let others = other.numbers()[first * dim_head..].chunks_exact(dim_head);
        for (row, (values, others)) in numbers.chunks_exact_mut(dim_head).zip(others).enumerate() {
            let row = first + row;
            let (frame, head) = (row % frames, row / frames % heads);
            let at = (row / (frames * heads) * frames + frame) * heads + head;
            let weight = vector::sigmoid(gate.numbers()[at]);
            for (value, other) in values.iter_mut().zip(others) {
                *value += (other - *value) * weight;
            }
        }
    });
    Ok(values.give())
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
    let lowest = lowest(DType::F32);
    let (Some(bias), Some(real)) = (Floats::read_if(bias), flags_if(mask)) else {
        return Err(scores);
    };
    let mut scores = Floats::take(scores)?;
    by_rows(scores.numbers_mut(), keys, |first, numbers| {
        for (row, scores) in numbers.chunks_exact_mut(keys).enumerate() {
            let row = first + row;
            if let Some(bias) = &bias {
                let bias = bias.numbers();
                // One bias for all rows of the batch comes round again.
                let from = row * keys % bias.len();
                for (score, bias) in scores.iter_mut().zip(&bias[from..from + keys]) {
                    *score += bias;
                }
            }
            if let Some(real) = &real {
                let from = row / (heads * queries) * keys;
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
    Ok(scores.give())
}
