//! Rotary position embedding (RoFormer, arXiv 2104.09864), with the two halves
//! of a head's channels paired as in soundstorm-pytorch.

use std::ops::Range;

use burn::{
    config::Config,
    tensor::{DType, Tensor, TensorData, backend::Backend},
};

/// Configuration of [`Rotary`].
#[derive(Config, Debug)]
pub struct RotaryConfig {
    /// Channels of one head, an even number.
    pub dim_head: usize,
    /// Base of the geometric series of wavelengths.
    #[config(default = 10000.0)]
    pub theta: f64,
}

/// Sines and cosines for a number of frames.
///
/// It is no module: the tables hold nothing that is learned, and are made anew
/// for each length.
#[derive(Clone, Debug)]
pub struct Rotary<B: Backend> {
    cos: Tensor<B, 4>,
    sin: Tensor<B, 4>,
}

impl RotaryConfig {
    /// Tables for positions `0..frames`.
    pub fn init<B: Backend>(&self, frames: usize, device: &B::Device) -> Rotary<B> {
        self.init_at(0..frames, device)
    }

    /// Tables for frames that others came before.
    pub fn init_at<B: Backend>(&self, positions: Range<usize>, device: &B::Device) -> Rotary<B> {
        let frames = positions.len();
        let half = self.dim_head / 2;
        let frequencies = self.frequencies();
        let mut cos = Vec::with_capacity(frames * half);
        let mut sin = Vec::with_capacity(frames * half);
        for position in positions {
            for frequency in &frequencies {
                let angle = position as f32 * frequency;
                cos.push(angle.cos());
                sin.push(angle.sin());
            }
        }
        let table =
            |values| Tensor::from_data(TensorData::new(values, [1, 1, frames, half]), device);
        Rotary {
            cos: table(cos),
            sin: table(sin),
        }
    }

    /// Tables for frames at places of each row's own, which need not be whole numbers.
    ///
    /// # Shapes
    /// - `positions`: `[batch, frames]`, in single precision
    pub fn init_rows<B: Backend>(&self, positions: Tensor<B, 2>) -> Rotary<B> {
        let [batch, frames] = positions.dims();
        let half = self.dim_head / 2;
        let frequencies = TensorData::new(self.frequencies(), [1, 1, 1, half]);
        let frequencies = Tensor::from_data(frequencies, (&positions.device(), DType::F32));
        let angles = positions.reshape([batch, 1, frames, 1]) * frequencies;
        Rotary {
            cos: angles.clone().cos(),
            sin: angles.sin(),
        }
    }

    /// Radians of each pair of channels from one position to the next.
    ///
    /// The reference's tables are single precision throughout; angles of a thousand radians differ
    /// visibly otherwise.
    fn frequencies(&self) -> Vec<f32> {
        (0..self.dim_head / 2)
            .map(|i| {
                let exponent = (2 * i) as f32 / self.dim_head as f32;
                1.0 / (self.theta as f32).powf(exponent)
            })
            .collect()
    }
}

impl<B: Backend> Rotary<B> {
    /// Turns each pair of channels by its frame's angle.
    ///
    /// # Shapes
    /// - input, output: `[batch, heads, frames, dim_head]`, no more frames than
    ///   the tables have
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let [_, _, frames, dim_head] = x.dims();
        let half = dim_head / 2;
        let table = |table: &Tensor<B, 4>| table.clone().narrow(2, 0, frames).cast(x.dtype());
        let (cos, sin) = (table(&self.cos), table(&self.sin));
        let first = x.clone().narrow(3, 0, half);
        let second = x.narrow(3, half, half);
        Tensor::cat(
            vec![
                first.clone() * cos.clone() - second.clone() * sin.clone(),
                second * cos + first * sin,
            ],
            3,
        )
    }

    /// Whether rows have tables of their own.
    #[cfg(feature = "flex")]
    pub(crate) fn of_rows(&self) -> bool {
        self.cos.dims()[0] > 1
    }

    /// Cosines and sines, `[1 or batch, 1, frames, dim_head / 2]`.
    #[cfg(feature = "flex")]
    pub(crate) fn tables(&self) -> (&Tensor<B, 4>, &Tensor<B, 4>) {
        (&self.cos, &self.sin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    fn random(shape: [usize; 4]) -> Tensor<B, 4> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
    }

    /// Rows of whole numbers are what the tables of a range are.
    #[test]
    fn rows_have_places_of_their_own() {
        let device = Default::default();
        let x = random([2, 3, 5, 6]);
        let config = RotaryConfig::new(6);
        let places = [[0.0f32, 1.0, 2.0, 3.0, 4.0], [7.0, 8.0, 9.0, 10.0, 11.0]];
        let got = config.init_rows(Tensor::from_data(places, &device));
        let got = got.forward(x.clone());
        for (row, start) in [0, 7].into_iter().enumerate() {
            let want = config.init_at(start..start + 5, &device);
            let want = want.forward(x.clone().narrow(0, row, 1));
            let got = got.clone().narrow(0, row, 1);
            got.into_data()
                .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-5));
        }
    }

    /// What rotary positions are for: a product depends on the distance only.
    #[test]
    fn products_depend_on_distance_only() {
        let device = Default::default();
        let (frames, dim_head) = (7, 6);
        let rotary = RotaryConfig::new(dim_head).init::<B>(frames, &device);
        // The same vector at every frame, for the query and for the key.
        let query = rotary.forward(random([1, 1, 1, dim_head]).repeat_dim(2, frames));
        let key = rotary.forward(random([1, 1, 1, dim_head]).repeat_dim(2, frames));
        let products: Vec<f32> = query
            .matmul(key.swap_dims(2, 3))
            .into_data()
            .iter::<f32>()
            .collect();
        let at = |i: usize, j: usize| products[i * frames + j];
        for i in 1..frames {
            for j in 1..frames {
                assert!((at(i, j) - at(i - 1, j - 1)).abs() < 1e-4);
            }
        }
        assert!(
            (at(0, 3) - at(3, 0)).abs() > 1e-3,
            "direction is told apart"
        );
    }

    #[test]
    fn positions_go_on_where_they_stopped() {
        let device = Default::default();
        let x = random([2, 3, 7, 6]);
        let config = RotaryConfig::new(6);
        let whole = config.init::<B>(7, &device).forward(x.clone());
        let rest = config
            .init_at::<B>(3..7, &device)
            .forward(x.narrow(2, 3, 4));
        let whole = whole.narrow(2, 3, 4).into_data();
        rest.into_data().assert_eq(&whole, true);
    }

    #[test]
    fn frame_zero_is_unchanged_and_lengths_are_kept() {
        let device = Default::default();
        let rotary = RotaryConfig::new(10).init::<B>(5, &device);
        let x = random([2, 3, 5, 10]);
        let y = rotary.forward(x.clone());
        y.clone()
            .narrow(2, 0, 1)
            .into_data()
            .assert_approx_eq::<f32>(&x.clone().narrow(2, 0, 1).into_data(), Tolerance::default());
        let norm = |t: Tensor<B, 4>| t.powi_scalar(2).sum_dim(3).into_data();
        norm(y).assert_approx_eq::<f32>(&norm(x), Tolerance::absolute(1e-4));
    }
}
