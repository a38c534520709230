//! Linear layers, alone and at the end of a residual branch.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    tensor::{Tensor, backend::Backend},
};

use crate::Packed;

/// Configuration of [`Linear`].
#[derive(Config, Debug)]
pub struct LinearConfig {
    /// Channels of the input.
    pub input: usize,
    /// Channels of the output.
    pub output: usize,
    /// Whether there is a bias.
    #[config(default = true)]
    pub bias: bool,
}

/// A linear layer, whose weights may be in bf16 while the rest is in f32.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// `[input, output]`
    pub weight: Param<Tensor<B, 2>>,
    /// `[output]`
    pub bias: Option<Param<Tensor<B, 1>>>,
    #[module(skip)]
    pub(crate) packed: Packed,
}

impl LinearConfig {
    /// A layer with random weights, uniform within `1 / sqrt(input)`, as PyTorch has it.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Linear<B> {
        let uniform = Initializer::KaimingUniform {
            gain: 1.0 / 3f64.sqrt(),
            fan_out_only: false,
        };
        let fan_in = Some(self.input);
        Linear {
            weight: uniform.init_with([self.input, self.output], fan_in, None, device),
            bias: (self.bias).then(|| uniform.init_with([self.output], fan_in, None, device)),
            packed: Packed::default(),
        }
    }
}

/// A linear layer, over the last dimension.
///
/// # Shapes
/// - input: `[..., input]`
/// - output: `[..., output]`
pub fn linear<B: Backend, const D: usize>(x: Tensor<B, D>, layer: &Linear<B>) -> Tensor<B, D> {
    affine(x, layer.weight.val(), bias(layer), &layer.packed)
}

/// `sum + scale * linear(x)`: a residual and the last layer of its branch.
///
/// # Shapes
/// - `x`: `[..., input]`
/// - `sum`, output: `[..., output]`
pub fn add_linear<B: Backend, const D: usize>(
    sum: Tensor<B, D>,
    scale: f64,
    x: Tensor<B, D>,
    layer: &Linear<B>,
) -> Tensor<B, D> {
    #[cfg(feature = "flex")]
    let sum = {
        let shape = sum.dims();
        let (weight, bias) = (layer.weight.val(), bias(layer));
        let (sum, x) = (rows(sum), rows(x.clone()));
        let packed = &layer.packed;
        match crate::flex::add_linear(sum, scale as f32, &x, &weight, bias.as_ref(), packed) {
            Ok(done) => return done.reshape(shape),
            Err(sum) => sum.reshape(shape),
        }
    };
    plain_add(sum, scale, x, layer)
}

fn plain_add<B: Backend, const D: usize>(
    sum: Tensor<B, D>,
    scale: f64,
    x: Tensor<B, D>,
    layer: &Linear<B>,
) -> Tensor<B, D> {
    let x = linear(x, layer);
    sum + if scale == 1.0 { x } else { x * scale }
}

/// `x * weight + bias`, over the last dimension, as a product of two matrices.
///
/// Weights in another number type than `x` are worked with in that of `x`; but where the
/// processor has instructions for products in bf16, and the backend is burn-flex, weights in bf16
/// and an `x` in f32 are multiplied by those: `x` rounded to bf16, sums in f32. `packed` keeps the
/// weights in the order that these want.
///
/// # Shapes
/// - `x`: `[..., input]`
/// - `weight`: `[input, output]`
/// - `bias`: `[output]`
/// - output: `[..., output]`
pub fn affine<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
    packed: &Packed,
) -> Tensor<B, D> {
    let mut shape = x.dims();
    shape[D - 1] = weight.dims()[1];
    let x = rows(x);
    #[cfg(not(feature = "flex"))]
    let _ = packed;
    #[cfg(feature = "flex")]
    let x = match crate::flex::linear(x, &weight, bias.as_ref(), packed) {
        Ok(done) => return done.reshape(shape),
        Err(x) => x,
    };
    plain(x, weight, bias).reshape(shape)
}

