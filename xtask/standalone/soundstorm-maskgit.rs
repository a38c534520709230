//! A user of soundstorm-maskgit and of nothing else.

use soundstorm_maskgit::{Schedule, row_seed};

fn main() {
    println!("{} {}", Schedule::Cosine.gamma(0.5), row_seed(7, 0));
}
