//! Activations of neural audio codecs: ELU, and Snake (Ziyin, Hartwig and Ueda 2020,
//! arXiv 2006.08195).

use burn::tensor::{Tensor, backend::Backend};

/// `x` above zero, `exp(x) - 1` below.
///
/// # Shapes
/// - input, output: any
pub fn elu<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    #[cfg(feature = "flex")]
    let x = match crate::flex::elu(x) {
        Ok(done) => return done,
        Err(x) => x,
    };
    plain_elu(x)
}

fn plain_elu<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    // One of the two parts is zero: this needs no mask and cannot overflow.
    let below = x.clone().clamp_max(0.0).exp().sub_scalar(1.0);
    x.clamp_min(0.0).add(below)
}

/// `x + sin(alpha * x)^2 / (alpha + 1e-9)`: the tiny term keeps a channel whose alpha is zero
/// finite.
///
/// # Shapes
/// - `x`, output: `[batch, channels, samples]`
/// - `alpha`: `[channels]`
pub fn snake<B: Backend>(x: Tensor<B, 3>, alpha: Tensor<B, 1>) -> Tensor<B, 3> {
    #[cfg(feature = "flex")]
    let x = match crate::flex::snake(x, &alpha) {
        Ok(done) => return done,
        Err(x) => x,
    };
    plain_snake(x, alpha)
}

fn plain_snake<B: Backend>(x: Tensor<B, 3>, alpha: Tensor<B, 1>) -> Tensor<B, 3> {
    let alpha = alpha.unsqueeze_dims::<3>(&[0, -1]);
    let wave = x.clone().mul(alpha.clone()).sin();
    x.add(wave.clone().mul(wave).div(alpha.add_scalar(1e-9)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData, Tolerance};

    type B = burn_flex::Flex;

    #[test]
    fn elu_is_the_identity_above_zero_and_bounded_below() {
        let x = [-100.0f32, -1.0, 0.0, 2.0, 100.0];
        let x = Tensor::<B, 1>::from_floats(x, &Default::default());
        let want = [-1.0, (-1.0f32).exp() - 1.0, 0.0, 2.0, 100.0];
        let want = TensorData::new(want.to_vec(), [5]);
        for got in [elu(x.clone()), plain_elu(x)] {
            got.into_data()
                .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-6));
        }
    }

    #[test]
    fn snake_has_an_alpha_for_each_channel() {
        let device = Default::default();
        let (signal, alphas) = ([0.3f32, -2.0, 1.0], [0.5f32, 3.0, 0.0]);
        let x = Tensor::<B, 3>::from_floats([[signal; 3]], &device);
        let alpha = Tensor::<B, 1>::from_floats(alphas, &device);
        let want = alphas.iter().flat_map(|&alpha| {
            let wave = move |x: f32| (alpha * x).sin().powi(2) / (alpha + 1e-9);
            signal.map(|x| x + wave(x))
        });
        let want = TensorData::new(want.collect::<Vec<_>>(), [1, 3, 3]);
        for got in [snake(x.clone(), alpha.clone()), plain_snake(x, alpha)] {
            got.into_data()
                .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-6));
        }
    }

    /// Also of numbers so large that the sine takes another way.
    #[cfg(feature = "flex")]
    #[test]
    fn the_kernels_equal_plain_burn() {
        let normal = Distribution::Normal(0.0, 3.0);
        let x = Tensor::<B, 3>::random([2, 7, 5003], normal, &Default::default());
        // Both sines are within 2.6e-7 of each other; twice that, over the smallest alpha of 0.1,
        // and what sums of up to 20 round.
        let close = |got: Tensor<B, 3>, want: Tensor<B, 3>| {
            got.into_data()
                .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(8e-6));
        };
        let got = crate::flex::elu(x.clone()).expect("f32 on flex");
        close(got, plain_elu(x.clone()));
        let alpha = [0.1, 1.0, 3.0, -2.0, 1e5, 0.0, 0.7];
        let alpha = Tensor::<B, 1>::from_floats(alpha, &Default::default());
        let got = crate::flex::snake(x.clone(), &alpha).expect("f32 on flex");
        close(got, plain_snake(x, alpha));
    }
}
