//! Attention by blocks of queries: the scores of a block are turned into weights and used up
//! before the next, so that they stay in the processor's cache, and are worked out again for the
//! gradient (FlashAttention, arXiv 2205.14135, by whole rows of keys).

use std::sync::Arc;

use burn::tensor::{Bool, DType, Tensor, backend::Backend};
use rayon::prelude::*;
use soundstorm_gemm::{Matrix, add_product_alone, write_product_alone};

use super::{
    Floats, Function, Kernel, applies, apply, flags_if, input, input_if,
    vector::{self, dot},
    vectorized,
};
use crate::lowest;

/// Queries of one block: enough that laying out the keys for their product costs little.
const QUERIES: usize = 128;

/// `softmax(scale * query * key^T + bias) * value`, with no weight on masked keys; queries whose
/// keys are all masked get equal weights.
///
/// - `query`, output: `[batch, heads, query frames, dim_head]`
/// - `key`, `value`: `[batch, heads, key frames, dim_head]`
/// - `bias`: `[1 or batch, heads, query frames, key frames]`
/// - `mask`: `[batch, key frames]`, true where a key may be attended to
///
/// Nothing where the tensors are not burn-flex's in f32.
pub(crate) fn attend<B: Backend>(
    [query, key, value]: [&Tensor<B, 4>; 3],
    scale: f32,
    bias: Option<&Tensor<B, 4>>,
    mask: Option<&Tensor<B, 2, Bool>>,
) -> Option<Tensor<B, 4>> {
    let bias_dtype = bias.map_or(DType::F32, Tensor::dtype);
    if !applies::<B>(&[query.dtype(), key.dtype(), value.dtype(), bias_dtype]) {
        return None;
    }
    let real = flags_if(mask)?.map(Arc::new);
    let bias = input_if(bias, query);
    let [query, key, value] = [query, key, value].map(|x| input(x.clone()));
    Some(apply(Attend { scale, real }, [query, key, value, bias]))
}

#[derive(Clone, Debug)]
struct Attend {
    scale: f32,
    /// `[batch, key frames]`
    real: Option<Arc<Vec<bool>>>,
}

impl Function<4> for Attend {
    const READS: [bool; 4] = [true; 4];

    fn forward(&self, inputs: [Floats; 4]) -> Floats {
        let shape: [usize; 4] = inputs[0].dims();
        let [_, _, queries, dim_head] = shape;
        let mut out = vec![0.0; shape.iter().product()];
        let heads = Heads::new(self, &inputs);
        if !out.is_empty() {
            out.par_chunks_mut(queries * dim_head)
                .enumerate()
                .for_each(|(head, out)| heads.get(head).attend(out));
        }
        Floats::new(out, shape)
    }

    fn backward(
        &self,
        inputs: [Floats; 4],
        gradient: Floats,
        wanted: [bool; 4],
    ) -> [Option<Floats>; 4] {
        let heads = Heads::new(self, &inputs);
        let Sizes {
            queries,
            keys,
            dim_head,
        } = heads.sizes;
        let [of_query, of_key, of_value, of_bias] = &mut inputs
            .each_ref()
            .map(|input| vec![0.0; input.numbers().len()]);
        // A bias that several rows of the batch share is added up over them, one after the other.
        let together = match of_bias.len() {
            0 => heads.count,
            numbers => numbers / (queries * keys),
        };
        let rounds = of_query
            .chunks_mut(together * queries * dim_head)
            .zip(of_key.chunks_mut(together * keys * dim_head))
            .zip(of_value.chunks_mut(together * keys * dim_head))
            .zip(gradient.numbers().chunks(together * queries * dim_head));
        for (round, (((of_query, of_key), of_value), gradient)) in rounds.enumerate() {
            let of_bias = match wanted[3] {
                true => of_bias.par_chunks_mut(queries * keys).map(Some).collect(),
                false => (0..together).map(|_| None).collect::<Vec<_>>(),
            };
            of_query
                .par_chunks_mut(queries * dim_head)
                .zip(of_key.par_chunks_mut(keys * dim_head))
                .zip(of_value.par_chunks_mut(keys * dim_head))
                .zip(gradient.par_chunks(queries * dim_head))
                .zip(of_bias)
                .enumerate()
                .for_each(|(head, ((((query, key), value), gradient), bias))| {
                    let head = heads.get(round * together + head);
                    head.pull_back(
                        gradient,
                        Gradients {
                            query,
                            key,
                            value,
                            bias,
                        },
                    );
                });
        }
        let [query, key, value, bias] = inputs;
        [
            (query, of_query, true),
            (key, of_key, true),
            (value, of_value, true),
            (bias, of_bias, wanted[3]),
        ]
        .map(|(input, gradient, wanted)| {
            wanted.then(|| input.like(std::mem::take(gradient), input.width()))
        })
    }
}

