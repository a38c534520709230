//! Scaled dot-product attention whose memory grows with the number of frames
//! and not with its square (FlashAttention's point, arXiv 2205.14135), by
//! walking over blocks of queries.

use burn::{
    nn::Dropout,
    tensor::{Bool, Tensor, activation, backend::Backend},
};

use crate::lowest;

/// Queries of one block: the scores in memory at once are
/// `batch * heads * QUERY_BLOCK * frames`.
const QUERY_BLOCK: usize = 512;

/// What may be added to plain attention.
#[derive(Clone, Debug, Default)]
pub struct AttendOptions<B: Backend> {
    /// Real keys, `[batch, key frames]`, true where a key may be attended to.
    pub key_mask: Option<Tensor<B, 2, Bool>>,
    /// Added to the scaled scores, `[1 or batch, heads, query frames, key frames]`.
    pub bias: Option<Tensor<B, 4>>,
    /// Dropout of the attention weights; acts in training alone.
    pub dropout: Option<Dropout>,
}

/// `softmax(query * key^T / sqrt(dim_head) + bias) * value`, blind to masked keys.
///
/// burn's own attention function is not used: on flex it runs on one thread and
/// with scalar exponentials, on CUDA and Vulkan its flash form reads wrong
/// memory for some shapes (both in 0.21.0). Blocks of queries keep its virtue.
///
/// # Shapes
/// - `query`: `[batch, heads, query frames, dim_head]`
/// - `key`, `value`: `[batch, heads, key frames, dim_head]`
/// - output: as `query`
pub fn attend<B: Backend>(
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    value: Tensor<B, 4>,
    options: &AttendOptions<B>,
) -> Tensor<B, 4> {
    attend_in_blocks(query, key, value, options, QUERY_BLOCK)
}

fn attend_in_blocks<B: Backend>(
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    value: Tensor<B, 4>,
    options: &AttendOptions<B>,
    block: usize,
) -> Tensor<B, 4> {
    let [_, _, frames, dim_head] = query.dims();
    // Scaling the query costs less than scaling the scores.
    let query = query * (dim_head as f64).powf(-0.5);
    let key = key.swap_dims(2, 3);

    let attend_block = |start: usize, length: usize| {
        let scores = query.clone().narrow(2, start, length).matmul(key.clone());
        let bias = options.bias.as_ref();
        let bias = bias.map(|bias| bias.clone().narrow(2, start, length));
        let mut weights = masked_softmax(scores, bias.as_ref(), options.key_mask.as_ref());
        if let Some(dropout) = &options.dropout {
            weights = dropout.forward(weights);
        }
        weights.matmul(value.clone())
    };

    if frames <= block {
        return attend_block(0, frames);
    }
    let blocks = (0..frames)
        .step_by(block)
        .map(|start| attend_block(start, block.min(frames - start)))
        .collect();
    Tensor::cat(blocks, 2)
}

/// The softmax of `scores + bias` over the keys, with no weight on masked ones.
///
/// # Shapes
/// - `scores`, output: `[batch, heads, queries, keys]`
/// - `bias`: `[1 or batch, heads, queries, keys]`
/// - `mask`: `[batch, keys]`, true where a key may be attended to
fn masked_softmax<B: Backend>(
    scores: Tensor<B, 4>,
    bias: Option<&Tensor<B, 4>>,
    mask: Option<&Tensor<B, 2, Bool>>,
) -> Tensor<B, 4> {
    #[cfg(feature = "flex")]
    let scores = match crate::flex::masked_softmax(scores, bias, mask) {
        Ok(done) => return done,
        Err(scores) => scores,
    };
    plain_softmax(scores, bias, mask)
}

