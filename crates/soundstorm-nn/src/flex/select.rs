//! The k-th largest number of each row, by selection.

use burn::tensor::{Tensor, backend::Backend};
use rayon::prelude::*;

use super::{Floats, TASK};

/// - `x`: `[batch, frames, numbers]`
/// - output: `[batch, frames, 1]`
pub(crate) fn kth_largest<B: Backend>(
    x: Tensor<B, 3>,
    k: usize,
) -> Result<Tensor<B, 3>, Tensor<B, 3>> {
    let [batch, frames, width] = x.dims();
    let x = Floats::take(x)?;
    let rows = x.numbers().par_chunks_exact(width);
    let kth = |scratch: &mut Vec<f32>, row: &[f32]| {
        scratch.clear();
        scratch.extend_from_slice(row);
        let kth = *scratch
            .select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a))
            .1;
        if kth > f32::NEG_INFINITY {
            return kth;
        }
        let above = row.iter().copied().filter(|&x| x > kth);
        above.min_by(f32::total_cmp).unwrap_or(kth)
    };
    let out = rows
        .with_min_len(TASK.div_ceil(width))
        .map_init(Vec::new, kth)
        .collect();
    Ok(Floats::new(out, [batch, frames, 1]).give())
}
