//! A user of soundstorm-codec and of nothing else.

use soundstorm_codec as _;

fn main() {}
