//! The product itself.

use gemm::Parallelism;
use rayon::prelude::*;

use crate::{
    Matrix,
    grid::{Block, blocks, tiles},
    matrix::size,
};

/// The product of two matrices, row-major.
///
/// # Shapes
/// - `x`: `[m, k]`
/// - `y`: `[k, n]`
/// - output: `[m, n]`
///
/// # Panics
/// If `x` has not as many columns as `y` has rows.
pub fn product(x: Matrix, y: Matrix) -> Vec<f32> {
    let [m, _, n] = shape(x, y);
    let mut out = Vec::<f32>::with_capacity(m * n);
    let to = Out(out.as_mut_ptr());
    run(to, x, y, Onto::Empty);
    // SAFETY: the capacity is m * n, and every block of the output was written: their union is
    // the whole, and without a number to add to gemm writes each element, also where k is 0.
    unsafe { out.set_len(m * n) };
    out
}

/// Adds `scale` times the product of two matrices to what `out` holds, row-major.
///
/// # Shapes
/// - `out`: `[m, n]`
/// - `x`: `[m, k]`
/// - `y`: `[k, n]`
///
/// # Panics
/// If a matrix has another shape.
pub fn add_product(out: &mut [f32], scale: f32, x: Matrix, y: Matrix) {
    let [m, _, n] = shape(x, y);
    assert_eq!(out.len(), m * n, "the output is not [{m}, {n}]");
    run(Out(out.as_mut_ptr()), x, y, Onto::Sum(scale));
}

/// Adds the products of pairs of matrices to what `out` holds, row-major: all of them to one block
/// of it before the next, so that the block stays in the cache.
///
/// # Shapes
/// - `out`: `[m, n]`
/// - each pair: `[m, k]` and `[k, n]`, with a `k` of its own
///
/// # Panics
/// If a matrix has another shape.
pub fn add_products(out: &mut [f32], [m, n]: [usize; 2], pairs: &[(Matrix, Matrix)]) {
    assert_eq!(Some(out.len()), size(m, n), "the output is not [{m}, {n}]");
    let mut deep = 0;
    for &(x, y) in pairs {
        let [rows, k, columns] = shape(x, y);
        assert_eq!(
            [rows, columns],
            [m, n],
            "a product is not the output's shape"
        );
        deep += k;
    }
    let out = Out(out.as_mut_ptr());
    tiles([m, deep, n], rayon::current_num_threads())
        .par_iter()
        .with_max_len(1)
        .for_each(|tile| {
            for &(x, y) in pairs {
                block(out, x, y, tile, true, 1.0);
            }
        });
}

/// As [`add_product`], but on the calling thread alone, for many small products side by side.
///
/// # Panics
/// If a matrix has another shape.
pub fn add_product_alone(out: &mut [f32], scale: f32, x: Matrix, y: Matrix) {
    alone(out, x, y, true, scale);
}

/// As [`add_product_alone`], in place of what `out` held.
///
/// # Panics
/// If a matrix has another shape.
pub fn write_product_alone(out: &mut [f32], scale: f32, x: Matrix, y: Matrix) {
    alone(out, x, y, false, scale);
}

fn alone(out: &mut [f32], x: Matrix, y: Matrix, read: bool, scale: f32) {
    let [m, _, n] = shape(x, y);
    assert_eq!(out.len(), m * n, "the output is not [{m}, {n}]");
    let whole = (0..m, 0..n);
    block(Out(out.as_mut_ptr()), x, y, &whole, read, scale);
}

/// What becomes of the product.
#[derive(Clone, Copy)]
pub(crate) enum Onto {
    /// It is written to memory that holds nothing yet.
    Empty,
    /// So many times it is added to what is there.
    Sum(f32),
}

/// Where the output starts.
#[derive(Clone, Copy)]
pub(crate) struct Out(pub(crate) *mut f32);

// SAFETY: threads write to blocks of it that do not overlap.
unsafe impl Send for Out {}
// SAFETY: as above; nobody reads while they write.
unsafe impl Sync for Out {}

/// `[m, k, n]`
fn shape(x: Matrix, y: Matrix) -> [usize; 3] {
    let ([m, k], [rows, n]) = (x.shape(), y.shape());
    assert_eq!(k, rows, "[{m}, {k}] times [{rows}, {n}]");
    assert!(size(m, n).is_some(), "[{m}, {n}] is too large");
    [m, k, n]
}

/// `out` is valid for writes of m * n numbers, and for reads if it is added to.
fn run(out: Out, x: Matrix, y: Matrix, onto: Onto) {
    let blocks = blocks(shape(x, y), rayon::current_num_threads());
    let (read, scale) = match onto {
        Onto::Empty => (false, 1.0),
        Onto::Sum(scale) => (true, scale),
    };
    match blocks.as_slice() {
        [one] => block(out, x, y, one, read, scale),
        many => many
            .par_iter()
            .with_max_len(1)
            .for_each(|each| block(out, x, y, each, read, scale)),
    }
}

