//! The left matrix in bf16.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

use super::super::Isa;
use super::super::layout::{Line, NUMBERS};
use super::{avx512, plan};

/// Numbers below which packing is not worth another thread.
const SMALLEST: usize = 1 << 15;

/// Panels of rows, one after the other. Within one come the first lines of all of its rows, then
/// their second lines; the last ones are padded with zeros.
pub(super) struct Rows<'a> {
    pub(super) isa: Isa,
    lines: &'a [Line],
    m: usize,
    k: usize,
}

thread_local! {
    /// Fresh memory costs as much as filling it, so a thread keeps what it had for its last product.
    static BUFFER: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Rounds `x`, `[m, k]`, for as long as `run` takes.
pub(super) fn with<T>(
    isa: Isa,
    x: &[f32],
    [m, k]: [usize; 2],
    run: impl FnOnce(&Rows<'_>) -> T,
) -> T {
    let row = k.div_ceil(NUMBERS);
    // While threads wait for each other they may start another product, which then finds none.
    let mut buffer = BUFFER.take();
    let last = plan::panels(isa, m).checked_sub(1);
    let size = last.map_or(0, |last| plan::padded(isa, last, m).end * row);
    if buffer.len() < size {
        buffer.resize(size, Line::ZERO);
    }
    pack(isa, x, [m, k], &mut buffer);
    let lines = &buffer;
    let out = run(&Rows { isa, lines, m, k });
    BUFFER.set(buffer);
    out
}

/// `lines` are as many as `x` needs, or more.
fn pack(isa: Isa, x: &[f32], [m, k]: [usize; 2], mut lines: &mut [Line]) {
    let panels = (0..plan::panels(isa, m)).map(|panel| {
        let rows = plan::rows(isa, panel, m);
        let padded = plan::padded(isa, panel, m).len();
        let own = lines.split_off_mut(..padded * k.div_ceil(NUMBERS));
        (rows, padded, own.unwrap_or_default())
    });
    let panels: Vec<_> = panels.collect();
    panels
        .into_par_iter()
        .with_min_len(SMALLEST.div_ceil(plan::height(isa) * k.max(1)))
        .for_each(|(rows, padded, lines)| {
            let x = &x[rows.start * k..rows.end * k];
            // SAFETY: the processor has the instructions, or nobody would be here.
            unsafe { avx512::round_panel(x, [rows.len(), k], padded, lines) };
        });
}

impl Rows<'_> {
    /// The steps in which sums over a row are made, in lines.
    pub(super) fn steps(&self) -> impl Iterator<Item = Range<usize>> {
        plan::steps(self.k.div_ceil(NUMBERS))
    }

    /// The rows of a panel, and their lines in a step.
    pub(super) fn panel(&self, panel: usize, step: &Range<usize>) -> (Range<usize>, &[Line]) {
        let rows = plan::rows(self.isa, panel, self.m);
        let padded = plan::padded(self.isa, panel, self.m);
        let start = padded.start * self.k.div_ceil(NUMBERS);
        let lines = &self.lines[start..][step.start * padded.len()..step.end * padded.len()];
        (rows, lines)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::layout::{part, round};
    use super::*;
    use crate::{isa, testing::numbers};

    #[test]
    fn lines_of_a_panel_lie_together_with_zeros_to_fill_it_up() {
        if isa() == Isa::Portable {
            return;
        }
        for isa in [Isa::Avx512Bf16, Isa::Amx] {
            for [m, k] in [[1, 1], [14, 32], [31, 33], [33, 67], [67, 2081]] {
                let x = numbers(m * k, 9);
                // The memory holds something else before.
                with(isa, &numbers(128 * 2112, 10), [128, 2112], |_| ());
                with(isa, &x, [m, k], |all| check(all, &x, k));
            }
        }
    }

    fn check(all: &Rows<'_>, x: &[f32], k: usize) {
        for step in all.steps() {
            for panel in 0..plan::panels(all.isa, all.m) {
                let (rows, lines) = all.panel(panel, &step);
                let high = if all.isa == Isa::Amx { 32 } else { rows.len() };
                assert_eq!(lines.len(), step.len() * high);
                for (at, line) in lines.iter().enumerate() {
                    let (row, start) = (at % high, (step.start + at / high) * NUMBERS);
                    for (index, got) in line.0.iter().flat_map(|&pair| part(pair)).enumerate() {
                        let want = if row < rows.len() && start + index < k {
                            round(x[(rows.start + row) * k + start + index])
                        } else {
                            0
                        };
                        assert_eq!(got, want, "{rows:?} {at} {index}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_thread_keeps_the_memory_of_its_largest_product() {
        let kept = std::thread::spawn(|| {
            // Where the instructions are missing, rows of no numbers need none.
            let k = if isa() == Isa::Portable { 0 } else { 40 };
            let sizes = [7, 3].map(|m| {
                with(Isa::Avx512Bf16, &vec![0.0; m * k], [m, k], |_| ());
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
