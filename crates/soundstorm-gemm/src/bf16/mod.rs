//! Products of matrices in bf16, summed in f32.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod isa;
mod layout;
mod portable;
mod product;
#[cfg(test)]
mod tests;
mod weights;

pub use isa::{Isa, isa};
pub use product::{add_product_bf16, product_bf16};
pub use weights::PackedWeights;
