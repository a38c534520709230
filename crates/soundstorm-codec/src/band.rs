//! Causal attention to a window of frames, block by block: memory and time grow with the frames,
//! not with their square.

use std::ops::Range;

use burn::prelude::*;
use burn::tensor::DType;
use soundstorm_nn::{AttendOptions, attend, lowest};

/// Queries of one block, unless it is made with fewer.
pub(crate) const BLOCK: usize = 128;

/// Which keys each query of a piece attends to: itself and the frames before it, as many as make a
/// window.
#[derive(Debug, Clone)]
pub(crate) struct Band<B: Backend> {
    blocks: Vec<Block<B>>,
}

#[derive(Debug, Clone)]
struct Block<B: Backend> {
    queries: Range<usize>,
    keys: Range<usize>,
    options: AttendOptions<B>,
}

impl<B: Backend> Band<B> {
    /// For `frames` queries; their keys are preceded by `past` others.
    pub(crate) fn new(
        past: usize,
        frames: usize,
        window: usize,
        heads: usize,
        device: &B::Device,
    ) -> Self {
        Self::in_blocks(BLOCK, past, frames, window, heads, device)
    }

    /// [`Band::new`], `block` queries at a time.
    pub(crate) fn in_blocks(
        block: usize,
        past: usize,
        frames: usize,
        window: usize,
        heads: usize,
        device: &B::Device,
    ) -> Self {
        let mut blocks: Vec<Block<B>> = Vec::with_capacity(frames.div_ceil(block));
        for start in (0..frames).step_by(block) {
            let queries = start..frames.min(start + block);
            let keys = (past + start + 1).saturating_sub(window)..past + queries.end;
            // How many keys of the block come before its first query.
            let before = past + start - keys.start;
            // All blocks in the middle look alike.
            let same = blocks.last().filter(|last| {
                let last_before = past + last.queries.start - last.keys.start;
                (last.queries.len(), last_before) == (queries.len(), before)
            });
            let options = match same {
                Some(last) => last.options.clone(),
                None => AttendOptions {
                    bias: bias(before, queries.len(), window, heads, device),
                    ..AttendOptions::default()
                },
            };
            blocks.push(Block {
                queries,
                keys,
                options,
            });
        }
        Self { blocks }
    }

    /// Adds `bias` to the scores of every block.
    ///
    /// # Arguments
    /// - `bias`: from the keys before a block's first query and its queries to
    ///   `[1, heads, queries, before + queries]`
    pub(crate) fn with_bias(mut self, bias: impl Fn(usize, usize) -> Tensor<B, 4>) -> Self {
        for block in &mut self.blocks {
            let queries = block.queries.len();
            let bias = bias(block.keys.len() - queries, queries);
            block.options.bias = Some(match block.options.bias.take() {
                Some(hidden) => hidden + bias,
                None => bias,
            });
        }
        self
    }

    /// # Shapes
    /// - query, output: `[batch, heads, frames, dim_head]`
    /// - key, value: `[batch, heads, past + frames, dim_head]`
    pub(crate) fn attend(
        &self,
        query: &Tensor<B, 4>,
        key: &Tensor<B, 4>,
        value: &Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        self.attend_turned(query, key, value, |query, key| [query, key])
    }

    /// [`Band::attend`], with the queries and the keys of each block as `turn` leaves them. Its
    /// last key stands where its last query does.
    pub(crate) fn attend_turned(
        &self,
        query: &Tensor<B, 4>,
        key: &Tensor<B, 4>,
        value: &Tensor<B, 4>,
        turn: impl Fn(Tensor<B, 4>, Tensor<B, 4>) -> [Tensor<B, 4>; 2],
    ) -> Tensor<B, 4> {
        let part =
            |x: &Tensor<B, 4>, range: &Range<usize>| x.clone().narrow(2, range.start, range.len());
        let block = |block: &Block<B>| {
            let [query, key] = turn(part(query, &block.queries), part(key, &block.keys));
            attend(query, key, part(value, &block.keys), &block.options)
        };
        Tensor::cat(self.blocks.iter().map(block).collect(), 2)
    }
}

/// What hides keys that are later than a query or have left its window, if any have.
///
/// # Shapes
/// - output: `[1, heads, queries, before + queries]`
fn bias<B: Backend>(
    before: usize,
    queries: usize,
    window: usize,
    heads: usize,
    device: &B::Device,
) -> Option<Tensor<B, 4>> {
    // A query alone has the keys of its window.
    if queries == 1 {
        return None;
    }
    let keys = before + queries;
    let hidden = lowest(DType::F32);
    let mut bias = vec![hidden; queries * keys];
    for (query, row) in bias.chunks_mut(keys).enumerate() {
        let own = before + query;
        row[(own + 1).saturating_sub(window)..=own].fill(0.0);
    }
    let bias = TensorData::new(bias, [1, 1, queries, keys]);
    Some(Tensor::<B, 4>::from_data(bias, device).expand([1, heads, queries, keys]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    /// Each query alone, with the keys of its window and no bias.
    #[test]
    fn a_query_attends_to_its_window_and_nothing_else() {
        let device = Default::default();
        // No block is full; several are, and the last is not; the past is the window's.
        for (past, frames, window) in [
            (0, 7, 3),
            (2, 2, 3),
            (4, 2 * BLOCK + 3, 5),
            (0, 1, 1),
            (0, 5, 11),
        ] {
            let random = |frames| {
                let shape = [2, 3, frames, 4];
                Tensor::<B, 4>::random(shape, Distribution::Normal(0.0, 2.0), &device)
            };
            let (query, key, value) =
                (random(frames), random(past + frames), random(past + frames));
            let alone = (0..frames).map(|frame| {
                let start = (past + frame + 1).saturating_sub(window);
                let part = |x: &Tensor<B, 4>| x.clone().narrow(2, start, past + frame + 1 - start);
                let query = query.clone().narrow(2, frame, 1);
                attend(query, part(&key), part(&value), &AttendOptions::default())
            });
            let want = Tensor::cat(alone.collect(), 2).into_data();
            for block in [BLOCK, 3] {
                let band = Band::in_blocks(block, past, frames, window, 3, &device);
                band.attend(&query, &key, &value)
                    .into_data()
                    .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-5));
            }
        }
    }

    /// With a bias for the frame itself and none for others, or queries that no key answers to.
    #[test]
    fn a_bias_and_turned_blocks_count() {
        let device = Default::default();
        let (frames, window) = (11, 5);
        let random = || Tensor::<B, 4>::random([1, 2, frames, 4], Distribution::Default, &device);
        let (query, key, value) = (random(), random(), random());
        let band = Band::<B>::in_blocks(3, 0, frames, window, 2, &device);
        let own = |before: usize, queries: usize| {
            let own = Tensor::<B, 2>::eye(before + queries, &device) * 1e4;
            let own = own.narrow(0, before, queries);
            own.unsqueeze::<4>()
                .expand([1, 2, queries, before + queries])
        };
        let biased = band.clone().with_bias(own).attend(&query, &key, &value);
        let close = Tolerance::absolute(1e-5);
        biased
            .into_data()
            .assert_approx_eq::<f32>(&value.to_data(), close);

        let turned = band.attend_turned(&query, &key, &value, |query, key| [query * 0.0, key]);
        let mean = |frame: usize| {
            let first = (frame + 1).saturating_sub(window);
            value
                .clone()
                .narrow(2, first, frame + 1 - first)
                .mean_dim(2)
        };
        let means = Tensor::cat((0..frames).map(mean).collect(), 2);
        turned
            .into_data()
            .assert_approx_eq::<f32>(&means.into_data(), close);
    }
}
