//! Tensors and their storages as a pickle describes them, checked before they are trusted.

use super::{DType, Result, malformed};

/// The most dimensions of a tensor.
const MAX_RANK: usize = 16;

/// A storage: a named run of elements outside the pickle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Storage {
    pub(in super::super) key: String,
    pub(in super::super) dtype: DType,
    /// Number of elements.
    pub(in super::super) elements: u64,
}

/// A tensor: a strided view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct TensorRecord {
    pub(in super::super) storage: Storage,
    /// First element, counted in elements from the start of the storage.
    pub(in super::super) offset: u64,
    pub(in super::super) shape: Vec<usize>,
    /// Step along each dimension, in elements.
    pub(in super::super) strides: Vec<u64>,
}

impl TensorRecord {
    /// Number of elements; checked not to overflow.
    pub(in super::super) fn elements(&self) -> u64 {
        self.shape.iter().map(|&n| n as u64).product()
    }

    /// One more than the last element of the storage that is touched.
    pub(in super::super) fn end(&self) -> u64 {
        if self.elements() == 0 {
            return self.offset;
        }
        let steps = self.shape.iter().zip(&self.strides);
        self.offset + 1 + steps.map(|(&n, &step)| (n as u64 - 1) * step).sum::<u64>()
    }

    /// True when the elements lie one after another in row-major order.
    pub(in super::super) fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (&n, &step) in self.shape.iter().zip(&self.strides).rev() {
            if n != 1 && step != expected {
                return false;
            }
            expected *= n as u64;
        }
        true
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.shape.len() != self.strides.len() || self.shape.len() > MAX_RANK {
            return Err(malformed(format!(
                "a tensor of shape {:?} with strides {:?}",
                self.shape, self.strides
            )));
        }
        let overflow = || malformed(format!("a tensor of shape {:?} overflows", self.shape));
        let mut elements = 1_u64;
        let mut end = self.offset;
        for (&n, &step) in self.shape.iter().zip(&self.strides) {
            elements = elements.checked_mul(n as u64).ok_or_else(overflow)?;
            end = step
                .checked_mul((n as u64).saturating_sub(1))
                .and_then(|span| end.checked_add(span))
                .ok_or_else(overflow)?;
        }
        elements.checked_mul(8).ok_or_else(overflow)?;
        end.checked_add(1)
            .and_then(|end| end.checked_mul(8))
            .ok_or_else(overflow)?;
        // A view that repeats elements (`expand`) would let a small file ask for any memory.
        if elements > self.storage.elements.max(1 << 20) {
            return Err(malformed(format!(
                "a tensor of shape {:?} in a storage of {} elements",
                self.shape, self.storage.elements
            )));
        }
        if elements > 0 && self.end() > self.storage.elements {
            return Err(malformed(format!(
                "a tensor that ends at element {} of a storage of {}",
                self.end(),
                self.storage.elements
            )));
        }
        Ok(())
    }
}
