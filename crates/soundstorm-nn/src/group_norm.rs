//! Group normalization with a single group (Wu and He 2018, arXiv 1803.08494): over all channels
//! and frames of a row.

use burn::tensor::{Tensor, backend::Backend};

use crate::dtype::wide;

/// Each row of the batch to mean 0 and variance 1 over all its channels and frames, then each
/// channel by its own scale and offset. Worked out in single precision where `x` is in half.
///
/// # Shapes
/// - `x`, output: `[batch, channels, frames]`
/// - `gamma`, `beta`: `[channels]`
pub fn group_norm<B: Backend>(
    x: Tensor<B, 3>,
    gamma: Tensor<B, 1>,
    beta: Tensor<B, 1>,
    epsilon: f64,
) -> Tensor<B, 3> {
    #[cfg(feature = "flex")]
    let x = match crate::flex::group_norm(x, &gamma, &beta, epsilon) {
        Ok(done) => return done,
        Err(x) => x,
    };
    plain(x, gamma, beta, epsilon)
}

fn plain<B: Backend>(
    x: Tensor<B, 3>,
    gamma: Tensor<B, 1>,
    beta: Tensor<B, 1>,
    epsilon: f64,
) -> Tensor<B, 3> {
    let dtype = x.dtype();
    let wide = wide(dtype);
    let x = x.cast(wide);
    let centered = x.clone() - mean(x);
    let variance = mean(centered.clone() * centered.clone());
    let by_channel = |numbers: Tensor<B, 1>| numbers.cast(wide).unsqueeze_dims::<3>(&[0, -1]);
    let y = centered / variance.add_scalar(epsilon).sqrt();
    (y * by_channel(gamma) + by_channel(beta)).cast(dtype)
}

/// `[batch, channels, frames]` to `[batch, 1, 1]`. Frames first: fewer numbers are summed in one go.
fn mean<B: Backend>(x: Tensor<B, 3>) -> Tensor<B, 3> {
    let [_, channels, frames] = x.dims();
    let count = (channels * frames) as f64;
    x.sum_dim(2).sum_dim(1).div_scalar(count)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    /// Rows of more numbers than one task sums, far from zero, each row elsewhere.
    #[test]
    fn the_kernel_equals_plain_burn() {
        let random = |mean| Distribution::Normal(mean, 3.0);
        let device = Default::default();
        let rows =
            [7.0, -31.0].map(|mean| Tensor::<B, 3>::random([1, 3, 50_021], random(mean), &device));
        let x = Tensor::cat(rows.to_vec(), 0);
        let [gamma, beta] =
            [1.0, 0.3].map(|mean| Tensor::<B, 1>::random([3], random(mean), &device));
        let got = crate::flex::group_norm(x.clone(), &gamma, &beta, 0.1).expect("f32 on flex");
        let want = plain(x, gamma, beta, 0.1);
        got.into_data()
            .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-4));
    }
}
