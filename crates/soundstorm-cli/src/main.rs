//! The `soundstorm` program.

fn main() {}
