//! A user of soundstorm-runtime and of nothing else.

use soundstorm_runtime as _;

fn main() {}
