//! Criterion benches on the CPU: `layers.rs` for the parts of the network,
//! `sampler.rs` for a step of the decode loop, `codec.rs` for the codec and its
//! parts. `cargo xtask bench --criterion` runs them and reports, and `peers/` holds
//! the scripts that time other implementations.
