//! Matrix products split over threads, in safe functions around the gemm crate and in bf16.
#![doc = include_str!("../README.md")]

mod bf16;
mod grid;
mod matrix;
mod product;
#[cfg(test)]
mod testing;

pub use bf16::{Isa, PackedWeights, add_product_bf16, isa, product_bf16};
pub use matrix::Matrix;
pub use product::{add_product, add_product_alone, add_products, product, write_product_alone};
