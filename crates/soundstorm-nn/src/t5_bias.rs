//! T5's learned relative position bias (arXiv 1910.10683, section 2.1), in the
//! bidirectional form that soundstorm-pytorch offers instead of rotary positions.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    tensor::{Int, Tensor, TensorData, backend::Backend},
};

/// Configuration of [`T5Bias`].
#[derive(Config, Debug)]
pub struct T5BiasConfig {
    /// Number of attention heads.
    pub heads: usize,
    /// Number of buckets, half of them for each direction.
    #[config(default = 32)]
    pub buckets: usize,
    /// Distance from which on all positions share one bucket.
    #[config(default = 128)]
    pub max_distance: usize,
    /// What the bias is multiplied with; the reference takes the square root of
    /// a head's channels.
    #[config(default = 1.0)]
    pub scale: f64,
}

/// A learned bias on attention scores for each head and bucket of distance.
#[derive(Module, Debug)]
pub struct T5Bias<B: Backend> {
    /// Bias of each bucket and head, `[buckets, heads]`.
    pub weight: Param<Tensor<B, 2>>,
    max_distance: usize,
    scale: f64,
}

impl T5BiasConfig {
    /// A bias with normally distributed weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> T5Bias<B> {
        let initializer = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        T5Bias {
            weight: initializer.init([self.buckets, self.heads], device),
            max_distance: self.max_distance,
            scale: self.scale,
        }
    }
}

impl<B: Backend> T5Bias<B> {
    /// The bias of every query and key frame.
    ///
    /// # Shapes
    /// - output: `[1, heads, frames, frames]`, query before key
    pub fn forward(&self, frames: usize) -> Tensor<B, 4> {
        let weight = self.weight.val();
        let device = weight.device();
        let [buckets, heads] = weight.dims();
        let ids: Vec<i64> = (0..frames as i64)
            .flat_map(|query| (0..frames as i64).map(move |key| key - query))
            .map(|offset| bucket(offset, buckets, self.max_distance) as i64)
            .collect();
        let count = ids.len();
        let ids = Tensor::<B, 1, Int>::from_data(TensorData::new(ids, [count]), &device);
        weight
            .select(0, ids)
            .reshape([frames, frames, heads])
            .permute([2, 0, 1])
            .mul_scalar(self.scale)
            .unsqueeze()
    }
}

/// The bucket of a key `offset` frames after its query: near ones each have
/// their own, far ones share buckets of growing width.
fn bucket(offset: i64, buckets: usize, max_distance: usize) -> usize {
    let half = buckets / 2;
    let side = if offset > 0 { half } else { 0 };
    let distance = offset.unsigned_abs() as usize;
    let exact = half / 2;
    if distance < exact {
        return side + distance;
    }
    // Single precision as in the reference: the bucket's edge depends on it.
    let octaves =
        (distance as f32 / exact as f32).ln() / (max_distance as f64 / exact as f64).ln() as f32;
    let far = exact + (octaves * (half - exact) as f32) as usize;
    side + far.min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    /// Edges printed by PyTorch from soundstorm-pytorch 0.6.1's
    /// `T5RelativePositionBias._relative_position_bucket(torch.arange(-300, 301))`.
    #[test]
    fn buckets_change_where_the_reference_changes_them() {
        let edges = [
            (-300, 15),
            (-90, 14),
            (-63, 13),
            (-45, 12),
            (-31, 11),
            (-22, 10),
            (-15, 9),
            (-11, 8),
            (-7, 7),
            (-6, 6),
            (-5, 5),
            (-4, 4),
            (-3, 3),
            (-2, 2),
            (-1, 1),
            (0, 0),
            (1, 17),
            (2, 18),
            (3, 19),
            (4, 20),
            (5, 21),
            (6, 22),
            (7, 23),
            (8, 24),
            (12, 25),
            (16, 26),
            (23, 27),
            (32, 28),
            (46, 29),
            (64, 30),
            (91, 31),
        ];
        for (index, &(from, want)) in edges.iter().enumerate() {
            let until = edges.get(index + 1).map_or(301, |next| next.0);
            for offset in from..until {
                assert_eq!(bucket(offset, 32, 128), want, "offset {offset}");
            }
        }
    }

    #[test]
    fn query_comes_before_key_and_the_scale_applies() {
        let device = Default::default();
        let bias = T5BiasConfig::new(3).with_scale(2.0).init::<B>(&device);
        let out = bias.forward(5);
        assert_eq!(out.dims(), [1, 3, 5, 5]);
        let weight: Vec<f32> = bias.weight.val().into_data().iter::<f32>().collect();
        let out: Vec<f32> = out.into_data().iter::<f32>().collect();
        let (head, query, key) = (2, 1, 4);
        let got = out[(head * 5 + query) * 5 + key];
        assert_eq!(got, 2.0 * weight[bucket(3, 32, 128) * 3 + head]);
    }
}
