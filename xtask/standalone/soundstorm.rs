//! A user of soundstorm and of nothing else.

use soundstorm as _;

fn main() {}
