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
        let last = |count: usize, stride: usize| count.checked_sub(1).map(|last| last * stride);
        match (
            last(self.rows, self.strides[0]),
            last(self.columns, self.strides[1]),
        ) {
            (Some(row), Some(column)) => row + column < self.numbers.len(),
            _ => true,
        }
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

    #[test]
    #[should_panic(expected = "not a matrix [3, 2]")]
    fn a_wrong_size_is_refused() {
        Matrix::new(&[0.0; 5], [3, 2]);
    }
}
