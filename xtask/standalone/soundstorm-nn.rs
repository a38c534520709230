//! A user of soundstorm-nn and of nothing else.

use soundstorm_nn as _;

fn main() {}
