//! The product itself.

use gemm::Parallelism;
use rayon::prelude::*;

use crate::grid::{Block, blocks};

/// The product of two row-major matrices.
///
/// # Shapes
/// - `x`: `[m, k]`
/// - `weights`: `[k, n]`
/// - output: `[m, n]`
///
/// # Panics
/// If a matrix has another number of elements than its shape says.
pub fn product(x: &[f32], weights: &[f32], [m, k, n]: [usize; 3]) -> Vec<f32> {
    check(x, weights, [m, k, n]);
    let mut out = Vec::<f32>::with_capacity(m * n);
    let to = Out(out.as_mut_ptr());
    run(to, x, weights, [m, k, n], Onto::Empty);
    // SAFETY: the capacity is m * n, and every block of the output was written: their union is
    // the whole, and without a number to add to gemm writes each element, also where k is 0.
    unsafe { out.set_len(m * n) };
    out
}

/// Adds `scale` times the product of two row-major matrices to what `out` holds.
///
/// # Shapes
/// - `out`: `[m, n]`
/// - `x`: `[m, k]`
/// - `weights`: `[k, n]`
///
/// # Panics
/// If a matrix has another number of elements than its shape says.
pub fn add_product(out: &mut [f32], scale: f32, x: &[f32], weights: &[f32], [m, k, n]: [usize; 3]) {
    check(x, weights, [m, k, n]);
    assert_eq!(out.len(), m * n, "the output is not [{m}, {n}]");
    let to = Out(out.as_mut_ptr());
    run(to, x, weights, [m, k, n], Onto::Sum(scale));
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

/// The elements of `[a, b]`, if memory can hold as many.
pub(crate) fn size(a: usize, b: usize) -> Option<usize> {
    a.checked_mul(b)
        .filter(|&size| size <= isize::MAX as usize / 4)
}

fn check(x: &[f32], weights: &[f32], [m, k, n]: [usize; 3]) {
    assert_eq!(Some(x.len()), size(m, k), "x is not [{m}, {k}]");
    assert_eq!(
        Some(weights.len()),
        size(k, n),
        "weights are not [{k}, {n}]"
    );
    assert!(size(m, n).is_some(), "[{m}, {n}] is too large");
}

/// `out` is valid for writes of m * n numbers, and for reads if it is added to.
fn run(out: Out, x: &[f32], weights: &[f32], [m, k, n]: [usize; 3], onto: Onto) {
    let blocks = blocks([m, k, n], rayon::current_num_threads());
    match blocks.as_slice() {
        [one] => block(out, x, weights, [k, n], one, onto),
        many => many
            .par_iter()
            .with_max_len(1)
            .for_each(|each| block(out, x, weights, [k, n], each, onto)),
    }
}

fn block(
    out: Out,
    x: &[f32],
    weights: &[f32],
    [k, n]: [usize; 2],
    (rows, columns): &Block,
    onto: Onto,
) {
    let x = &x[rows.start * k..rows.end * k];
    let weights = weights.get(columns.start..).unwrap_or(&[]);
    // SAFETY: a block starts within the [m, n] numbers of the output, or at their end.
    let out = unsafe { out.0.add(rows.start * n + columns.start) };
    let (read, scale) = match onto {
        Onto::Empty => (false, 1.0),
        Onto::Sum(scale) => (true, scale),
    };
    // SAFETY: x holds the block's rows, [rows, k], row-major. weights hold [k, n] less the first
    // columns, so rows of k at a stride of n have the block's columns left to the end. The output
    // likewise, and no other thread writes this block. It is read only if it was initialised.
    unsafe {
        gemm::gemm(
            rows.len(),
            columns.len(),
            k,
            out,
            1,
            n as isize,
            read,
            x.as_ptr(),
            1,
            k as isize,
            weights.as_ptr(),
            1,
            n as isize,
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
            let (x, weights) = (numbers(m * k, 1), numbers(k * n, 2));
            let want = exact(&x, &weights, [m, k, n]);
            let start = numbers(m * n, 3);
            for threads in [1, 2, 5] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let (got, added) = pool.expect("threads").install(|| {
                    let mut added = start.clone();
                    add_product(&mut added, 0.5, &x, &weights, [m, k, n]);
                    (product(&x, &weights, [m, k, n]), added)
                });
                assert_eq!(got.len(), m * n);
                for (index, &[want, _]) in want.iter().enumerate() {
                    assert!((f64::from(got[index]) - want).abs() < 1e-4, "{m} {k} {n}");
                    let want = f64::from(start[index]) + 0.5 * want;
                    assert!((f64::from(added[index]) - want).abs() < 1e-4, "{m} {k} {n}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "weights are not [3, 2]")]
    fn a_wrong_size_is_refused() {
        product(&[0.0; 6], &[0.0; 5], [2, 3, 2]);
    }

    #[test]
    #[should_panic(expected = "the output is not [2, 2]")]
    fn a_wrong_output_is_refused() {
        add_product(&mut [0.0; 3], 1.0, &[0.0; 6], &[0.0; 6], [2, 3, 2]);
    }
}
