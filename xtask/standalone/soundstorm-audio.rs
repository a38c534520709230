//! A user of soundstorm-audio and of nothing else.

use soundstorm_audio as _;

fn main() {}
