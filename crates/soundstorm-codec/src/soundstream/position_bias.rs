//! A bias on the scores of an attention that a small network makes of the distance, in place of
//! positions (`DynamicPositionBias` of the `local-attention` package).

use burn::prelude::*;
use soundstorm_nn::{Linear, LinearConfig, linear, linear_swish};

use super::SoundStreamConfig;

/// From a distance in frames to what is added to each head's scores.
#[derive(Module, Debug)]
pub struct DynamicPositionBias<B: Backend> {
    /// From the distance, to half the dimension.
    pub input: Linear<B>,
    /// Inside.
    pub inner: Linear<B>,
    /// To one number for each head.
    pub output: Linear<B>,
}

impl SoundStreamConfig {
    pub(super) fn init_position_bias<B: Backend>(
        &self,
        device: &B::Device,
    ) -> DynamicPositionBias<B> {
        let inner = self.dimension / 2;
        DynamicPositionBias {
            input: LinearConfig::new(1, inner).init(device),
            inner: LinearConfig::new(inner, inner).init(device),
            output: LinearConfig::new(inner, self.heads).init(device),
        }
    }
}

impl<B: Backend> DynamicPositionBias<B> {
    /// The bias of every distance from 0 on.
    ///
    /// # Shapes
    /// - output: `[distances, heads]`
    pub fn by_distance(&self, distances: usize) -> Tensor<B, 2> {
        let device = self.input.weight.device();
        let x = Tensor::<B, 1, Int>::arange(0..distances as i64, &device);
        let x = x.float().cast(self.input.weight.val().dtype());
        let x = x.reshape([1, distances, 1]);
        let x = linear_swish(linear_swish(x, &self.input), &self.inner);
        linear(x, &self.output).squeeze_dim(0)
    }
}

/// The bias of a block of queries, of which the last stands where the last key does.
///
/// # Shapes
/// - by_distance: `[distances, heads]`; a key farther away, or later, gets that of the last
/// - output: `[1, heads, queries, before + queries]`
pub(super) fn of_block<B: Backend>(
    by_distance: &Tensor<B, 2>,
    before: usize,
    queries: usize,
) -> Tensor<B, 4> {
    let ([distances, heads], keys) = (by_distance.dims(), before + queries);
    let cells = (0..queries).flat_map(|query| (0..keys).map(move |key| (before + query, key)));
    let distance = |(query, key): (usize, usize)| query.abs_diff(key).min(distances - 1) as i64;
    let rows = TensorData::new(cells.map(distance).collect(), [queries * keys]);
    let rows = Tensor::<B, 1, Int>::from_data(rows, &by_distance.device());
    by_distance
        .clone()
        .select(0, rows)
        .reshape([1, queries, keys, heads])
        .permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn a_key_gets_the_bias_of_its_distance() {
        let device = Default::default();
        // Of the distances 0, 1 and 2, for two heads.
        let table = Tensor::<B, 2>::from_floats([[0.0, 10.0], [1.0, 11.0], [2.0, 12.0]], &device);
        let bias = of_block(&table, 2, 2);
        assert_eq!(bias.dims(), [1, 2, 2, 4]);
        let numbers: Vec<f32> = bias.into_data().iter().collect();
        let expected = [2., 1., 0., 1., 2., 2., 1., 0.];
        assert_eq!(numbers[..8], expected);
        assert_eq!(numbers[8..], expected.map(|bias| bias + 10.0));
    }
}
