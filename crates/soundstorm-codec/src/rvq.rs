//! Residual vector quantization: each level's codebook quantizes what the coarser ones left
//! (SoundStream, Zeghidour et al. 2021, Algorithm 1).

use burn::module::{Initializer, Param};
use burn::prelude::*;
use burn::tensor::DType;

/// Configuration of a [`ResidualVectorQuantizer`].
#[derive(Debug, Clone)]
pub struct ResidualVectorQuantizerConfig {
    /// Numbers in a code's vector.
    pub dimension: usize,
    /// Entries in each codebook.
    pub codebook_size: usize,
    /// Codebooks.
    pub levels: usize,
}

impl ResidualVectorQuantizerConfig {
    /// A quantizer with random codebooks.
    pub fn init<B: Backend>(&self, device: &B::Device) -> ResidualVectorQuantizer<B> {
        let init = Initializer::Normal {
            mean: 0.0,
            std: (self.dimension.max(1) as f64).sqrt().recip(),
        };
        let codebook = |_| {
            init.init([self.codebook_size, self.dimension], device)
                .set_require_grad(false)
        };
        ResidualVectorQuantizer {
            codebooks: (0..self.levels).map(codebook).collect(),
        }
    }
}

/// Codebooks, the coarsest first. They take no gradient: training moves them by
/// the vectors that fall to them.
#[derive(Module, Debug)]
pub struct ResidualVectorQuantizer<B: Backend> {
    /// `[codebook_size, dimension]` for each level
    pub codebooks: Vec<Param<Tensor<B, 2>>>,
}

impl<B: Backend> ResidualVectorQuantizer<B> {
    /// Half of each code's squared length, for as many levels as will be encoded: what
    /// [`ResidualVectorQuantizer::encode_with`] needs of every code for every frame.
    ///
    /// # Panics
    /// If there are fewer codebooks.
    pub fn half_norms(&self, levels: usize) -> HalfNorms<B> {
        let of = |codebook: &Param<Tensor<B, 2>>| half_norms(codebook.val().cast(DType::F32));
        HalfNorms(self.codebooks[..levels].iter().map(of).collect())
    }