fn plain_softmax<B: Backend>(
    mut scores: Tensor<B, 4>,
    bias: Option<&Tensor<B, 4>>,
    mask: Option<&Tensor<B, 2, Bool>>,
) -> Tensor<B, 4> {
    let [batch, _, _, keys] = scores.dims();
    if let Some(bias) = bias {
        scores = scores + bias.clone();
    }
    if let Some(mask) = mask {
        let hidden = mask.clone().bool_not().reshape([batch, 1, 1, keys]);
        let hidden = hidden.expand(scores.dims());
        let lowest = lowest(scores.dtype());
        scores = scores.mask_fill(hidden, lowest);
    }
    activation::softmax(scores, 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData, Tolerance};

    type B = burn_flex::Flex;

    fn random(shape: [usize; 4]) -> Tensor<B, 4> {
        Tensor::random(shape, Distribution::Normal(0.0, 2.0), &Default::default())
    }

    fn options() -> AttendOptions<B> {
        let mask = vec![
            true, true, false, true, true, true, true, false, false, false,
        ];
        AttendOptions {
            key_mask: Some(Tensor::from_data(
                TensorData::new(mask, [2, 5]),
                &Default::default(),
            )),
            bias: Some(random([1, 3, 7, 5])),
            dropout: None,
        }
    }

    #[test]
    fn equals_burns_own_attention_on_the_composite_path() {
        let (query, key, value) = (
            random([2, 3, 7, 4]),
            random([2, 3, 5, 4]),
            random([2, 3, 5, 4]),
        );
        let options = options();
        let hidden = options.key_mask.clone().map(|mask| {
            let hidden: Tensor<B, 4, Bool> = mask.bool_not().reshape([2, 1, 1, 5]);
            hidden.expand([2, 3, 7, 5])
        });
        let want = burn::tensor::module::attention_fallback(
            query.clone(),
            key.clone(),
            value.clone(),
            hidden,
            options.bias.clone(),
            Default::default(),
        );
        attend(query, key, value, &options)
            .into_data()
            .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn blocks_do_not_show() {
        let (query, key, value) = (
            random([2, 3, 7, 4]),
            random([2, 3, 5, 4]),
            random([2, 3, 5, 4]),
        );
        let options = options();
        let whole = attend(query.clone(), key.clone(), value.clone(), &options).into_data();
        for block in [1, 2, 3, 7, 11] {
            attend_in_blocks(query.clone(), key.clone(), value.clone(), &options, block)
                .into_data()
                .assert_approx_eq::<f32>(&whole, Tolerance::absolute(1e-6));
        }
    }

    #[test]
    fn masked_keys_weigh_nothing() {
        let device = Default::default();
        let (query, key, value) = (
            random([1, 3, 7, 4]),
            random([1, 3, 5, 4]),
            random([1, 3, 5, 4]),
        );
        let mask = TensorData::new(vec![true, true, true, false, false], [1, 5]);
        let options = AttendOptions {
            key_mask: Some(Tensor::from_data(mask, &device)),
            ..Default::default()
        };
        let masked = attend(query.clone(), key.clone(), value.clone(), &options);
        let alone = attend(
            query,
            key.narrow(2, 0, 3),
            value.narrow(2, 0, 3),
            &Default::default(),
        );
        masked
            .into_data()
            .assert_approx_eq::<f32>(&alone.into_data(), Tolerance::absolute(1e-6));
    }

    /// A row with nothing but masked keys, and a bias that is one for all rows or each row's own.
    #[cfg(feature = "flex")]
    #[test]
    fn the_kernel_equals_plain_burn() {
        let (queries, keys) = (47, 59);
        let scores = random([3, 5, queries, keys]);
        let flags = (0..3 * keys).map(|at| at % keys < [keys, 17, 0][at / keys]);
        let mask = TensorData::new(flags.collect::<Vec<bool>>(), [3, keys]);
        let mask = Tensor::from_data(mask, &Default::default());
        for bias in [
            None,
            Some(random([1, 5, queries, keys])),
            Some(random([3, 5, queries + 4, keys]).narrow(2, 3, queries)),
        ] {
            for mask in [None, Some(&mask)] {
                let got = crate::flex::masked_softmax(scores.clone(), bias.as_ref(), mask);
                let want = plain_softmax(scores.clone(), bias.as_ref(), mask);
                got.expect("f32 on flex")
                    .into_data()
                    .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-6));
            }
        }
    }
}
