//! DAC's residual vector quantizer (Kumar et al. 2023, "Improved residual vector quantization"):
//! each level looks up the direction of what is left, projected to a few dimensions.

use burn::module::{Initializer, Param};
use burn::prelude::*;
use burn::tensor::DType;

use super::{DacConfig, convolution};
use crate::PaddedConv1d;

/// Below this a vector has no direction, and is divided by this instead of its length.
const SHORTEST: f64 = 1e-12;

/// Configuration of a [`DacQuantizer`].
#[derive(Debug, Clone)]
pub struct DacQuantizerConfig {
    /// Numbers in a vector that is quantized.
    pub dimension: usize,
    /// Entries in each codebook.
    pub codebook_size: usize,
    /// Numbers in an entry.
    pub codebook_dimension: usize,
    /// Codebooks.
    pub levels: usize,
}

/// Levels, the coarsest first.
#[derive(Module, Debug)]
pub struct DacQuantizer<B: Backend> {
    /// One codebook and its projections for each level.
    pub levels: Vec<DacCodebook<B>>,
}

/// A codebook of few dimensions and the way there and back.
#[derive(Module, Debug)]
pub struct DacCodebook<B: Backend> {
    /// To the dimensions of the codebook; sees one frame.
    pub in_proj: PaddedConv1d<B>,
    /// Back to all dimensions; sees one frame.
    pub out_proj: PaddedConv1d<B>,
    /// `[codebook_size, codebook_dimension]`; entries differ in length, but only their
    /// direction is looked up.
    pub codebook: Param<Tensor<B, 2>>,
}

impl DacQuantizerConfig {
    /// A quantizer with random codebooks.
    pub fn init<B: Backend>(&self, device: &B::Device) -> DacQuantizer<B> {
        let (outside, inside) = (self.dimension, self.codebook_dimension);
        let level = |_| DacCodebook {
            in_proj: convolution(outside, inside, 1).init(device),
            out_proj: convolution(inside, outside, 1).init(device),
            codebook: Initializer::Normal {
                mean: 0.0,
                std: 1.0,
            }
            .init([self.codebook_size, inside], device),
        };
        DacQuantizer {
            levels: (0..self.levels).map(level).collect(),
        }
    }
}

impl DacConfig {
    /// A quantizer with random codebooks.
    pub(super) fn init_quantizer<B: Backend>(&self, device: &B::Device) -> DacQuantizer<B> {
        let config = DacQuantizerConfig {
            dimension: self.dimension,
            codebook_size: self.codebook_size,
            codebook_dimension: self.codebook_dimension,
            levels: self.num_quantizers,
        };
        config.init(device)
    }
}

impl<B: Backend> DacQuantizer<B> {
    /// Quantizes with each of the `levels` coarsest codebooks in turn what the ones before left.
    ///
    /// Works in 32 bits whatever the model's type: rounding decides between close codes.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, levels, frames]`
    ///
    /// # Panics
    /// If there are fewer codebooks, or none are asked for.
    pub fn encode(&self, x: Tensor<B, 3>, levels: usize) -> Tensor<B, 3, Int> {
        let mut residual = x.cast(DType::F32);
        let mut codes = Vec::with_capacity(levels);
        for (index, level) in self.levels[..levels].iter().enumerate() {
            let nearest = level.nearest(residual.clone());
            codes.push(nearest.clone());
            if index + 1 < levels {
                residual = residual - level.vectors(nearest, DType::F32);
            }
        }
        Tensor::cat(codes, 1)
    }

    /// The sum of the vectors that codes of the coarsest levels stand for.
    ///
    /// # Shapes
    /// - codes: `[batch, levels, frames]`, each below the codebook's size
    /// - output: `[batch, dimension, frames]`
    ///
    /// # Panics
    /// If there are fewer codebooks than levels, or no levels.
    pub fn decode(&self, codes: Tensor<B, 3, Int>) -> Tensor<B, 3> {
        let [_, levels, _] = codes.dims();
        let vectors = |index: usize| {
            let level = &self.levels[index];
            let dtype = level.codebook.val().dtype();
            level.vectors(codes.clone().narrow(1, index, 1), dtype)
        };
        (1..levels).fold(vectors(0), |sum, index| sum + vectors(index))
    }
}

