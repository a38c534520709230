//! Constants that depend on the number type a tensor has at run time.

use burn::tensor::DType;

/// The type that sums and exponentials of numbers of a type are worked out in.
pub(crate) fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        dtype => dtype,
    }
}

/// A large negative number that stands for "minus infinity" before a softmax
/// and is finite in the given type, so that a row of nothing but masked
/// positions gives a uniform distribution and not NaN.
pub fn lowest(dtype: DType) -> f32 {
    match dtype {
        DType::F16 => -6.0e4,
        _ => -1.0e30,
    }
}
