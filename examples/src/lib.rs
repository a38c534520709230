//! Examples; see `generate.rs`.
