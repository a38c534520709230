//! Products of matrices in bf16, summed in f32.

mod isa;
mod layout;
mod portable;
mod product;
#[cfg(test)]
mod tests;
mod weights;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use isa::{Isa, isa};
pub use product::{add_product_bf16, product_bf16};
pub use weights::PackedWeights;
