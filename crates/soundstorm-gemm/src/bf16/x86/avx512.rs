//! The kernel of AVX512-BF16.

use core::arch::x86_64::{
    __m512bh, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_setzero_ps,
};
use core::mem::transmute;

use super::super::layout::{LINES, Line, NUMBERS, PAIRS};
use super::place::Place;

/// Rows of a tile, at most: with two vectors to a row they take 28 registers, which leaves enough
/// for the factors.
pub(super) const HEIGHT: usize = 14;

/// Multiplies a panel of so many rows by a panel of weights.
///
/// # Safety
/// The columns at the place, in as many rows, are valid for writes, and for reads if they are
/// added to.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn run(rows: usize, x: &[Line], weights: &[Line], place: Place) {
    macro_rules! tiles {
        ($($height:literal)*) => {
            match rows {
                $(
                    // SAFETY: as promised, the place has so many rows.
                    $height => unsafe { tile::<$height>(x, weights, place) },
                )*
                _ => unreachable!("{rows} rows in a panel"),
            }
        };
    }
    const { assert!(HEIGHT == 14, "a tile for each height") };
    tiles!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// # Safety
/// The columns at the place, in `ROWS` rows, are valid for writes, and for reads if they are
/// added to.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn tile<const ROWS: usize>(x: &[Line], weights: &[Line], place: Place) {
    let mut sums = [[_mm512_setzero_ps(); LINES]; ROWS];
    let (x, _) = x.as_chunks::<ROWS>();
    let (weights, _) = weights.as_chunks::<LINES>();
    let (weights, _) = weights.as_chunks::<PAIRS>();
    for (x, weights) in x.iter().zip(weights) {
        for (at, weights) in weights.iter().enumerate() {
            let weights = weights.map(|line| vector(line));
            for (sums, x) in sums.iter_mut().zip(x) {
                let x = vector(Line([x.0[at]; PAIRS]));
                for (sum, &weights) in sums.iter_mut().zip(&weights) {
                    *sum = _mm512_dpbf16_ps(*sum, x, weights);
                }
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        for (line, sum) in sums.into_iter().enumerate() {
            // SAFETY: as promised.
            unsafe { place.put(row, line, sum) };
        }
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn vector(line: Line) -> __m512bh {
    // SAFETY: both are 64 bytes without padding, any of which are a value.
    unsafe { transmute::<Line, __m512bh>(line) }
}

/// Rounds a panel, `[rows, k]`, into lines: the first ones of all rows first, with lines of zeros
/// to fill them up to `padded` rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn round_panel(x: &[f32], [rows, k]: [usize; 2], padded: usize, lines: &mut [Line]) {
    for (index, lines) in lines.chunks_exact_mut(padded).enumerate() {
        let (lines, zeros) = lines.split_at_mut(rows);
        zeros.fill(Line::ZERO);
        for (line, x) in lines.iter_mut().zip(x.chunks_exact(k)) {
            let x = &x[index * NUMBERS..];
            *line = match x.first_chunk() {
                Some(x) => round_line(x),
                None => {
                    let mut padded = [0.0; NUMBERS];
                    padded[..x.len()].copy_from_slice(x);
                    round_line(&padded)
                }
            };
        }
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn round_line(x: &[f32; NUMBERS]) -> Line {
    let (first, second) = x.split_at(PAIRS);
    // SAFETY: it is sixteen numbers.
    let first = unsafe { _mm512_loadu_ps(first.as_ptr()) };
    // SAFETY: as above.
    let second = unsafe { _mm512_loadu_ps(second.as_ptr()) };
    let rounded = _mm512_cvtne2ps_pbh(second, first);
    // SAFETY: both are 64 bytes without padding, any of which are a value.
    unsafe { transmute::<__m512bh, Line>(rounded) }
}
