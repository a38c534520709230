//! k-means (Lloyd 1982), from which codebooks start.

use burn::prelude::*;
use burn::tensor::IndexingUpdateOp;

use crate::rvq::{half_norms, nearest};

/// Moves means to the middle of the samples that are nearest to them, so many times. A mean that
/// no sample is nearest to stays.
///
/// # Shapes
/// - samples: `[samples, dimension]`
/// - means, first output: `[means, dimension]`
/// - second output: `[means]`, the samples that fell to each mean last
pub fn k_means<B: Backend>(
    samples: Tensor<B, 2>,
    means: Tensor<B, 2>,
    iterations: usize,
) -> (Tensor<B, 2>, Tensor<B, 1>) {
    let [count, _] = samples.dims();
    let [size, _] = means.dims();
    let ones = Tensor::ones([count], (&samples.device(), samples.dtype()));
    let start = Tensor::zeros([size], (&samples.device(), samples.dtype()));
    (0..iterations).fold((means, start), |(means, _), _| {
        let codes = nearest(samples.clone(), means.clone(), half_norms(means.clone()));
        let (counts, sums) = gather(samples.clone(), codes, ones.clone(), size);
        let filled = counts.clone().reshape([size, 1]);
        let middles = sums / filled.clone().clamp_min(1.0);
        let is_empty = filled.equal_elem(0).expand(middles.dims());
        (middles.mask_where(is_empty, means), counts)
    })
}

/// How many samples fall to each code, and their sums.
///
/// # Shapes
/// - samples: `[samples, dimension]`
/// - codes, weights: `[samples]`: as how many each sample counts
/// - output: `[size]` and `[size, dimension]`
pub(super) fn gather<B: Backend>(
    samples: Tensor<B, 2>,
    codes: Tensor<B, 1, Int>,
    weights: Tensor<B, 1>,
    size: usize,
) -> (Tensor<B, 1>, Tensor<B, 2>) {
    let [count, dimension] = samples.dims();
    let options = (&samples.device(), samples.dtype());
    let add = IndexingUpdateOp::Add;
    let weighted = samples * weights.clone().reshape([count, 1]);
    (
        Tensor::zeros([size], options).select_assign(0, codes.clone(), weights, add),
        Tensor::zeros([size, dimension], options).select_assign(0, codes, weighted, add),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    /// Two heaps and a mean that is far from both.
    #[test]
    fn means_go_to_the_middle_of_their_samples() {
        let device = Default::default();
        let samples = [[0.0, 1.0], [0.0, 3.0], [9.0, 8.0], [9.0, 9.0], [9.0, 10.0]];
        let samples = Tensor::<B, 2>::from_floats(samples, &device);
        let means = Tensor::from_floats([[1.0, 1.0], [-50.0, 0.0], [6.0, 7.0]], &device);
        let (means, counts) = k_means(samples, means, 3);
        let expected = TensorData::from([[0.0f32, 2.0], [-50.0, 0.0], [9.0, 9.0]]);
        means.into_data().assert_eq(&expected, true);
        let expected = TensorData::from([2.0f32, 0.0, 3.0]);
        counts.into_data().assert_eq(&expected, true);
    }

    /// Every round lowers the distances, or leaves them.
    #[test]
    fn no_round_makes_it_worse() {
        let device = Default::default();
        let normal = burn::tensor::Distribution::Normal(0.0, 1.0);
        let samples = Tensor::<B, 2>::random([101, 3], normal, &device);
        let start = samples.clone().narrow(0, 0, 7);
        let error = |rounds: usize| {
            let (means, _) = k_means(samples.clone(), start.clone(), rounds);
            let codes = nearest(samples.clone(), means.clone(), half_norms(means.clone()));
            let left = samples.clone() - means.select(0, codes);
            left.powi_scalar(2).sum().into_scalar()
        };
        let errors: Vec<f32> = (0..6).map(error).collect();
        assert!(errors.windows(2).all(|pair| pair[1] <= pair[0] + 1e-3));
        assert!(errors[5] < 0.9 * errors[0], "{errors:?}");
    }
}
