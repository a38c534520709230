//! A user of soundstorm-conformer and of nothing else.

use soundstorm_conformer as _;

fn main() {}
