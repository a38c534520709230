//! A user of soundstorm-conformer and of nothing else.

use soundstorm_conformer::ConformerConfig;

fn main() {
    let config = ConformerConfig::new(32, 2);
    println!("{:?}", config.problem());
}
