//! Rotary positions with a scale that decays by distance (xPos, Sun et al. 2022, "A
//! Length-Extrapolatable Transformer", section 2), as the `local-attention` package has them.

use burn::prelude::*;
use burn::tensor::DType;

use super::SoundStreamConfig;

/// Base of the rotary positions' wavelengths.
const THETA: f32 = 10_000.0;
/// How slowly the scales of a head's pairs differ.
const GAMMA: f32 = 0.4;

/// Positions of a block of queries and of the keys before and beside them, counted anew for each
/// block: only distances matter.
#[derive(Debug, Clone)]
pub(super) struct Xpos<B: Backend> {
    /// Of a block's queries, the first first.
    query: Tables<B>,
    /// Of the keys from a window before a block's first query to its last query.
    key: Tables<B>,
    past: usize,
}

/// Cosines and sines times the scale, `[1, 1, positions, dim_head / 2]`.
#[derive(Debug, Clone)]
struct Tables<B: Backend> {
    cos: Tensor<B, 4>,
    sin: Tensor<B, 4>,
}

impl SoundStreamConfig {
    /// Positions for blocks of up to `block` queries after up to `past` keys.
    pub(super) fn init_xpos<B: Backend>(
        &self,
        past: usize,
        block: usize,
        device: &B::Device,
    ) -> Xpos<B> {
        let (dim, base) = (self.dim_head, self.scale_base() as f32);
        let tables = |first: usize, sign: f32| {
            let positions = first..past + block;
            let shape = [1, 1, positions.len(), dim / 2];
            // Single precision throughout, as in the package.
            let cells = positions.flat_map(|position| {
                let power = sign * (position as f32 - past as f32) / base;
                (0..dim / 2).map(move |pair| {
                    let even = (2 * pair) as f32;
                    let angle = position as f32 * THETA.powf(even / dim as f32).recip();
                    let width = dim as f32;
                    let scale = (even + GAMMA * width) / ((1.0 + GAMMA) * width);
                    let scale = scale.powf(power);
                    (angle.cos() * scale, angle.sin() * scale)
                })
            });
            let (cos, sin): (Vec<f32>, Vec<f32>) = cells.unzip();
            let table = |values| Tensor::from_data(TensorData::new(values, shape), device);
            Tables {
                cos: table(cos),
                sin: table(sin),
            }
        };
        Xpos {
            query: tables(past, 1.0),
            key: tables(0, -1.0),
            past,
        }
    }
}

impl<B: Backend> Xpos<B> {
    /// Turns and scales a block; its last key stands where its last query does.
    ///
    /// # Shapes
    /// - query: `[batch, heads, queries, dim_head]`
    /// - key: `[batch, heads, before + queries, dim_head]`
    pub(super) fn turn(&self, query: Tensor<B, 4>, key: Tensor<B, 4>) -> [Tensor<B, 4>; 2] {
        let ([_, _, queries, _], [_, _, keys, _]) = (query.dims(), key.dims());
        [
            self.query.turn(query, 0),
            self.key.turn(key, self.past + queries - keys),
        ]
    }
}

impl<B: Backend> Tables<B> {
    /// # Arguments
    /// - `start`: the table's position of the first frame
    fn turn(&self, x: Tensor<B, 4>, start: usize) -> Tensor<B, 4> {
        let [_, _, frames, dim_head] = x.dims();
        let (half, dtype) = (dim_head / 2, x.dtype());
        let table = |table: &Tensor<B, 4>| table.clone().narrow(2, start, frames);
        let (cos, sin) = (table(&self.cos), table(&self.sin));
        // The scales of far keys need more range than half precision has.
        let x = x.cast(DType::F32);
        let first = x.clone().narrow(3, 0, half);
        let second = x.narrow(3, half, half);
        let turned = vec![
            first.clone() * cos.clone() - second.clone() * sin.clone(),
            second * cos + first * sin,
        ];
        Tensor::cat(turned, 3).cast(dtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    type B = burn_flex::Flex;

    fn config() -> SoundStreamConfig {
        SoundStreamConfig {
            dim_head: 6,
            window: 7,
            ..Default::default()
        }
    }

    /// The scores of one and the same query and key at every place of a block.
    fn scores(past: usize, block: usize, before: usize, queries: usize) -> Vec<f32> {
        let device = Default::default();
        <B as Backend>::seed(&device, 7);
        let vector = |frames| {
            let one = Tensor::<B, 4>::random([1, 1, 1, 6], Distribution::Default, &device);
            one.repeat_dim(2, frames)
        };
        let (query, key) = (vector(queries), vector(before + queries));
        let xpos = config().init_xpos(past, block, &device);
        let [query, key] = xpos.turn(query, key);
        let scores = query.matmul(key.swap_dims(2, 3));
        scores.into_data().iter().collect()
    }

    #[test]
    fn scores_depend_on_the_distance_only() {
        let (before, queries) = (5, 4);
        let keys = before + queries;
        let all = scores(5, 4, before, queries);
        // By distance: the last query has all of them.
        let by_distance: Vec<f32> = all[(queries - 1) * keys..].iter().rev().copied().collect();
        for query in 0..queries {
            for key in 0..=before + query {
                let (got, want) = (all[query * keys + key], by_distance[before + query - key]);
                assert!((got - want).abs() < 1e-5 * want.abs().max(1.0));
            }
        }
        // A smaller block of the same tables, and of tables of its own.
        for (past, block) in [(5, 4), (2, 3)] {
            let smaller = scores(past, block, 2, 3);
            let last = smaller[2 * 5..].iter().rev();
            for (got, want) in last.zip(&by_distance) {
                assert!((got - want).abs() < 1e-5 * want.abs().max(1.0));
            }
        }
        assert!((by_distance[0] - by_distance[3]).abs() > 1e-3);
    }

    /// At a distance of one base the first pair of channels counts 0.4 / 1.4 of what it does at none.
    #[test]
    fn far_keys_count_less() {
        let device = Default::default();
        let base = config().scale_base();
        assert_eq!(base, 3);
        let xpos = config().init_xpos::<B>(base, 1, &device);
        let ones = |frames| Tensor::<B, 4>::ones([1, 1, frames, 6], &device);
        let [query, key] = xpos.turn(ones(1), ones(base + 1));
        let length = |x: &Tensor<B, 4>, frame: usize| {
            let pair = |channel| {
                let number = x
                    .clone()
                    .slice([0..1, 0..1, frame..frame + 1, channel..channel + 1]);
                number.into_scalar().powi(2)
            };
            (pair(0) + pair(3)).sqrt()
        };
        let near = length(&query, 0) * length(&key, base);
        let far = length(&query, 0) * length(&key, 0);
        assert!((far / near - 0.4 / 1.4).abs() < 1e-5);
    }
}
