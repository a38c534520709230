//! Training through codebooks that averages move (van den Oord et al. 2017, appendix A.1; SoundStream,
//! Zeghidour et al. 2021, section III.C).

use burn::prelude::*;
use burn::tensor::DType;

use super::dropout::{assert_rows, kept};
use super::{Quantized, distance, straight_through};
use crate::ResidualVectorQuantizer;

impl<B: Backend> ResidualVectorQuantizer<B> {
    /// Quantizes with all levels, in 32 bits, and adds up those that each row has.
    ///
    /// The gradient goes straight through the whole sum, once and not once for each level. The
    /// loss is that of what each level is given, added up over the levels; of a row it is that of
    /// its own levels, and the mean is over all rows. [`CodebookAverages`](crate::CodebookAverages)
    /// moves the codebooks.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    ///
    /// # Arguments
    /// - `row_levels`: the levels of each row, as [`draw_levels`](crate::draw_levels) gives them
    ///
    /// # Panics
    /// If there are no levels, or not as many numbers of them as rows.
    pub fn quantize(&self, x: Tensor<B, 3>, row_levels: &[usize]) -> Quantized<B> {
        assert_rows(row_levels, x.dims()[0]);
        let device = x.device();
        let x = x.cast(DType::F32);
        let codes = self.encode(x.clone().detach(), self.codebooks.len());
        let mut residual = x.clone();
        let mut sum = Tensor::zeros(x.dims(), (&device, DType::F32));
        let mut loss = Tensor::zeros([1], (&device, DType::F32));
        for level in 0..self.codebooks.len() {
            let kept = kept(row_levels, level, &device);
            let vectors = self.vectors(level, codes.clone().narrow(1, level, 1));
            let vectors = vectors.cast(DType::F32).detach();
            loss = loss + distance(residual.clone(), vectors.clone(), &kept);
            residual = residual - vectors.clone();
            sum = sum + vectors * kept;
        }
        let first = self.vectors(0, codes.clone().narrow(1, 0, 1));
        Quantized {
            first: straight_through(x.clone(), first.cast(DType::F32)),
            vectors: straight_through(x, sum),
            codes,
            commitment_loss: loss,
            codebook_loss: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResidualVectorQuantizerConfig;
    use burn::tensor::{Distribution, Tolerance};

    type A = burn_autodiff::Autodiff<burn_flex::Flex>;

    /// What comes out is the row's own levels; gradients are those of the sum, and of the loss's
    /// definition.
    #[test]
    fn the_sum_is_quantized_and_its_gradient_is_not() {
        let device = Default::default();
        let config = ResidualVectorQuantizerConfig {
            dimension: 5,
            codebook_size: 11,
            levels: 3,
        };
        let quantizer = config.init::<A>(&device);
        let normal = Distribution::Normal(0.0, 1.0);
        let x = Tensor::<A, 3>::random([2, 5, 7], normal, &device).require_grad();
        let weights = Tensor::<A, 3>::random([2, 5, 7], normal, &device);
        let got = quantizer.quantize(x.clone(), &[3, 1]);

        let tolerance = Tolerance::absolute(1e-5);
        let row = |row: usize, levels: usize| {
            let codes = got.codes.clone().narrow(0, row, 1);
            quantizer.decode(codes.narrow(1, 0, levels))
        };
        let expected = Tensor::cat(vec![row(0, 3), row(1, 1)], 0).into_data();
        let vectors = got.vectors.clone().into_data();
        vectors.assert_approx_eq::<f32>(&expected, tolerance);
        let expected = Tensor::cat(vec![row(0, 1), row(1, 1)], 0).into_data();
        got.first
            .clone()
            .into_data()
            .assert_approx_eq::<f32>(&expected, tolerance);

        let gradients = (got.vectors * weights.clone()).sum().backward();
        let of_x = x.grad(&gradients).expect("straight through").into_data();
        of_x.assert_approx_eq::<f32>(&weights.inner().into_data(), tolerance);

        // Of row 0 three levels count, of row 1 one: 35 numbers and 2 rows in each mean.
        let left = |row_index: usize, levels| {
            let own = x.clone().inner().narrow(0, row_index, 1);
            own - row(row_index, levels).inner()
        };
        let terms = [left(0, 1), left(0, 2), left(0, 3), left(1, 1)];
        let sums = terms
            .clone()
            .map(|left| left.powi_scalar(2).sum().into_scalar());
        let loss = got.commitment_loss.clone().into_scalar();
        assert!((loss - sums.iter().sum::<f32>() / 70.0).abs() < 1e-5);
        let [one, two, three, other] = terms;
        let expected = Tensor::cat(vec![one + two + three, other], 0) / 35;
        let of_x = x.grad(&got.commitment_loss.backward()).expect("commitment");
        of_x.into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), tolerance);
    }
}
