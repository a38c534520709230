//! How an output is cut into blocks, one for each thread.

use std::ops::Range;

/// Columns below which a block is not narrowed any further: each block packs all
/// of its rows of the left matrix anew.
const NARROWEST: usize = 128;

/// Rows below which a block is not lowered any further.
const LOWEST: usize = 64;

/// Multiplications below which a thread is not worth waking.
const SMALLEST: usize = 1 << 20;

/// Numbers of a tile: half a megabyte of them.
const TILE: usize = 1 << 17;

/// Columns that a tile has at least and at most.
const TILE_COLUMNS: [usize; 2] = [256, 4096];

/// A block of the output: its rows and its columns.
pub(crate) type Block = (Range<usize>, Range<usize>);

/// Blocks that cover `[m, n]` and do not overlap, at most one for each thread:
/// columns are split first, rows once columns would grow too narrow.
pub(crate) fn blocks([m, k, n]: [usize; 3], threads: usize) -> Vec<Block> {
    let work = m.saturating_mul(k).saturating_mul(n) / SMALLEST;
    let threads = threads.min(work).max(1);
    let columns = (n / NARROWEST).clamp(1, threads);
    let rows = (m / LOWEST).clamp(1, threads / columns);
    let rows = split(m, rows);
    split(n, columns)
        .flat_map(|columns| rows.clone().map(move |rows| (rows, columns.clone())))
        .collect()
}

/// Blocks as of [`blocks`], but small enough to stay in a thread's cache while several products are
/// added to each: more of them than there are threads, where the output is large.
pub(crate) fn tiles([m, k, n]: [usize; 3], threads: usize) -> Vec<Block> {
    let [least, most] = TILE_COLUMNS;
    let columns = n.div_ceil((TILE / m.max(1)).clamp(least, most)).max(1);
    if columns < threads {
        return blocks([m, k, n], threads);
    }
    split(n, columns).map(|columns| (0..m, columns)).collect()
}

/// `0..length` in so many pieces, none longer than another by more than one.
pub(crate) fn split(length: usize, pieces: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    (0..pieces).map(move |piece| length * piece / pieces..length * (piece + 1) / pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_number_once() {
        for shape in [
            [1, 1, 1],
            [500, 1024, 4096],
            [997, 64, 131],
            [67, 4099, 5],
            [3, 1 << 21, 7],
        ] {
            let [m, _, n] = shape;
            for threads in [1, 2, 3, 16, 61] {
                let blocks = blocks(shape, threads);
                assert!(blocks.len() <= threads, "{shape:?} {threads}");
                for blocks in [blocks, tiles(shape, threads)] {
                    let mut seen = vec![0; m * n];
                    for (rows, columns) in blocks {
                        for row in rows {
                            for column in columns.clone() {
                                seen[row * n + column] += 1;
                            }
                        }
                    }
                    assert!(seen.iter().all(|&count| count == 1), "{shape:?} {threads}");
                }
            }
        }
    }

    #[test]
    fn many_threads_split_rows_too_and_small_products_nothing() {
        assert_eq!(blocks([500, 1024, 4096], 2).len(), 2);
        assert_eq!(blocks([500, 1024, 1024], 16).len(), 16);
        assert_eq!(blocks([7, 1024, 96], 16).len(), 1);
    }
}
