//! Matrix products split over threads, in safe functions around the gemm crate.
#![doc = include_str!("../README.md")]

mod grid;
mod product;

pub use product::{add_product, product};