/// Of one head.
#[derive(Clone, Copy)]
struct Sizes {
    queries: usize,
    keys: usize,
    dim_head: usize,
}

/// All heads of all rows of the batch.
struct Heads<'a> {
    of: &'a Attend,
    inputs: [&'a [f32]; 4],
    sizes: Sizes,
    /// Heads of one row.
    heads: usize,
    count: usize,
}

impl<'a> Heads<'a> {
    fn new(of: &'a Attend, inputs: &'a [Floats; 4]) -> Self {
        let [batch, heads, queries, dim_head] = inputs[0].dims();
        let [_, _, keys, _] = inputs[1].dims();
        Self {
            of,
            inputs: inputs.each_ref().map(Floats::numbers),
            sizes: Sizes {
                queries,
                keys,
                dim_head,
            },
            heads,
            count: batch * heads,
        }
    }

    fn get(&self, head: usize) -> Head<'a> {
        let Sizes {
            queries,
            keys,
            dim_head,
        } = self.sizes;
        let [query, key, value, bias] = self.inputs;
        let part =
            |x: &'a [f32], frames: usize| &x[head * frames * dim_head..][..frames * dim_head];
        // One bias for all rows of the batch comes round again.
        let bias = (!bias.is_empty()).then(|| &bias[head * queries * keys % bias.len()..]);
        let row = head / self.heads * keys;
        Head {
            sizes: self.sizes,
            scale: self.of.scale,
            query: part(query, queries),
            key: Matrix::new(part(key, keys), [keys, dim_head]),
            value: Matrix::new(part(value, keys), [keys, dim_head]),
            bias,
            real: self.of.real.as_ref().map(|real| &real[row..row + keys]),
        }
    }
}

/// One head of one row.
struct Head<'a> {
    sizes: Sizes,
    scale: f32,
    query: &'a [f32],
    key: Matrix<'a>,
    value: Matrix<'a>,
    /// Starts with the bias of this head's first query.
    bias: Option<&'a [f32]>,
    real: Option<&'a [bool]>,
}

/// Where the gradients of one head are added.
struct Gradients<'a> {
    query: &'a mut [f32],
    key: &'a mut [f32],
    value: &'a mut [f32],
    bias: Option<&'a mut [f32]>,
}