fn plain<B: Backend>(
    x: Tensor<B, 2>,
    weight: Tensor<B, 2>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, 2> {
    let dtype = x.dtype();
    let product = x.matmul(weight.cast(dtype));
    match bias {
        Some(bias) => product + bias.unsqueeze(),
        None => product,
    }
}

/// All but the last dimension as one.
fn rows<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, 2> {
    let width = x.dims()[D - 1];
    let rows = x.dims()[..D - 1].iter().product();
    x.reshape([rows, width])
}

pub(crate) fn bias<B: Backend>(layer: &Linear<B>) -> Option<Tensor<B, 1>> {
    layer.bias.as_ref().map(|bias| bias.val())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Distribution, TensorData, Tolerance};

    type B = burn_flex::Flex;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
    }

    fn close<const D: usize>(got: Tensor<B, D>, want: Tensor<B, D>) {
        assert_eq!(got.dims(), want.dims());
        got.into_data()
            .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-4));
    }

    #[test]
    fn a_layer_follows_its_definition() {
        let device = Default::default();
        let matrix = |values: [f32; 6], shape: [usize; 2]| {
            Tensor::<B, 2>::from_data(TensorData::new(values.to_vec(), shape), &device)
        };
        let x = matrix([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]);
        let weight = matrix([1.0, 0.0, 0.0, 1.0, 1.0, 1.0], [3, 2]);
        let bias = Tensor::from_data([10.0f32, 20.0], &device);
        let want = TensorData::new(vec![14.0f32, 25.0, 20.0, 31.0], [2, 2]);
        affine(
            x.clone(),
            weight.clone(),
            Some(bias.clone()),
            &Packed::default(),
        )
        .into_data()
        .assert_eq(&want, false);
        plain(x, weight, Some(bias))
            .into_data()
            .assert_eq(&want, false);
    }

    /// Also of a view into another tensor, of one level of a stack of weights, and into a sum
    /// that someone else holds.
    #[cfg(feature = "flex")]
    #[test]
    fn the_kernels_equal_plain_burn() {
        let x = random([3, 337, 67]).narrow(2, 3, 61);
        let weight = random([3 * 61, 131]).narrow(0, 61, 61);
        let sum = random([3, 337, 131]);
        for with_bias in [false, true] {
            let bias = with_bias.then(|| random([131]));
            let x2 = x.clone().reshape([3 * 337, 61]);
            let got = crate::flex::linear(x2.clone(), &weight, bias.as_ref(), &Packed::default())
                .expect("f32 on flex");
            let want = plain(x2, weight.clone(), bias);
            close(got, want);

            let layer = LinearConfig::new(61, 131)
                .with_bias(with_bias)
                .init(&Default::default());
            let before = sum.to_data();
            let got = add_linear(sum.clone(), 0.5, x.clone(), &layer);
            close(got, plain_add(sum.clone(), 0.5, x.clone(), &layer));
            sum.to_data().assert_eq(&before, true);
        }
    }

    #[test]
    fn a_layer_starts_uniform_within_the_root_of_its_inputs() {
        let layer = LinearConfig::new(67, 1009).init::<B>(&Default::default());
        let bound = (67f32).powf(-0.5);
        for largest in [
            layer.weight.val().abs().max().into_scalar(),
            bias(&layer).expect("by default").abs().max().into_scalar(),
        ] {
            assert!(0.98 * bound < largest && largest <= bound, "{largest}");
        }
    }

    /// `got` is off from the product with an exact `x` by no more than rounding `x` to bf16 and
    /// summing in f32 may do.
    #[cfg(feature = "flex")]
    fn rounded(got: &Tensor<B, 2>, x: &Tensor<B, 2>, weight: &Tensor<B, 2>) {
        let size = plain(x.clone().abs(), weight.clone().abs(), None);
        let off = (got.clone() - plain(x.clone(), weight.clone(), None)).abs();
        let share = off.div(size).max().into_scalar();
        let bound = 2f32.powi(-8) + (x.dims()[1] + 2) as f32 * 2f32.powi(-22);
        assert!(share <= bound, "{share}");
        // And it was rounded, where there are the instructions.
        assert!(share > 1e-6 || crate::bf16_instructions().is_none());
    }

    #[cfg(feature = "flex")]
    #[test]
    fn weights_in_bf16_follow_the_layer_they_belong_to() {
        let x = random([337, 61]);
        let half = |shape: [usize; 2]| random::<2>(shape).cast(DType::BF16);
        let stack = half([3 * 61, 131]);
        let packed = Packed::default();
        for level in [0, 2, 0] {
            let weight = stack.clone().narrow(0, level * 61, 61);
            let got = affine(x.clone(), weight.clone(), None, &packed);
            assert_eq!(got.dtype(), DType::F32);
            rounded(&got, &x, &weight);
        }

        // New weights in an old layer, and a copy of it that keeps the old ones.
        let mut layer = LinearConfig::new(61, 131).init::<B>(&Default::default());
        let mut layers = Vec::new();
        for _ in 0..2 {
            layer.weight = layer.weight.map(|_| half([61, 131]));
            layers.push(layer.clone());
            let sum = random([337, 131]);
            let got = add_linear(sum.clone(), 0.5, x.clone(), &layer);
            let bias = bias(&layer).expect("by default").unsqueeze::<2>();
            rounded(&((got - sum) * 2 - bias), &x, &layer.weight.val());
        }
        for layer in layers {
            let bias = bias(&layer).expect("by default").unsqueeze::<2>();
            let got = linear(x.clone(), &layer) - bias;
            rounded(&got, &x, &layer.weight.val());
        }
    }

    /// What the next product finds packed is what the last one used, unless the weights changed.
    #[cfg(feature = "flex")]
    #[test]
    fn weights_are_packed_once() {
        use std::sync::Arc;

        let stack = random::<2>([2 * 61, 67]).cast(DType::BF16);
        let packed = Packed::default();
        let get = |level: usize| packed.kept.get(&stack.clone().narrow(0, level * 61, 61));
        assert_eq!(get(0).is_some(), crate::bf16_instructions().is_some());
        if let (Some(first), Some(second)) = (get(0), get(1)) {
            assert!(!Arc::ptr_eq(&first, &second));
            assert!(get(0).is_some_and(|again| Arc::ptr_eq(&first, &again)));
            packed.kept.get(&(stack.clone() + 1).narrow(0, 0, 61));
            assert!(get(0).is_some_and(|again| !Arc::ptr_eq(&first, &again)));
        }
        assert!(packed.kept.get(&random::<2>([61, 67])).is_none(), "f32");
        assert!(packed.kept.get(&stack.transpose()).is_none(), "gaps");
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernels_have_the_gradients_of_plain_burn() {
        use crate::testing::assert_same_gradients;

        let packed = Packed::default();
        let [rows, input, output] = [337, 61, 131];
        let sizes = [rows * input, input * output, output];
        assert_same_gradients(
            sizes,
            |[x, weight, bias]| {
                let (x, weight) = (x.reshape([337, 61]), weight.reshape([61, 131]));
                crate::flex::linear(x, &weight, Some(&bias), &packed).expect("f32")
            },
            |[x, weight, bias]| plain(x.reshape([337, 61]), weight.reshape([61, 131]), Some(bias)),
        );
        for scale in [1.0, 0.5] {
            assert_same_gradients(
                [rows * output, sizes[0], sizes[1], sizes[2]],
                |[sum, x, weight, bias]| {
                    let (x, weight) = (x.reshape([337, 61]), weight.reshape([61, 131]));
                    let sum = sum.reshape([337, 131]);
                    crate::flex::add_linear(sum, scale, &x, &weight, Some(&bias), &packed)
                        .expect("f32")
                },
                |[sum, x, weight, bias]| {
                    let (x, weight) = (x.reshape([337, 61]), weight.reshape([61, 131]));
                    sum.reshape([337, 131]) + plain(x, weight, Some(bias)) * scale
                },
            );
        }
    }
}
