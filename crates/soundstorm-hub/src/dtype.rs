//! Element types of stored tensors, and their conversion to the two that are computed with.

use std::fmt;

use burn::tensor::{bf16, f16};

/// The element type of a stored tensor. Values are little-endian in every file this crate reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DType {
    /// One byte, zero or not.
    Bool,
    /// 8 bits, unsigned.
    U8,
    /// 8 bits, signed.
    I8,
    /// 16 bits, signed.
    I16,
    /// 32 bits, signed.
    I32,
    /// 64 bits, signed.
    I64,
    /// IEEE half precision.
    F16,
    /// The upper half of an `F32`.
    BF16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

impl DType {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    /// True for the floating-point types.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }

    /// The name that safetensors uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::U8 => "U8",
            Self::I8 => "I8",
            Self::I16 => "I16",
            Self::I32 => "I32",
            Self::I64 => "I64",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::F32 => "F32",
            Self::F64 => "F64",
        }
    }

    /// Appends whole elements as `f32`. `None` for integers and booleans.
    pub(crate) fn extend_f32(self, bytes: &[u8], out: &mut Vec<f32>) -> Option<()> {
        match self {
            Self::F32 => out.extend(elements(bytes).map(f32::from_le_bytes)),
            Self::F16 => out.extend(elements(bytes).map(|b| f16::from_le_bytes(b).to_f32())),
            Self::BF16 => out.extend(elements(bytes).map(|b| bf16::from_le_bytes(b).to_f32())),
            Self::F64 => out.extend(elements(bytes).map(|b| f64::from_le_bytes(b) as f32)),
            Self::Bool | Self::U8 | Self::I8 | Self::I16 | Self::I32 | Self::I64 => return None,
        }
        Some(())
    }

    /// Appends whole elements as `i64`. `None` for floats.
    pub(crate) fn extend_i64(self, bytes: &[u8], out: &mut Vec<i64>) -> Option<()> {
        match self {
            Self::Bool => out.extend(bytes.iter().map(|b| i64::from(*b != 0))),
            Self::U8 => out.extend(bytes.iter().map(|b| i64::from(*b))),
            Self::I8 => out.extend(elements(bytes).map(|b| i64::from(i8::from_le_bytes(b)))),
            Self::I16 => out.extend(elements(bytes).map(|b| i64::from(i16::from_le_bytes(b)))),
            Self::I32 => out.extend(elements(bytes).map(|b| i64::from(i32::from_le_bytes(b)))),
            Self::I64 => out.extend(elements(bytes).map(i64::from_le_bytes)),
            Self::F16 | Self::BF16 | Self::F32 | Self::F64 => return None,
        }
        Some(())
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Cuts a slice into arrays of one element each; a rest shorter than an element is left out.
fn elements<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// The little-endian bytes of `f32` values, as they are stored.
pub(crate) fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The little-endian bytes of `i64` values, as they are stored.
pub(crate) fn i64_bytes(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_float_type_reads_as_the_same_f32() {
        let value = -1.625_f32; // exact in all four
        let stored: [(DType, Vec<u8>); 4] = [
            (DType::F32, value.to_le_bytes().to_vec()),
            (DType::F64, f64::from(value).to_le_bytes().to_vec()),
            (DType::F16, f16::from_f32(value).to_le_bytes().to_vec()),
            (DType::BF16, bf16::from_f32(value).to_le_bytes().to_vec()),
        ];
        for (dtype, bytes) in stored {
            assert_eq!(bytes.len(), dtype.size());
            let mut out = Vec::new();
            dtype.extend_f32(&bytes, &mut out).unwrap();
            assert_eq!(out, [value], "{dtype}");
            assert!(dtype.extend_i64(&bytes, &mut Vec::new()).is_none());
        }
    }

    #[test]
    fn every_integer_type_keeps_its_sign() {
        let stored: [(DType, Vec<u8>, i64); 6] = [
            (DType::I64, (-3_i64).to_le_bytes().to_vec(), -3),
            (DType::I32, (-3_i32).to_le_bytes().to_vec(), -3),
            (DType::I16, (-3_i16).to_le_bytes().to_vec(), -3),
            (DType::I8, vec![253], -3),
            (DType::U8, vec![253], 253),
            (DType::Bool, vec![7], 1),
        ];
        for (dtype, bytes, expected) in stored {
            assert_eq!(bytes.len(), dtype.size());
            let mut out = Vec::new();
            dtype.extend_i64(&bytes, &mut out).unwrap();
            assert_eq!(out, [expected], "{dtype}");
            assert!(dtype.extend_f32(&bytes, &mut Vec::new()).is_none());
        }
    }
}
