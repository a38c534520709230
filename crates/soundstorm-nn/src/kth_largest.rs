//! The threshold of top-k sampling, without a sort: that would leave the device on GPU backends.

use burn::tensor::{Tensor, backend::Backend};

/// Halvings of the interval that holds the k-th largest number.
const BISECTIONS: usize = 32;

/// A bound for each row that at least the `k` largest of its numbers reach, and no other but their
/// equals; where fewer than `k` are above -inf, all of those.
///
/// Equal are those that differ by less than 2^-31 of the row's spread, -inf left aside: the bound
/// is found by bisection, on burn-flex by selection. Rows with NaN or +inf have any bound.
///
/// # Shapes
/// - input: `[batch, frames, numbers]`, f32
/// - output: `[batch, frames, 1]`
///
/// # Panics
/// If `k` is 0 or more than the numbers of a row.
pub fn kth_largest<B: Backend>(x: Tensor<B, 3>, k: usize) -> Tensor<B, 3> {
    let [_, _, numbers] = x.dims();
    assert!(0 < k && k <= numbers, "the {k}th of {numbers}");
    #[cfg(feature = "flex")]
    let x = match crate::flex::kth_largest(x, k) {
        Ok(done) => return done,
        Err(x) => x,
    };
    plain(x, k)
}

fn plain<B: Backend>(x: Tensor<B, 3>, k: usize) -> Tensor<B, 3> {
    let mut high = x.clone().max_dim(2);
    let banned = x.clone().equal_elem(f32::NEG_INFINITY);
    let finite = x.clone().mask_where(banned, high.clone().expand(x.shape()));
    let mut low = finite.min_dim(2);
    for _ in 0..BISECTIONS {
        let middle = (low.clone() + high.clone()).mul_scalar(0.5);
        let enough = x
            .clone()
            .greater_equal(middle.clone())
            .int()
            .sum_dim(2)
            .greater_equal_elem(k as i64);
        low = low.mask_where(enough.clone(), middle.clone());
        high = middle.mask_where(enough, high);
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData};

    type B = burn_flex::Flex;

    fn kept(x: &Tensor<B, 3>, bound: Tensor<B, 3>) -> Vec<bool> {
        let kept = x.clone().greater_equal(bound.expand(x.shape()));
        kept.into_data().iter::<bool>().collect()
    }

    #[test]
    fn as_many_as_asked_for_reach_it_at_any_scale() {
        // 37 values at steps of 1/37 of the scale, scrambled by a multiplier coprime to 37.
        for scale in [1e-3f32, 1.0, 1e4] {
            let values: Vec<f32> = (0..37)
                .map(|i| -((i * 8 % 37) as f32) / 37.0 * scale)
                .collect();
            let x = Tensor::from_data(TensorData::new(values, [1, 1, 37]), &Default::default());
            for k in 1..37 {
                for bound in [kth_largest(x.clone(), k), plain(x.clone(), k)] {
                    let kept = kept(&x, bound).into_iter().filter(|&kept| kept).count();
                    assert_eq!(kept, k, "{scale} {k}");
                }
            }
        }
    }

    /// Also with equals, and with more numbers banned than may be left out.
    #[cfg(feature = "flex")]
    #[test]
    fn the_kernel_equals_plain_burn() {
        let x = Tensor::<B, 3>::random(
            [2, 41, 67],
            Distribution::Normal(0.0, 3.0),
            &Default::default(),
        );
        let x = x.round();
        let banned = x.clone().greater_elem(2.0);
        for x in [x.clone(), x.mask_fill(banned, f32::NEG_INFINITY)] {
            for k in [1, 2, 31, 53] {
                let got = crate::flex::kth_largest(x.clone(), k).expect("f32 on flex");
                assert_eq!(got.dims(), [2, 41, 1]);
                assert_eq!(kept(&x, got), kept(&x, plain(x.clone(), k)), "{k}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "the 4th of 3")]
    fn a_row_has_no_more_than_it_has() {
        kth_largest(Tensor::<B, 3>::zeros([1, 1, 3], &Default::default()), 4);
    }
}
