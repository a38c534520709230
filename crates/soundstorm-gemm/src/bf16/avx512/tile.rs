//! The kernel: what is done with registers.

use core::arch::x86_64::{
    __m512bh, __mmask16, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
};
use core::mem::transmute;

use super::super::layout::{LINES, Line, NUMBERS, PAIRS};
use crate::product::Onto;

/// Where a tile is written.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Its first number.
    pub(super) start: *mut f32,
    /// From the start of a row to that of the next.
    pub(super) stride: usize,
    /// At most two vectors.
    pub(super) columns: usize,
    pub(super) onto: Onto,
}

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
    const { assert!(super::plan::HEIGHT == 14, "a tile for each height") };
    tiles!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// # Safety
/// The columns at the place, in `HEIGHT` rows, are valid for writes, and for reads if they are
/// added to.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn tile<const HEIGHT: usize>(x: &[Line], weights: &[Line], place: Place) {
    let mut sums = [[_mm512_setzero_ps(); LINES]; HEIGHT];
    let (x, _) = x.as_chunks::<HEIGHT>();
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
            let to = place.start.wrapping_add(row * place.stride + line * PAIRS);
            let mask = mask(place.columns.saturating_sub(line * PAIRS));
            let value = match place.onto {
                Onto::Empty => sum,
                Onto::Sum(scale) => {
                    // SAFETY: what the mask leaves is within the place, and may be read.
                    let old = unsafe { _mm512_maskz_loadu_ps(mask, to) };
                    _mm512_fmadd_ps(_mm512_set1_ps(scale), sum, old)
                }
            };
            // SAFETY: what the mask leaves is within the place.
            unsafe { _mm512_mask_storeu_ps(to, mask, value) };
        }
    }
}

/// The first so many lanes, or all.
fn mask(lanes: usize) -> __mmask16 {
    !(u32::MAX << lanes.min(PAIRS)) as __mmask16
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn vector(line: Line) -> __m512bh {
    // SAFETY: both are 64 bytes without padding, any of which are a value.
    unsafe { transmute::<Line, __m512bh>(line) }
}

/// Rounds a panel of so many rows, `[rows, k]`, into lines: the first ones of all rows first.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn round_panel(x: &[f32], rows: usize, lines: &mut [Line]) {
    let k = x.len() / rows;
    for (index, lines) in lines.chunks_exact_mut(rows).enumerate() {
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
