//! A matrix that is read: numbers that lie in order, or transposed.

use std::ops::Range;

/// A view of numbers as a matrix.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    numbers: &'a [f32],
    rows: usize,
    columns: usize,
    /// From one row to the next, and from one column to the next.
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// Row-major numbers, `[rows, columns]`.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn new(numbers: &'a [f32], [rows, columns]: [usize; 2]) -> Self {
        let count = size(rows, columns);
        assert_eq!(
            Some(numbers.len()),
            count,
            "not a matrix [{rows}, {columns}]"
        );
        Self {
            numbers,
            rows,
            columns,
            strides: [columns, 1],
        }
    }

    /// Numbers at strides of their own: the element of a row and a column is that many times the
    /// strides from the start. Elements may share a number.
    ///
    /// # Panics
    /// If an element lies outside the numbers.
    pub fn strided(numbers: &'a [f32], [rows, columns]: [usize; 2], strides: [usize; 2]) -> Self {
        let matrix = Self {
            numbers,
            rows,
            columns,
            strides,
        };
        assert!(
            matrix.fits(),
            "[{rows}, {columns}] at {strides:?} is more than {} numbers",
            numbers.len()
        );
        matrix
    }

    /// The same numbers with rows as columns, without a copy.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            numbers: self.numbers,
            rows: self.columns,
            columns: self.rows,
            strides: [self.strides[1], self.strides[0]],
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    pub(crate) fn strides(&self) -> [usize; 2] {
        self.strides
    }

    /// Where it starts; whether all of it follows, [`Self::fits`] says.
    pub(crate) fn start(&self) -> *const f32 {
        self.numbers.as_ptr()
    }

    /// Some of its rows and some of its columns.
    pub(crate) fn part(&self, rows: Range<usize>, columns: Range<usize>) -> Self {
        assert!(rows.end <= self.rows && columns.end <= self.columns);
        let part = Self {
            rows: rows.len(),
            columns: columns.len(),
            ..*self
        };
        if rows.is_empty() || columns.is_empty() {
            return Self {
                numbers: &[],
                ..part
            };
        }
        let start = rows.start * self.strides[0] + columns.start * self.strides[1];
        Self {
            numbers: &self.numbers[start..],
            ..part
        }
    }

    /// Whether every element lies within the numbers.
    pub(crate) fn fits(&self) -> bool {
        if self.rows == 0 || self.columns == 0 {
            return true;
        }
        let row = (self.rows - 1).checked_mul(self.strides[0]);
        let column = (self.columns - 1).checked_mul(self.strides[1]);
        let last = row
            .zip(column)
            .and_then(|(row, column)| row.checked_add(column));
        last.is_some_and(|last| last < self.numbers.len())
    }
}

/// The elements of `[a, b]`, if memory can hold as many.
pub(crate) fn size(a: usize, b: usize) -> Option<usize> {
    a.checked_mul(b)
        .filter(|&size| size <= isize::MAX as usize / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_where_it_lies() {
        let numbers: Vec<f32> = (0..35).map(|i| i as f32).collect();
        let matrix = Matrix::new(&numbers, [5, 7]);
        for (part, first) in [
            (matrix.part(2..5, 3..7), 17.0),
            (matrix.transposed().part(3..7, 2..5), 17.0),
            (matrix.part(4..5, 6..7), 34.0),
        ] {
            assert_eq!(part.numbers[0], first);
            assert!(part.fits());
        }
        assert_eq!(matrix.transposed().shape(), [7, 5]);
        let beyond = Matrix {
            rows: 6,
            ..matrix.part(2..5, 3..7)
        };
        assert!(!beyond.fits());
        assert!(matrix.part(5..5, 0..7).fits());
    }

    /// Windows over a signal, and a stride that would wrap around.
    #[test]
    fn strides_are_free_within_the_numbers() {
        let numbers: Vec<f32> = (0..11).map(|i| i as f32).collect();
        let windows = Matrix::strided(&numbers, [3, 4], [1, 2]);
        assert_eq!(windows.part(2..3, 3..4).numbers[0], 8.0);
        for (shape, strides) in [([3, 5], [2, 2]), ([2, 3], [usize::MAX, usize::MAX])] {
            let refused = std::panic::catch_unwind(|| Matrix::strided(&numbers, shape, strides));
            assert!(refused.is_err(), "{shape:?} {strides:?}");
        }
    }

    #[test]
    #[should_panic(expected = "not a matrix [3, 2]")]
    fn a_wrong_size_is_refused() {
        Matrix::new(&[0.0; 5], [3, 2]);
    }
}
