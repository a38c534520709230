//! Scaled dot-product attention whose memory grows with the number of frames
//! and not with its square (FlashAttention's point, arXiv 2205.14135), by
//! walking over blocks of queries.

use burn::{
    nn::Dropout,
    tensor::{Bool, Tensor, activation, backend::Backend},
};

use crate::dtype::{lowest, wide};

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
    #[cfg(feature = "flex")]
    {
        let dropout = options.dropout.as_ref();
        let drops = dropout.is_some_and(|dropout| dropout.prob > 0.0);
        if !(drops && B::ad_enabled(&query.device())) {
            let (bias, mask) = (options.bias.as_ref(), options.key_mask.as_ref());
            let scale = (query.dims()[3] as f32).powf(-0.5);
            let done = crate::flex::attend([&query, &key, &value], scale, bias, mask);
            if let Some(done) = done {
                return done;
            }
        }
    }
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

/// The softmax of `scores + bias` over the keys, with no weight on masked ones, in single precision
/// where the scores are in half.
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
    let [batch, _, _, keys] = scores.dims();
    let dtype = scores.dtype();
    let mut scores = scores.cast(wide(dtype));
    if let Some(bias) = bias {
        scores = scores + bias.clone().cast(wide(dtype));
    }
    if let Some(mask) = mask {
        let hidden = mask.clone().bool_not().reshape([batch, 1, 1, keys]);
        let hidden = hidden.expand(scores.dims());
        let lowest = lowest(scores.dtype());
        scores = scores.mask_fill(hidden, lowest);
    }
    activation::softmax(scores, 3).cast(dtype)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::DropoutConfig;
    use burn::tensor::{DType, Distribution, TensorData, Tolerance};

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

    /// Weights are rounded once: sums of hundreds of rounded exponentials would be far off.
    #[test]
    fn halves_are_weighed_in_single_precision() {
        let scores = random([2, 3, 5, 997]);
        for dtype in [DType::F16, DType::BF16] {
            let scores = scores.clone().cast(dtype);
            let want = masked_softmax(scores.clone().cast(DType::F32), None, None);
            let got = masked_softmax(scores, None, None);
            assert_eq!(got.dtype(), dtype);
            let apart = (got.cast(DType::F32) - want.clone()).abs();
            let share = (apart / (want + 1e-5)).max().into_scalar();
            assert!(share <= 2f32.powi(-8), "{share}");
        }
    }

    /// The weights that are left are larger.
    #[test]
    fn dropout_acts_in_training() {
        use burn_autodiff::Autodiff;

        let query = Tensor::<Autodiff<B>, 4>::ones([1, 3, 7, 4], &Default::default());
        let options = AttendOptions {
            dropout: Some(DropoutConfig::new(0.5).init()),
            ..Default::default()
        };
        let out = attend(query.clone(), query.clone(), query.clone(), &options);
        let apart = (out - query).abs().max().into_scalar();
        assert!(apart > 0.1, "{apart}");
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
    fn the_kernel_and_its_gradient_equal_plain_burn() {
        use crate::testing::{Recording, assert_same_gradients};

        // More queries than one block of the kernel has.
        let [batch, heads, queries, keys, dim_head] = [3, 5, 137, 59, 6];
        let flags = (0..batch * keys).map(|at| at % keys < [keys, 17, 0][at / keys]);
        let mask = TensorData::new(flags.collect::<Vec<bool>>(), [batch, keys]);
        let mask = Tensor::<Recording, 2, Bool>::from_data(mask, &Default::default());
        let of_keys = batch * heads * keys * dim_head;
        for mask in [None, Some(mask)] {
            for biases in [0, 1, batch] {
                let options = |bias: Tensor<Recording, 1>| AttendOptions {
                    key_mask: mask.clone(),
                    bias: (biases > 0).then(|| bias.reshape([biases, heads, queries, keys])),
                    dropout: None,
                };
                let shaped = |query: Tensor<Recording, 1>, key: Tensor<Recording, 1>, value| {
                    let query = query.reshape([batch, heads, queries, dim_head]);
                    let of_keys =
                        |x: Tensor<Recording, 1>| x.reshape([batch, heads, keys, dim_head]);
                    [query, of_keys(key), of_keys(value)]
                };
                assert_same_gradients(
                    [
                        batch * heads * queries * dim_head,
                        of_keys,
                        of_keys,
                        biases.max(1) * heads * queries * keys,
                    ],
                    |[query, key, value, bias]| {
                        let [query, key, value] = shaped(query, key, value);
                        let AttendOptions { key_mask, bias, .. } = options(bias);
                        let scale = (dim_head as f32).powf(-0.5);
                        let (bias, mask) = (bias.as_ref(), key_mask.as_ref());
                        crate::flex::attend([&query, &key, &value], scale, bias, mask).expect("f32")
                    },
                    |[query, key, value, bias]| {
                        let [query, key, value] = shaped(query, key, value);
                        attend_in_blocks(query, key, value, &options(bias), QUERY_BLOCK)
                    },
                );
            }
        }
    }
}
