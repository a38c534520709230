//! A user of soundstorm-hub and of nothing else.

use soundstorm_hub as _;

fn main() {}
