//! Training of projected codebooks by gradient (Kumar et al. 2023, "Improved residual vector
//! quantization"; van den Oord et al. 2017, equation 3).

use burn::prelude::*;
use burn::tensor::DType;

use super::dropout::{assert_rows, kept};
use super::{Quantized, distance, straight_through};
use crate::dac::DacQuantizer;

impl<B: Backend> DacQuantizer<B> {
    /// Quantizes with all levels, in 32 bits, and adds up those that each row has.
    ///
    /// Losses are those of each level's projected vectors, added up over the levels; of a row they
    /// are those of its own levels, and the mean is over all rows.
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
        let mut residual = x.cast(DType::F32);
        let mut vectors = Tensor::zeros(residual.dims(), (&device, DType::F32));
        let mut first = None;
        let mut codes = Vec::with_capacity(self.levels.len());
        let mut losses = [(); 2].map(|()| Tensor::zeros([1], (&device, DType::F32)));
        for (index, level) in self.levels.iter().enumerate() {
            let kept = kept(row_levels, index, &device);
            let inside = level.inside(residual.clone());
            let nearest = level.nearest_inside(inside.clone().detach());
            let entries = level.entries(nearest.clone(), DType::F32);
            let [commitment, codebook] = losses;
            losses = [
                commitment + distance(inside.clone(), entries.clone().detach(), &kept),
                codebook + distance(entries.clone(), inside.clone().detach(), &kept),
            ];
            let outside = level.outside(straight_through(inside, entries));
            first.get_or_insert_with(|| outside.clone());
            residual = residual - outside.clone();
            vectors = vectors + outside * kept;
            codes.push(nearest);
        }
        let [commitment_loss, codebook_loss] = losses;
        Quantized {
            first: first.unwrap_or_else(|| vectors.clone()),
            vectors,
            codes: Tensor::cat(codes, 1),
            commitment_loss,
            codebook_loss: Some(codebook_loss),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dac::DacQuantizerConfig;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;
    type A = burn_autodiff::Autodiff<B>;

    fn quantizer<B: Backend>() -> DacQuantizer<B> {
        let config = DacQuantizerConfig {
            dimension: 7,
            codebook_size: 13,
            codebook_dimension: 3,
            levels: 4,
        };
        config.init(&Default::default())
    }

    fn signal<B: Backend>() -> Tensor<B, 3> {
        let normal = Distribution::Normal(0.0, 1.0);
        Tensor::random([3, 7, 11], normal, &Default::default())
    }

    /// Row by row what decoding the row's own levels gives.
    #[test]
    fn training_quantizes_as_encoding_does() {
        let (quantizer, x) = (quantizer::<B>(), signal());
        let got = quantizer.quantize(x.clone(), &[1, 4, 2]);
        let codes = quantizer.encode(x, 4);
        got.codes.into_data().assert_eq(&codes.to_data(), true);
        let tolerance = Tolerance::absolute(1e-5);
        for (row, levels) in [1, 4, 2].into_iter().enumerate() {
            let codes = codes.clone().narrow(0, row, 1);
            let expected = quantizer.decode(codes.clone().narrow(1, 0, levels));
            let vectors = got.vectors.clone().narrow(0, row, 1).into_data();
            vectors.assert_approx_eq::<f32>(&expected.into_data(), tolerance);
            let expected = quantizer.decode(codes.narrow(1, 0, 1));
            let first = got.first.clone().narrow(0, row, 1).into_data();
            first.assert_approx_eq::<f32>(&expected.into_data(), tolerance);
        }
    }

    /// The encoder is moved by one loss, the codebooks by the other.
    #[test]
    fn each_loss_moves_its_own_side() {
        let quantizer = quantizer::<A>();
        let x = signal::<A>().require_grad();
        let got = quantizer.quantize(x.clone(), &[4, 4, 4]);
        let codebook_loss = got.codebook_loss.expect("by gradient");
        let losses = [got.commitment_loss, codebook_loss];
        let [commitment, codebook] = losses.map(|loss| {
            let number = loss.clone().into_scalar();
            (number, loss.backward())
        });
        assert!((commitment.0 - codebook.0).abs() < 1e-5 && commitment.0 > 0.1);
        let last = quantizer.levels[3].codebook.val();
        let is_moved = |gradient: Option<Tensor<B, 2>>| {
            gradient.is_some_and(|gradient| gradient.abs().max().into_scalar() > 0.0)
        };
        assert!(!is_moved(last.grad(&commitment.1)));
        assert!(is_moved(last.grad(&codebook.1)));
        let of_x = |gradients| x.grad(gradients).map(|gradient| gradient.reshape([3, 77]));
        assert!(is_moved(of_x(&commitment.1)));
        assert!(!is_moved(of_x(&codebook.1)));
    }
}
