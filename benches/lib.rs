//! Criterion benches on the CPU: `layers.rs` for the parts of the network,
//! `sampler.rs` for a step of the decode loop. `cargo bench -p
//! soundstorm-benches` runs them, and `peers/` holds the scripts that time other
//! implementations.
