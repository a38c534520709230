//! Weights in the order in which the kernels read them.

use std::fmt;
use std::ops::Range;

use rayon::prelude::*;

use super::layout::{LINES, Line, NUMBERS, PAIRS, WIDTH, join, part, round, widen};
use crate::matrix::size;

/// A matrix of weights in bf16, laid out once for many products.
///
/// It takes half of the memory of f32, if rows are many and columns a multiple of 32: rows are
/// padded with zeros to a multiple of 32, and so are columns.
#[derive(Clone)]
pub struct PackedWeights {
    /// Panels of [`WIDTH`] columns, one after the other. Within one, a pair of rows takes
    /// [`LINES`] lines: of each column the two numbers, side by side.
    lines: Vec<Line>,
    shape: [usize; 2],
}

impl PackedWeights {
    /// Rounds row-major weights to bf16: to the nearest, of two as near to the even one. A NaN
    /// stays one; what is too large for bf16 becomes infinite.
    ///
    /// # Shapes
    /// - `weights`: `[k, n]`, as `shape` says
    ///
    /// # Panics
    /// If there are more or fewer weights than the shape says.
    pub fn new(weights: &[f32], shape: [usize; 2]) -> Self {
        Self::pack(weights, shape, round)
    }

    /// Takes row-major weights that are bf16 already, as bits.
    ///
    /// # Shapes
    /// - `weights`: `[k, n]`, as `shape` says
    ///
    /// # Panics
    /// If there are more or fewer weights than the shape says.
    pub fn from_bf16(weights: &[u16], shape: [usize; 2]) -> Self {
        Self::pack(weights, shape, |bits| bits)
    }

    fn pack<T: Copy + Sync>(
        weights: &[T],
        [k, n]: [usize; 2],
        bits: impl Fn(T) -> u16 + Sync,
    ) -> Self {
        assert_eq!(
            Some(weights.len()),
            size(k, n),
            "weights are not [{k}, {n}]"
        );
        let panel = lines(k);
        let mut lines = vec![Line::ZERO; panel * n.div_ceil(WIDTH)];
        let panels = lines.par_chunks_mut(panel.max(1)).enumerate();
        panels.for_each(|(index, panel)| {
            let columns = columns(index, n);
            for (lines, rows) in panel.chunks_exact_mut(LINES).zip(weights.chunks(2 * n)) {
                let pairs = lines.iter_mut().flat_map(|line| &mut line.0);
                let first = &rows[columns.clone()];
                match rows.get(n..).filter(|second| !second.is_empty()) {
                    Some(second) => {
                        let both = first.iter().zip(&second[columns.clone()]);
                        for (pair, (&first, &second)) in pairs.zip(both) {
                            *pair = join(bits(first), bits(second));
                        }
                    }
                    None => {
                        for (pair, &first) in pairs.zip(first) {
                            *pair = join(bits(first), 0);
                        }
                    }
                }
            }
        });
        Self {
            lines,
            shape: [k, n],
        }
    }

    /// The rows and columns, `[k, n]`.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// The memory that the weights take, padding included.
    pub fn bytes(&self) -> usize {
        size_of_val(self.lines.as_slice())
    }

    /// The lines of a panel, those of the first rows first.
    pub(super) fn panel(&self, index: usize) -> &[Line] {
        let [k, _] = self.shape;
        &self.lines[index * lines(k)..][..lines(k)]
    }

    /// The weights in f32.
    ///
    /// # Shapes
    /// - output: `[k, n]`, row-major
    pub(super) fn unpack(&self) -> Vec<f32> {
        let [k, n] = self.shape;
        let mut out = vec![0.0; k * n];
        let rows = out.par_chunks_mut(n.max(1)).enumerate();
        rows.for_each(|(row, out)| {
            for (index, out) in out.chunks_mut(WIDTH).enumerate() {
                let lines = &self.panel(index)[row / 2 * LINES..];
                for (out, &pair) in out.iter_mut().zip(lines.iter().flat_map(|line| &line.0)) {
                    *out = widen(part(pair)[row % 2]);
                }
            }
        });
        out
    }
}

impl fmt::Debug for PackedWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedWeights")
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

/// The lines of a panel of `k` rows, padded so that they are a whole number of the left matrix's
/// lines.
fn lines(k: usize) -> usize {
    k.div_ceil(NUMBERS) * PAIRS * LINES
}

/// The columns of a panel, of `n` in all.
pub(super) fn columns(panel: usize, n: usize) -> Range<usize> {
    panel * WIDTH..n.min((panel + 1) * WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::numbers;

    #[test]
    fn weights_lie_in_pairs_with_zeros_around_them() {
        let weights: Vec<u16> = (1..=3 * 37).collect();
        let packed = PackedWeights::from_bf16(&weights, [3, 37]);
        assert_eq!(packed.shape(), [3, 37]);
        assert_eq!(packed.bytes(), 2 * 32 * 64);
        for panel in 0..2 {
            for (at, line) in packed.panel(panel).iter().enumerate() {
                for (lane, &pair) in line.0.iter().enumerate() {
                    let column = panel * 32 + at % 2 * 16 + lane;
                    let weight = |row: usize| match (row, column) {
                        (0..3, 0..37) => weights[row * 37 + column],
                        _ => 0,
                    };
                    let want = join(weight(at / 2 * 2), weight(at / 2 * 2 + 1));
                    assert_eq!(pair, want, "{panel} {at} {lane}");
                }
            }
        }
    }

    #[test]
    fn unpacked_weights_are_the_rounded_ones() {
        for [k, n] in [
            [1, 1],
            [0, 5],
            [5, 0],
            [2, 31],
            [31, 32],
            [33, 67],
            [64, 97],
        ] {
            let weights = numbers(k * n, 5);
            let bits: Vec<u16> = weights.iter().copied().map(round).collect();
            let want: Vec<f32> = bits.iter().copied().map(widen).collect();
            assert_eq!(PackedWeights::new(&weights, [k, n]).unpack(), want);
            assert_eq!(PackedWeights::from_bf16(&bits, [k, n]).unpack(), want);
        }
    }

    #[test]
    fn the_last_panel_has_the_columns_that_are_left() {
        assert_eq!([columns(0, 37), columns(1, 37)], [0..32, 32..37]);
    }

    #[test]
    fn the_shape_can_be_printed() {
        let packed = PackedWeights::new(&[0.0; 6], [2, 3]);
        assert_eq!(format!("{packed:?}"), "PackedWeights { shape: [2, 3], .. }");
    }

    #[test]
    #[should_panic(expected = "weights are not [2, 3]")]
    fn a_wrong_size_is_refused() {
        PackedWeights::new(&[0.0; 5], [2, 3]);
    }

    #[test]
    #[should_panic(expected = "weights are not [2, 3]")]
    fn a_wrong_number_of_bits_is_refused() {
        PackedWeights::from_bf16(&[0; 7], [2, 3]);
    }
}
