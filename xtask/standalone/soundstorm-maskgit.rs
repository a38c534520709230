//! A user of soundstorm-maskgit and of nothing else.

use soundstorm_maskgit as _;

fn main() {}