impl<B: Backend> DacCodebook<B> {
    /// The codes whose entries point most nearly where the vectors do.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`, in 32 bits
    /// - output: `[batch, 1, frames]`
    fn nearest(&self, x: Tensor<B, 3>) -> Tensor<B, 3, Int> {
        self.nearest_inside(self.inside(x))
    }

    /// What is looked up, in the type of `x`.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, codebook_dimension, frames]`
    pub(crate) fn inside(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        project(&self.in_proj, x)
    }

    /// What entries, or anything in their place, stand for.
    ///
    /// # Shapes
    /// - entries: `[batch, codebook_dimension, frames]`
    /// - output: `[batch, dimension, frames]`
    pub(crate) fn outside(&self, entries: Tensor<B, 3>) -> Tensor<B, 3> {
        project(&self.out_proj, entries)
    }

    /// The codes whose entries point most nearly where vectors do that were projected.
    ///
    /// # Shapes
    /// - inside: `[batch, codebook_dimension, frames]`, in 32 bits
    /// - output: `[batch, 1, frames]`
    pub(crate) fn nearest_inside(&self, inside: Tensor<B, 3>) -> Tensor<B, 3, Int> {
        let [batch, width, frames] = inside.dims();
        let codebook = self.codebook.val().cast(DType::F32);
        let x = inside.swap_dims(1, 2).reshape([batch * frames, width]);
        let lengths = codebook
            .clone()
            .mul(codebook.clone())
            .sum_dim(1)
            .sqrt()
            .clamp_min(SHORTEST);
        // Between unit vectors the distance falls as the product grows, and the
        // length of `x`, the same for all codes, leaves their order as it is.
        x.matmul(codebook.div(lengths).transpose())
            .argmax(1)
            .reshape([batch, 1, frames])
    }

    /// The entries as they are, projected back.
    ///
    /// # Shapes
    /// - codes: `[batch, 1, frames]`
    /// - output: `[batch, dimension, frames]`
    fn vectors(&self, codes: Tensor<B, 3, Int>, dtype: DType) -> Tensor<B, 3> {
        self.outside(self.entries(codes, dtype))
    }

    /// The entries as they are.
    ///
    /// # Shapes
    /// - codes: `[batch, 1, frames]`
    /// - output: `[batch, codebook_dimension, frames]`
    pub(crate) fn entries(&self, codes: Tensor<B, 3, Int>, dtype: DType) -> Tensor<B, 3> {
        let [batch, _, frames] = codes.dims();
        let codebook = self.codebook.val().cast(dtype);
        let [_, inside] = codebook.dims();
        let rows = codebook.select(0, codes.reshape([batch * frames]));
        rows.reshape([batch, frames, inside]).swap_dims(1, 2)
    }
}

