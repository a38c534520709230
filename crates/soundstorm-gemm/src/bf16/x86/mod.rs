//! Products with AVX512-BF16 or AMX-BF16. To be called only with what [`isa`](super::isa) found,
//! or with less.

mod amx;
mod avx512;
mod place;
mod plan;
mod rows;

use rayon::prelude::*;

use super::layout::{LINES, PAIRS};
use super::weights::columns;
use super::{Isa, PackedWeights};
use crate::product::{Onto, Out};
use place::Place;
use plan::Block;
use rows::Rows;

pub(super) use amx::found as has_amx;

pub(super) fn product(isa: Isa, x: &[f32], weights: &PackedWeights, m: usize) -> Vec<f32> {
    let [_, n] = weights.shape();
    let mut out = Vec::<f32>::with_capacity(m * n);
    let to = Out(out.as_mut_ptr());
    run(isa, to, x, weights, m, Onto::Empty);
    // SAFETY: the capacity is m * n, and every block of the output was written: their union is
    // the whole, and where k is 0 there still is a step, which writes zeros.
    unsafe { out.set_len(m * n) };
    out
}

pub(super) fn add_product(
    isa: Isa,
    out: &mut [f32],
    scale: f32,
    x: &[f32],
    weights: &PackedWeights,
    m: usize,
) {
    run(isa, Out(out.as_mut_ptr()), x, weights, m, Onto::Sum(scale));
}

/// `out` is valid for writes of m * n numbers, and for reads if it is added to.
fn run(isa: Isa, out: Out, x: &[f32], weights: &PackedWeights, m: usize, onto: Onto) {
    let [k, n] = weights.shape();
    let blocks = plan::blocks(isa, [m, k, n], rayon::current_num_threads());
    rows::with(isa, x, [m, k], |rows| match blocks.as_slice() {
        [one] => block(out, rows, weights, one, onto),
        many => many
            .par_iter()
            .with_max_len(1)
            .for_each(|each| block(out, rows, weights, each, onto)),
    });
}

/// Writes a block of `out`, which is as in [`run`].
fn block(out: Out, rows: &Rows<'_>, weights: &PackedWeights, block: &Block, onto: Onto) {
    let [_, n] = weights.shape();
    // SAFETY: the processor has the instructions, or nobody would have asked for them.
    let tiles = (rows.isa == Isa::Amx).then(|| unsafe { amx::Tiles::new() });
    for (index, step) in rows.steps().enumerate() {
        let onto = match onto {
            Onto::Empty if index > 0 => Onto::Sum(1.0),
            onto => onto,
        };
        for panel in block.columns.clone() {
            let columns = columns(panel, n);
            let weights = &weights.panel(panel)[step.start * PAIRS * LINES..];
            for (rows, x) in block.rows.clone().map(|panel| rows.panel(panel, &step)) {
                let place = Place {
                    // Within the [m, n] numbers, or at their end.
                    start: out.0.wrapping_add(rows.start * n + columns.start),
                    stride: n,
                    columns: columns.len(),
                    onto,
                };
                match &tiles {
                    // SAFETY: the place is rows.len() rows of columns.len() numbers of the output,
                    // in a block that no other thread writes; it is read only if it was
                    // initialised, by the caller or by the step before.
                    Some(tiles) => unsafe { tiles.run(rows.len(), x, weights, place) },
                    // SAFETY: as above, and the processor has the instructions, or nobody would
                    // be here.
                    None => unsafe { avx512::run(rows.len(), x, weights, place) },
                }
            }
        }
    }
}
