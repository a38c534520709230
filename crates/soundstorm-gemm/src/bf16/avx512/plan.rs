//! How sums and outputs are cut.

use std::ops::Range;

use super::super::layout::WIDTH;
use crate::grid::split;

/// Rows of the output in a tile, at most: with two vectors to a row they take 28 registers, which
/// leaves enough for the factors.
pub(super) const HEIGHT: usize = 14;

/// Lines of a row that are multiplied in one step, at most.
const DEPTH: usize = 64;

/// Panels of rows in a block, at most: those of a step shall stay in the second-level cache.
const TALLEST: usize = 20;

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
pub(super) fn blocks([m, k, n]: [usize; 3], threads: usize) -> Vec<Block> {
    let work = m.max(READING).saturating_mul(k).saturating_mul(n) / SMALLEST;
    let shares = if threads > 1 { SHARES * threads } else { 1 };
    let shares = shares.min(work);
    let [rows, columns] = [panels(m), n.div_ceil(WIDTH)];
    let tall = shares.div_ceil(columns.max(1)).clamp(1, rows.max(1));
    let tall = tall.max(rows.div_ceil(TALLEST));
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

/// The panels into which `m` rows are cut.
pub(super) fn panels(m: usize) -> usize {
    m.div_ceil(HEIGHT)
}

/// The rows of a panel, of `m` in all: as even as can be, since low tiles are slow.
pub(super) fn rows(panel: usize, m: usize) -> Range<usize> {
    let panels = panels(m);
    m * panel / panels..m * (panel + 1) / panels
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
                let [rows, columns] = [panels(m), n.div_ceil(WIDTH)];
                let mut seen = vec![0; rows * columns];
                for block in blocks(shape, threads) {
                    assert!(block.rows.len() <= TALLEST, "{shape:?} {threads}");
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

    #[test]
    fn threads_get_several_blocks_each_if_there_is_enough_to_do() {
        let count = |shape, threads| blocks(shape, threads).len();
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
        for m in [1, 13, 14, 15, 28, 29, 500, 1021] {
            let mut next = 0;
            for panel in 0..panels(m) {
                let rows = rows(panel, m);
                assert_eq!(rows.start, next);
                assert!(
                    rows.len() <= HEIGHT && rows.len() >= m / panels(m),
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
