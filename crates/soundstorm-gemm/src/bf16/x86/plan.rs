//! How sums and outputs are cut.

use std::ops::Range;

use super::super::{Isa, layout::WIDTH};
use super::{amx, avx512};
use crate::grid::split;

/// Lines of a row that are multiplied in one step, at most.
const DEPTH: usize = 64;

/// Rows in a block, at most: those of a step shall stay in the second-level cache.
const TALLEST: usize = 280;

/// Blocks for each thread, so that a slow one leaves its last ones to the others.
const SHARES: usize = 8;

/// Multiplications below which a block is not worth a thread's while.
const SMALLEST: usize = 1 << 20;

/// To read a weight takes as long as to multiply it by so many rows.
const READING: usize = 8;

/// A block of the output: its panels of rows, and its panels of columns.
pub(super) struct Block {
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

/// Blocks that cover `[m, n]` and do not overlap.
pub(super) fn blocks(isa: Isa, [m, k, n]: [usize; 3], threads: usize) -> Vec<Block> {
    let work = m.max(READING).saturating_mul(k).saturating_mul(n) / SMALLEST;
    let shares = if threads > 1 { SHARES * threads } else { 1 };
    let shares = shares.min(work);
    let [rows, columns] = [panels(isa, m), n.div_ceil(WIDTH)];
    let tall = shares.div_ceil(columns.max(1)).clamp(1, rows.max(1));
    let tall = tall.max(rows.div_ceil(TALLEST / height(isa)));
    let wide = shares.div_ceil(tall).clamp(1, columns.max(1));
    let columns = split(columns, wide);
    split(rows, tall)
        .flat_map(|rows| {
            columns.clone().map(move |columns| Block {
                rows: rows.clone(),
                columns,
            })
        })
        .collect()
}

/// Rows of the output in a panel, at most.
pub(super) fn height(isa: Isa) -> usize {
    match isa {
        Isa::Amx => amx::HEIGHT,
        _ => avx512::HEIGHT,
    }
}

/// The panels into which `m` rows are cut.
pub(super) fn panels(isa: Isa, m: usize) -> usize {
    m.div_ceil(height(isa))
}

/// The rows of a panel, of `m` in all: as even as can be, since low tiles are slow.
pub(super) fn rows(isa: Isa, panel: usize, m: usize) -> Range<usize> {
    let panels = panels(isa, m);
    m * panel / panels..m * (panel + 1) / panels
}

/// Where the rows of a panel lie among those of all, together with rows of zeros that fill it up:
/// tiles are set up for full ones.
pub(super) fn padded(isa: Isa, panel: usize, m: usize) -> Range<usize> {
    match isa {
        Isa::Amx => panel * amx::HEIGHT..(panel + 1) * amx::HEIGHT,
        _ => rows(isa, panel, m),
    }
}

/// The steps in which sums over so many lines are made, at least one.
pub(super) fn steps(lines: usize) -> impl Iterator<Item = Range<usize>> {
    split(lines, lines.div_ceil(DEPTH).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_panel_once() {
        for isa in [Isa::Avx512Bf16, Isa::Amx] {
            for shape in [
                [1, 1, 1],
                [500, 1024, 4096],
                [997, 64, 131],
                [4001, 331, 67],
                [67, 4099, 5],
                [3, 1 << 21, 7],
                [20, 1 << 16, 40],
            ] {
                let [m, _, n] = shape;
                for threads in [1, 2, 3, 16, 61] {
                    let [rows, columns] = [panels(isa, m), n.div_ceil(WIDTH)];
                    let mut seen = vec![0; rows * columns];
                    for block in blocks(isa, shape, threads) {
                        assert!(
                            block.rows.len() * height(isa) <= TALLEST,
                            "{shape:?} {threads}"
                        );
                        assert!(
                            !block.rows.is_empty() && !block.columns.is_empty(),
                            "{shape:?}"
                        );
                        for row in block.rows {
                            for column in block.columns.clone() {
                                seen[row * columns + column] += 1;
                            }
                        }
                    }
                    assert!(seen.iter().all(|&count| count == 1), "{shape:?} {threads}");
                }
            }
        }
    }

    #[test]
    fn threads_get_several_blocks_each_if_there_is_enough_to_do() {
        let count = |shape, threads| blocks(Isa::Avx512Bf16, shape, threads).len();
        assert_eq!(count([500, 1024, 4096], 2), 16);
        assert_eq!(count([500, 1024, 1024], 2), 16);
        // More than the panels of columns.
        assert_eq!(count([500, 1024, 1024], 16), 128);
        // Few rows share the columns, which are read slower than they are multiplied.
        assert_eq!(count([1, 1024, 4096], 2), 16);
        assert_eq!(count([9, 1024, 1024], 2), 9);
        assert_eq!(count([7, 1024, 96], 16), 1);
        // Alone a thread cuts only what its cache could not hold.
        assert_eq!(count([280, 1024, 4096], 1), 1);
        assert_eq!(count([281, 1024, 4096], 1), 2);
        assert_eq!(count([3, 1024, 0], 2), 1);
    }

    #[test]
    fn panels_are_as_even_as_can_be() {
        assert_eq!([panels(Isa::Avx512Bf16, 28), panels(Isa::Amx, 64)], [2, 2]);
        for (isa, m) in [1, 13, 14, 15, 28, 29, 32, 33, 500, 1021]
            .into_iter()
            .flat_map(|m| [(Isa::Amx, m), (Isa::Avx512Bf16, m)])
        {
            let mut next = 0;
            for panel in 0..panels(isa, m) {
                let rows = rows(isa, panel, m);
                assert_eq!(rows.start, next);
                assert!(
                    rows.len() <= height(isa) && rows.len() >= m / panels(isa, m),
                    "{m} {rows:?}"
                );
                next = rows.end;
            }
            assert_eq!(next, m);
        }
    }

    #[test]
    fn long_sums_are_cut_and_empty_ones_are_made() {
        for (lines, want) in [(0, vec![0]), (64, vec![64]), (65, vec![32, 65])] {
            assert_eq!(steps(lines).map(|step| step.end).collect::<Vec<_>>(), want);
        }
    }
}
