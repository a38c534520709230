//! The left matrix in bf16.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

use super::super::layout::{Line, NUMBERS};
use super::{plan, tile};

/// Numbers below which packing is not worth another thread.
const SMALLEST: usize = 1 << 15;

/// Panels of rows, one after the other. Within one come the first lines of all of its rows, then
/// their second lines; the last ones are padded with zeros.
pub(super) struct Rows<'a> {
    lines: &'a [Line],
    m: usize,
    k: usize,
}

thread_local! {
    /// Fresh memory costs as much as filling it, so a thread keeps what it had for its last product.
    static BUFFER: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Rounds `x`, `[m, k]`, for as long as `run` takes.
pub(super) fn with<T>(x: &[f32], [m, k]: [usize; 2], run: impl FnOnce(&Rows<'_>) -> T) -> T {
    let row = k.div_ceil(NUMBERS);
    // While threads wait for each other they may start another product, which then finds none.
    let mut buffer = BUFFER.take();
    if buffer.len() < m * row {
        buffer.resize(m * row, Line::ZERO);
    }
    pack(x, [m, k], &mut buffer);
    let lines = &buffer;
    let out = run(&Rows { lines, m, k });
    BUFFER.set(buffer);
    out
}

/// `lines` are as many as `x` needs, or more.
fn pack(x: &[f32], [m, k]: [usize; 2], mut lines: &mut [Line]) {
    let panels = (0..plan::panels(m)).map(|panel| {
        let rows = plan::rows(panel, m);
        let own = lines.split_off_mut(..rows.len() * k.div_ceil(NUMBERS));
        (rows, own.unwrap_or_default())
    });
    let panels: Vec<_> = panels.collect();
    panels
        .into_par_iter()
        .with_min_len(SMALLEST.div_ceil(plan::HEIGHT * k.max(1)))
        .for_each(|(rows, lines)| {
            let x = &x[rows.start * k..rows.end * k];
            // SAFETY: the processor has the instructions, or nobody would be here.
            unsafe { tile::round_panel(x, rows.len(), lines) };
        });
}

impl Rows<'_> {
    /// The steps in which sums over a row are made, in lines.
    pub(super) fn steps(&self) -> impl Iterator<Item = Range<usize>> {
        plan::steps(self.k.div_ceil(NUMBERS))
    }

    /// The rows of a panel, and their lines in a step.
    pub(super) fn panel(&self, panel: usize, step: &Range<usize>) -> (Range<usize>, &[Line]) {
        let rows = plan::rows(panel, self.m);
        let start = rows.start * self.k.div_ceil(NUMBERS);
        let lines = &self.lines[start..][step.start * rows.len()..step.end * rows.len()];
        (rows, lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, isa};

    #[test]
    fn a_thread_keeps_the_memory_of_its_largest_product() {
        let kept = std::thread::spawn(|| {
            // Where the instructions are missing, rows of no numbers need none.
            let k = if isa() == Isa::Portable { 0 } else { 40 };
            let sizes = [7, 3].map(|m| {
                with(&vec![0.0; m * k], [m, k], |_| ());
                let buffer = BUFFER.take();
                let size = buffer.len();
                BUFFER.set(buffer);
                size
            });
            (sizes, k)
        });
        let (sizes, k) = kept.join().expect("a thread");
        assert_eq!(sizes, [7 * k.div_ceil(NUMBERS); 2]);
    }
}
