//! Causal attention to a window of frames, block by block: memory and time grow with the frames,
//! not with their square.

use std::ops::Range;

use burn::prelude::*;
use burn::tensor::DType;
use soundstorm_nn::{AttendOptions, attend, lowest};

/// Queries of one block.
const BLOCK: usize = 128;

/// Which keys each query of a piece attends to: itself and the frames before it, as many as make a
/// window.
#[derive(Debug, Clone)]
pub(super) struct Band<B: Backend> {
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
    pub(super) fn new(
        past: usize,
        frames: usize,
        window: usize,
        heads: usize,
        device: &B::Device,
    ) -> Self {
        let mut blocks: Vec<Block<B>> = Vec::with_capacity(frames.div_ceil(BLOCK));
        for start in (0..frames).step_by(BLOCK) {
            let queries = start..frames.min(start + BLOCK);
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

    /// # Shapes
    /// - query, output: `[batch, heads, frames, dim_head]`
    /// - key, value: `[batch, heads, past + frames, dim_head]`
    pub(super) fn attend(
        &self,
        query: &Tensor<B, 4>,
        key: &Tensor<B, 4>,
        value: &Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        let part =
            |x: &Tensor<B, 4>, range: &Range<usize>| x.clone().narrow(2, range.start, range.len());
        let block = |block: &Block<B>| {
            let query = part(query, &block.queries);
            let (key, value) = (part(key, &block.keys), part(value, &block.keys));
            attend(query, key, value, &block.options)
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
            let band = Band::new(past, frames, window, 3, &device);
            let got = band.attend(&query, &key, &value);
            let alone = (0..frames).map(|frame| {
                let start = (past + frame + 1).saturating_sub(window);
                let part = |x: &Tensor<B, 4>| x.clone().narrow(2, start, past + frame + 1 - start);
                let query = query.clone().narrow(2, frame, 1);
                attend(query, part(&key), part(&value), &AttendOptions::default())
            });
            let want = Tensor::cat(alone.collect(), 2).into_data();
            got.into_data()
                .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-5));
        }
    }
}
