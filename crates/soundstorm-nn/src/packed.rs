//! A layer's weights in the order that the processor's bf16 instructions want.

use std::fmt;

/// Stands beside weights in bf16 and keeps them packed, from their first use on burn-flex until
/// others are used. Empty everywhere else.
#[derive(Clone, Default)]
pub struct Packed {
    #[cfg(feature = "flex")]
    pub(crate) kept: crate::flex::Kept,
}

/// The processor's instructions that products with weights in bf16 run on, if it has any:
/// without them such weights are slower than f32.
#[cfg(feature = "flex")]
pub fn bf16_instructions() -> Option<String> {
    match soundstorm_gemm::isa() {
        soundstorm_gemm::Isa::Portable => None,
        isa => Some(isa.to_string()),
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Packed")
    }
}
