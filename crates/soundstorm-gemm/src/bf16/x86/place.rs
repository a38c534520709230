//! How sums get to memory.

use core::arch::x86_64::{
    __m512, __mmask16, _mm512_fmadd_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
    _mm512_set1_ps,
};

use super::super::layout::PAIRS;
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

impl Place {
    /// Writes a vector of a row, or adds it, as far as it is within the columns.
    ///
    /// # Safety
    /// The columns of the row are valid for writes, and for reads if they are added to.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn put(&self, row: usize, vector: usize, sum: __m512) {
        let to = self.start.wrapping_add(row * self.stride + vector * PAIRS);
        let mask = mask(self.columns.saturating_sub(vector * PAIRS));
        let value = match self.onto {
            Onto::Empty => sum,
            Onto::Sum(scale) => {
                // SAFETY: what the mask leaves is within the columns, and may be read.
                let old = unsafe { _mm512_maskz_loadu_ps(mask, to) };
                _mm512_fmadd_ps(_mm512_set1_ps(scale), sum, old)
            }
        };
        // SAFETY: what the mask leaves is within the columns.
        unsafe { _mm512_mask_storeu_ps(to, mask, value) };
    }
}

/// The first so many lanes, or all.
fn mask(lanes: usize) -> __mmask16 {
    !(u32::MAX << lanes.min(PAIRS)) as __mmask16
}