/// A convolution of one tap, in the type of what is projected.
///
/// # Shapes
/// - x: `[batch, channels_in, frames]`
/// - output: `[batch, channels_out, frames]`
fn project<B: Backend>(convolution: &PaddedConv1d<B>, x: Tensor<B, 3>) -> Tensor<B, 3> {
    let weight = convolution.weight.val().cast(x.dtype());
    let bias = convolution.bias.val().cast(x.dtype());
    weight.permute([2, 0, 1]).matmul(x) + bias.unsqueeze_dims(&[0, -1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    const DIMENSION: usize = 11;
    const INSIDE: usize = 3;
    const SIZE: usize = 13;

    fn quantizer() -> DacQuantizer<B> {
        let config = DacConfig {
            dimension: DIMENSION,
            codebook_size: SIZE,
            codebook_dimension: INSIDE,
            num_quantizers: 3,
            ..DacConfig::default()
        };
        config.init_quantizer(&Default::default())
    }

    fn signal() -> Tensor<B, 3> {
        let noise = Distribution::Normal(0.0, 1.0);
        Tensor::random([2, DIMENSION, 7], noise, &Default::default())
    }

    fn numbers<const D: usize>(x: Tensor<B, D>) -> Vec<f64> {
        x.into_data().iter::<f64>().collect()
    }

    /// One frame at a time and in 64 bits: the cosine with every entry, and what the best one,
    /// in its own length, leaves.
    #[test]
    fn each_level_takes_the_nearest_direction_of_what_is_left() {
        let (quantizer, x) = (quantizer(), signal());
        let codes = numbers(quantizer.encode(x.clone(), 3).float());
        let x = numbers(x);
        for (batch, frame) in (0..2).flat_map(|batch| (0..7).map(move |frame| (batch, frame))) {
            let at = |d: usize| x[(batch * DIMENSION + d) * 7 + frame];
            let mut left = (0..DIMENSION).map(at).collect::<Vec<_>>();
            for (index, level) in quantizer.levels.iter().enumerate() {
                let weight = numbers(level.in_proj.weight.val());
                let bias = numbers(level.in_proj.bias.val());
                let inside = weight.chunks(DIMENSION).zip(bias).map(|(row, bias)| {
                    let products = row.iter().zip(&left).map(|(w, x)| w * x);
                    products.sum::<f64>() + bias
                });
                let inside = inside.collect::<Vec<_>>();
                let book = numbers(level.codebook.val());
                let cosine = |code: &usize| {
                    let row = &book[code * INSIDE..][..INSIDE];
                    let product = row.iter().zip(&inside).map(|(e, x)| e * x).sum::<f64>();
                    product / row.iter().map(|e| e * e).sum::<f64>().sqrt()
                };
                let best = (0..SIZE).max_by(|a, b| cosine(a).total_cmp(&cosine(b)));
                let best = best.unwrap_or_default();
                assert_eq!(codes[(batch * 3 + index) * 7 + frame], best as f64);

                let weight = numbers(level.out_proj.weight.val());
                let bias = numbers(level.out_proj.bias.val());
                let row = &book[best * INSIDE..][..INSIDE];
                for ((left, weight), bias) in left.iter_mut().zip(weight.chunks(INSIDE)).zip(bias) {
                    *left -= weight.iter().zip(row).map(|(w, e)| w * e).sum::<f64>() + bias;
                }
            }
        }
    }

    #[test]
    fn an_entrys_length_changes_what_it_stands_for_but_not_when_it_is_taken() {
        let (mut quantizer, x) = (quantizer(), signal());
        let before = quantizer.encode(x.clone(), 1);
        let vectors = quantizer.decode(before.clone());
        let level = &mut quantizer.levels[0];
        let longer = Tensor::<B, 1>::random([SIZE], Distribution::Uniform(2.0, 9.0), &x.device());
        level.codebook = level
            .codebook
            .clone()
            .map(|book| book.mul(longer.reshape([SIZE, 1])));
        let after = quantizer.encode(x, 1);
        after.to_data().assert_eq(&before.to_data(), true);
        let change = (quantizer.decode(after) - vectors).abs().max();
        assert!(change.into_scalar() > 0.1);
    }

    #[test]
    fn an_entry_of_no_length_is_never_the_best_and_never_a_nan() {
        let (mut quantizer, x) = (quantizer(), signal());
        let level = &mut quantizer.levels[0];
        level.codebook = level
            .codebook
            .clone()
            .map(|book| book.slice_fill([4..5, 0..INSIDE], 0.0));
        let codes = quantizer.encode(x, 3).narrow(1, 0, 1).to_data();
        assert!(
            codes
                .iter::<i64>()
                .all(|code| code != 4 && code < SIZE as i64)
        );
    }

    #[test]
    fn fewer_levels_are_a_prefix() {
        let (quantizer, x) = (quantizer(), signal());
        let all = quantizer.encode(x.clone(), 3);
        let two = quantizer.encode(x, 2);
        let expected = all.narrow(1, 0, 2).to_data();
        expected.assert_eq(&two.to_data(), true);
    }

    #[test]
    fn decoding_sums_what_the_levels_stand_for() {
        let quantizer = quantizer();
        let codes = Tensor::<B, 3, Int>::from_ints([[[4, 0], [10, 3]]], &Default::default());
        let sum = quantizer.decode(codes.clone());
        assert_eq!(sum.dims(), [1, DIMENSION, 2]);
        let part = |index: usize| {
            let codes = codes.clone().narrow(1, index, 1);
            quantizer.levels[index].vectors(codes, DType::F32)
        };
        let expected = (part(0) + part(1)).to_data();
        sum.to_data()
            .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
    }
}