    /// Quantizes to the nearest vector of each of the `levels` coarsest codebooks in turn.
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
        self.encode_with(x, &self.half_norms(levels))
    }

    /// [`ResidualVectorQuantizer::encode`] of as many levels as `half_norms` has.
    ///
    /// # Panics
    /// If it has none.
    pub fn encode_with(&self, x: Tensor<B, 3>, half_norms: &HalfNorms<B>) -> Tensor<B, 3, Int> {
        let [batch, dimension, frames] = x.dims();
        let levels = half_norms.0.len();
        let mut residual = x
            .cast(DType::F32)
            .swap_dims(1, 2)
            .reshape([batch * frames, dimension]);
        let mut codes = Vec::with_capacity(levels);
        for (level, half_norms) in half_norms.0.iter().enumerate() {
            let codebook = self.codebooks[level].val().cast(DType::F32);
            let nearest = nearest(residual.clone(), codebook.clone(), half_norms.clone());
            codes.push(nearest.clone().reshape([batch, 1, frames]));
            if level + 1 < levels {
                residual = residual - codebook.select(0, nearest);
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
        let [batch, levels, frames] = codes.dims();
        let rows = |level: usize| self.rows(level, codes.clone().narrow(1, level, 1));
        let sum = (1..levels).fold(rows(0), |sum, level| sum + rows(level));
        let [_, dimension] = sum.dims();
        sum.reshape([batch, frames, dimension]).swap_dims(1, 2)
    }

    /// The vectors that one level's codes stand for.
    ///
    /// # Shapes
    /// - codes: `[batch, 1, frames]`
    /// - output: `[batch, dimension, frames]`
    pub(crate) fn vectors(&self, level: usize, codes: Tensor<B, 3, Int>) -> Tensor<B, 3> {
        let [batch, _, frames] = codes.dims();
        let rows = self.rows(level, codes);
        let [_, dimension] = rows.dims();
        rows.reshape([batch, frames, dimension]).swap_dims(1, 2)
    }

    /// The same one after another, `[batch * frames, dimension]`.
    fn rows(&self, level: usize, codes: Tensor<B, 3, Int>) -> Tensor<B, 2> {
        let [batch, _, frames] = codes.dims();
        let codes = codes.reshape([batch * frames]);
        self.codebooks[level].val().select(0, codes)
    }
}

/// Half of each code's squared length, `[1, codebook_size]` for each level; weights that change
/// afterwards make it stale.
#[derive(Debug, Clone)]
pub struct HalfNorms<B: Backend>(Vec<Tensor<B, 2>>);

/// Half of each row's squared length, `[1, rows]`.
pub(crate) fn half_norms<B: Backend>(codebook: Tensor<B, 2>) -> Tensor<B, 2> {
    let squares = codebook.clone().mul(codebook);
    squares.sum_dim(1).div_scalar(2.0).transpose()
}

/// The row of `codebook` nearest to each row of `x`.
///
/// Of the squared distance, `|x|^2` is the same for every code, and leaving it
/// out rounds less.
pub(crate) fn nearest<B: Backend>(
    x: Tensor<B, 2>,
    codebook: Tensor<B, 2>,
    half_norms: Tensor<B, 2>,
) -> Tensor<B, 1, Int> {
    x.matmul(codebook.transpose())
        .sub(half_norms)
        .argmax(1)
        .squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    type B = burn_flex::Flex;

    fn quantizer() -> ResidualVectorQuantizer<B> {
        let config = ResidualVectorQuantizerConfig {
            dimension: 5,
            codebook_size: 11,
            levels: 3,
        };
        config.init(&Default::default())
    }

    fn signal() -> Tensor<B, 3> {
        Tensor::random(
            [2, 5, 7],
            Distribution::Normal(0.0, 1.0),
            &Default::default(),
        )
    }

    /// Every distance in full and in 64 bits, one vector at a time.
    #[test]
    fn each_level_takes_the_nearest_code_of_what_is_left() {
        let (quantizer, x) = (quantizer(), signal());
        let codes = quantizer.encode(x.clone(), 3).to_data();
        let codes = codes.iter::<i64>().collect::<Vec<_>>();
        let x = x.to_data().iter::<f64>().collect::<Vec<_>>();
        let books = quantizer.codebooks.iter();
        let books = books
            .map(|book| book.to_data().iter::<f64>().collect::<Vec<_>>())
            .collect::<Vec<_>>();
        for batch in 0..2 {
            for frame in 0..7 {
                let mut left = (0..5)
                    .map(|d| x[(batch * 5 + d) * 7 + frame])
                    .collect::<Vec<_>>();
                for (level, book) in books.iter().enumerate() {
                    let distance = |code: usize| {
                        let row = &book[code * 5..][..5];
                        row.iter()
                            .zip(&left)
                            .map(|(e, x)| (e - x).powi(2))
                            .sum::<f64>()
                    };
                    let best = (0..11).min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
                    let best = best.unwrap_or_default();
                    assert_eq!(codes[(batch * 3 + level) * 7 + frame], best as i64);
                    for (left, row) in left.iter_mut().zip(&book[best * 5..][..5]) {
                        *left -= row;
                    }
                }
            }
        }
    }

    #[test]
    fn fewer_levels_are_a_prefix() {
        let (quantizer, x) = (quantizer(), signal());
        let all = quantizer.encode(x.clone(), 3);
        let two = quantizer.encode(x, 2);
        all.narrow(1, 0, 2)
            .to_data()
            .assert_eq(&two.to_data(), true);
    }

    #[test]
    fn decoding_sums_the_codebooks_rows() {
        let quantizer = quantizer();
        let device = Default::default();
        let codes = Tensor::<B, 3, Int>::from_ints([[[4, 0], [10, 3]]], &device);
        let y = quantizer.decode(codes);
        assert_eq!(y.dims(), [1, 5, 2]);
        for (frame, rows) in [[4, 10], [0, 3]].into_iter().enumerate() {
            let row = |level: usize| {
                let rows = rows[level]..rows[level] + 1;
                quantizer.codebooks[level].val().slice([rows, 0..5])
            };
            let expected = row(0) + row(1);
            let got = y.clone().narrow(2, frame, 1).reshape([1, 5]);
            got.to_data().assert_eq(&expected.to_data(), true);
        }
    }

    #[test]
    fn codebooks_take_no_gradient_and_are_visited() {
        type A = burn_autodiff::Autodiff<B>;
        let config = ResidualVectorQuantizerConfig {
            dimension: 5,
            codebook_size: 11,
            levels: 3,
        };
        let quantizer = config.init::<A>(&Default::default());
        assert_eq!(quantizer.num_params(), 3 * 11 * 5);
        assert!(
            quantizer
                .codebooks
                .iter()
                .all(|book| !book.val().is_require_grad())
        );
    }
}