/// `read`: whether it is added to what is there, which then must be initialised.
fn block(out: Out, x: Matrix, y: Matrix, (rows, columns): &Block, read: bool, scale: f32) {
    let [_, k, n] = shape(x, y);
    let x = x.part(rows.clone(), 0..k);
    let y = y.part(0..k, columns.clone());
    assert!(x.fits() && y.fits());
    // SAFETY: a block starts within the [m, n] numbers of the output, or at their end.
    let out = unsafe { out.0.add(rows.start * n + columns.start) };
    let ([x_row, x_column], [y_row, y_column]) = (x.strides(), y.strides());
    // SAFETY: all elements of x, [rows, k], and of y, [k, columns], lie in their numbers, as was
    // asserted. The block's elements of the output lie in the [m, n] numbers that it points to,
    // and no other thread writes them. They are read only if they were initialised.
    unsafe {
        gemm::gemm(
            rows.len(),
            columns.len(),
            k,
            out,
            1,
            n as isize,
            read,
            x.start(),
            x_column as isize,
            x_row as isize,
            y.start(),
            y_column as isize,
            y_row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{exact, numbers};

    /// One thread and many, and sizes that are no multiple of a vector.
    const SHAPES: [[usize; 3]; 9] = [
        [1, 1, 1],
        [1, 7, 1031],
        [2, 0, 3],
        [0, 5, 3],
        [5, 3, 0],
        [7, 5, 3],
        [131, 67, 257],
        [67, 331, 1009],
        [1021, 61, 131],
    ];

    #[test]
    fn products_are_sums_of_products() {
        for [m, k, n] in SHAPES {
            let (x, y) = (numbers(m * k, 1), numbers(k * n, 2));
            let (x_transposed, y_transposed) = (transpose(&x, [m, k]), transpose(&y, [k, n]));
            let want = exact(&x, &y, [m, k, n]);
            let start = numbers(m * n, 3);
            for threads in [1, 2, 5] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let pool = pool.expect("threads");
                for [x, y] in [
                    [Matrix::new(&x, [m, k]), Matrix::new(&y, [k, n])],
                    [
                        Matrix::new(&x_transposed, [k, m]).transposed(),
                        Matrix::new(&y_transposed, [n, k]).transposed(),
                    ],
                ] {
                    let [mut added, mut alone, mut written] = [(); 3].map(|()| start.clone());
                    let got = pool.install(|| {
                        add_product(&mut added, 0.5, x, y);
                        add_product_alone(&mut alone, 0.5, x, y);
                        write_product_alone(&mut written, 0.5, x, y);
                        product(x, y)
                    });
                    assert_eq!(got.len(), m * n);
                    for (index, &[want, _]) in want.iter().enumerate() {
                        let close = |got: f32, want: f64| {
                            assert!((f64::from(got) - want).abs() < 1e-4, "{m} {k} {n}");
                        };
                        close(got[index], want);
                        close(written[index], 0.5 * want);
                        close(added[index], f64::from(start[index]) + 0.5 * want);
                        close(alone[index], f64::from(start[index]) + 0.5 * want);
                    }
                }
            }
        }
    }

    #[test]
    fn products_are_added_up_in_tiles() {
        // More columns than a tile has, and windows that share numbers.
        let (m, n) = (67, 9001);
        let (weights, signal) = (numbers(m * 7, 1), numbers(2 * n + 11, 2));
        let start = numbers(m * n, 3);
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let mut got = start.clone();
            pool.expect("threads").install(|| {
                let pairs = [0, 1].map(|part| {
                    let x = Matrix::strided(&weights[part * 3..], [m, 3 + part], [7, 1]);
                    let y = Matrix::strided(&signal[part * 5..], [3 + part, n], [1, 2]);
                    (x, y)
                });
                add_products(&mut got, [m, n], &pairs);
            });
            for (at, got) in got.iter().enumerate() {
                let (row, column) = (at / n, at % n);
                let tap = |tap: usize, shift: usize| {
                    f64::from(weights[row * 7 + tap]) * f64::from(signal[2 * column + shift])
                };
                let first: f64 = (0..3).map(|k| tap(k, k)).sum();
                let second: f64 = (0..4).map(|k| tap(3 + k, 5 + k)).sum();
                let want = f64::from(start[at]) + first + second;
                assert!((f64::from(*got) - want).abs() < 1e-5, "{row} {column}");
            }
        }
    }

    fn transpose(numbers: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
        (0..rows * columns)
            .map(|at| numbers[at % rows * columns + at / rows])
            .collect()
    }

    #[test]
    #[should_panic(expected = "[3, 2] times [3, 2]")]
    fn matrices_that_do_not_meet_are_refused() {
        let x = Matrix::new(&[0.0; 6], [3, 2]);
        product(x, x);
    }

    #[test]
    #[should_panic(expected = "the output is not [2, 2]")]
    fn a_wrong_output_is_refused() {
        let x = Matrix::new(&[0.0; 6], [2, 3]);
        add_product(&mut [0.0; 3], 1.0, x, x.transposed());
    }

    #[test]
    #[should_panic(expected = "the output is not [2, 2]")]
    fn a_wrong_output_of_one_thread_is_refused() {
        let x = Matrix::new(&[0.0; 6], [2, 3]);
        add_product_alone(&mut [0.0; 5], 1.0, x, x.transposed());
    }
}