impl Head<'_> {
    fn attend(&self, out: &mut [f32]) {
        let width = self.sizes.dim_head;
        let blocks = out.par_chunks_mut(QUERIES * width).enumerate();
        blocks.for_each_init(Vec::new, |weights, (block, out)| {
            let count = out.len() / width;
            self.weights(block * QUERIES, count, weights);
            let weights = Matrix::new(weights, [count, self.sizes.keys]);
            write_product_alone(out, 1.0, weights, self.value);
        });
    }

    /// The weights of some queries, `[queries, keys]`.
    fn weights(&self, first: usize, count: usize, weights: &mut Vec<f32>) {
        let Sizes { keys, dim_head, .. } = self.sizes;
        weights.resize(count * keys, 0.0);
        let query = &self.query[first * dim_head..][..count * dim_head];
        let query = Matrix::new(query, [count, dim_head]);
        write_product_alone(weights, self.scale, query, self.key.transposed());
        let (bias, real) = (self.bias, self.real);
        vectorized(&Softmax { bias, real, keys }, first, weights);
    }

    fn pull_back(&self, gradient: &[f32], mut to: Gradients) {
        let Sizes { keys, dim_head, .. } = self.sizes;
        let (mut weights, mut slopes) = (Vec::new(), Vec::new());
        for (block, gradient) in gradient.chunks(QUERIES * dim_head).enumerate() {
            let (first, count) = (block * QUERIES, gradient.len() / dim_head);
            let gradient = Matrix::new(gradient, [count, dim_head]);
            self.weights(first, count, &mut weights);
            let of_weights = Matrix::new(&weights, [count, keys]);
            add_product_alone(to.value, 1.0, of_weights.transposed(), gradient);

            slopes.resize(count * keys, 0.0);
            write_product_alone(&mut slopes, 1.0, gradient, self.value.transposed());
            let softmax = SoftmaxSlopes {
                weights: &weights,
                real: self.real,
                keys,
            };
            vectorized(&softmax, 0, &mut slopes);
            if let Some(bias) = &mut to.bias {
                let bias = &mut bias[first * keys..][..count * keys];
                for (bias, slope) in bias.iter_mut().zip(&slopes) {
                    *bias += slope;
                }
            }
            let slopes = Matrix::new(&slopes, [count, keys]);
            let query = &self.query[first * dim_head..][..count * dim_head];
            let query = Matrix::new(query, [count, dim_head]);
            let of_query = &mut to.query[first * dim_head..][..count * dim_head];
            write_product_alone(of_query, self.scale, slopes, self.key);
            add_product_alone(to.key, self.scale, slopes.transposed(), query);
        }
    }
}

/// Scores to weights, in place.
struct Softmax<'a> {
    /// Starts with the first of all queries.
    bias: Option<&'a [f32]>,
    real: Option<&'a [bool]>,
    keys: usize,
}

impl Kernel for Softmax<'_> {
    #[inline(always)]
    fn run(&self, first: usize, scores: &mut [f32]) {
        let keys = self.keys;
        for (row, scores) in scores.chunks_exact_mut(keys).enumerate() {
            let bias = self.bias.map(|bias| &bias[(first + row) * keys..][..keys]);
            softmax(scores, bias, self.real);
        }
    }
}

/// The gradient of weights to that of scores, in place.
struct SoftmaxSlopes<'a> {
    weights: &'a [f32],
    real: Option<&'a [bool]>,
    keys: usize,
}

impl Kernel for SoftmaxSlopes<'_> {
    #[inline(always)]
    fn run(&self, _: usize, slopes: &mut [f32]) {
        let weights = self.weights.chunks_exact(self.keys);
        for (slopes, weights) in slopes.chunks_exact_mut(self.keys).zip(weights) {
            pull_back_softmax(slopes, weights, self.real);
        }
    }
}

#[inline(always)]
fn softmax(scores: &mut [f32], bias: Option<&[f32]>, real: Option<&[bool]>) {
    if let Some(bias) = bias {
        for (score, bias) in scores.iter_mut().zip(bias) {
            *score += bias;
        }
    }
    if let Some(real) = real {
        let lowest = lowest(DType::F32);
        for (score, &real) in scores.iter_mut().zip(real) {
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

/// Masked scores have no gradient.
#[inline(always)]
fn pull_back_softmax(gradient: &mut [f32], weights: &[f32], real: Option<&[bool]>) {
    let mean = dot(gradient, weights);
    for (gradient, weight) in gradient.iter_mut().zip(weights) {
        *gradient = (*gradient - mean) * weight;
    }
    if let Some(real) = real {
        for (gradient, &real) in gradient.iter_mut().zip(real) {
            *gradient = if real { *gradient } else { 0.0 };
        }
    }
}
