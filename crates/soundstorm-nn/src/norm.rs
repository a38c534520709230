//! What the norms over a frame's channels share.

use burn::tensor::{Tensor, backend::Backend};

use crate::dtype::wide;

/// What keeps a norm from dividing by nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Epsilon {
    /// Added to the variance.
    Added(f64),
    /// The least that the variance counts as.
    Floor(f64),
}

/// `(x - mean) / sqrt(variance) * gamma + beta` of each frame, worked out in single precision
/// where `x` is in half.
///
/// # Shapes
/// - `x`, output: `[..., channels]`
/// - `gamma`, `beta`: `[channels]`
pub(crate) fn norm<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    gamma: Tensor<B, 1>,
    beta: Option<Tensor<B, 1>>,
    epsilon: Epsilon,
) -> Tensor<B, D> {
    #[cfg(feature = "flex")]
    let x = match crate::flex::norm(x, &gamma, beta.as_ref(), epsilon) {
        Ok(done) => return done,
        Err(x) => x,
    };
    plain(x, gamma, beta, epsilon)
}

fn plain<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    gamma: Tensor<B, 1>,
    beta: Option<Tensor<B, 1>>,
    epsilon: Epsilon,
) -> Tensor<B, D> {
    let (dtype, last) = (x.dtype(), D - 1);
    let wide = wide(dtype);
    let x = x.cast(wide);
    let centred = x.clone() - x.mean_dim(last);
    let variance = centred.clone().square().mean_dim(last);
    let variance = match epsilon {
        Epsilon::Added(epsilon) => variance + epsilon,
        Epsilon::Floor(floor) => variance.clamp_min(floor),
    };
    // Not by the reciprocal: burn-ndarray's has 12 bits.
    let normed = centred / variance.sqrt() * gamma.cast(wide).unsqueeze();
    let normed = match beta {
        Some(beta) => normed + beta.cast(wide).unsqueeze(),
        None => normed,
    };
    normed.cast(dtype)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Distribution, TensorData, Tolerance};

    type B = burn_flex::Flex;

    const NORMAL: Distribution = Distribution::Normal(3.0, 5.0);
    const EPSILONS: [Epsilon; 3] = [
        Epsilon::Added(0.1),
        Epsilon::Floor(1e-6),
        // More than some frames' variance.
        Epsilon::Floor(25.0),
    ];

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
        Tensor::random(shape, NORMAL, &Default::default())
    }

    /// Where the mean is large beside the deviation, halves cannot hold what is summed.
    #[test]
    fn halves_are_normed_in_single_precision() {
        let x = random([3, 211, 37]) + 300.0;
        let (gamma, beta) = (random([37]), random([37]));
        for dtype in [DType::F16, DType::BF16] {
            let x = x.clone().cast(dtype);
            let [gamma, beta] = [&gamma, &beta].map(|x| x.clone().cast(dtype));
            for epsilon in EPSILONS {
                let got = norm(x.clone(), gamma.clone(), Some(beta.clone()), epsilon);
                assert_eq!(got.dtype(), dtype);
                let [gamma, beta] = [&gamma, &beta].map(|x| x.clone().cast(DType::F32));
                let want = plain(x.clone().cast(DType::F32), gamma, Some(beta), epsilon);
                let apart = (got.cast(DType::F32) - want.clone()).abs();
                let share = (apart / (want.abs() + 1e-3)).max().into_scalar();
                assert!(share <= 2f32.powi(-8), "{share}");
            }
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernel_equals_plain_burn() {
        let (x, gamma) = (random([3, 211, 37]), random([37]));
        for epsilon in EPSILONS {
            for beta in [None, Some(random([37]))] {
                let got = crate::flex::norm(x.clone(), &gamma, beta.as_ref(), epsilon);
                let want = plain(x.clone(), gamma.clone(), beta, epsilon).into_data();
                got.expect("f32 on flex")
                    .into_data()
                    .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-4));
            }
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernel_has_the_gradient_of_plain_burn() {
        let shape = [3, 1201, 37];
        // Frames' variances lie far from the last floor, on either side of it: at the floor the
        // gradient jumps, and rounding would tell the two apart.
        let spread = |x: Tensor<_, 1>| {
            let scales = (0..shape[0] * shape[1]).map(|frame| [0.5, 3.0][frame % 2]);
            let scales = TensorData::new(scales.collect::<Vec<f32>>(), [shape[0], shape[1], 1]);
            x.clone().reshape(shape) * Tensor::from_data(scales, &x.device())
        };
        for epsilon in [
            Epsilon::Added(0.1),
            Epsilon::Floor(1e-6),
            Epsilon::Floor(1.0),
        ] {
            for with_beta in [false, true] {
                crate::testing::assert_same_gradients(
                    [shape.iter().product(), 37, 37],
                    |[x, gamma, beta]| {
                        let beta = with_beta.then_some(&beta);
                        crate::flex::norm(spread(x), &gamma, beta, epsilon).expect("f32")
                    },
                    |[x, gamma, beta]| plain(spread(x), gamma, with_beta.then_some(beta), epsilon),
                );
            }
        }
    }
}
