//! A user of soundstorm and of nothing else.

use soundstorm::Preset;

fn main() {
    let config = Preset::Small.config();
    println!("{} levels, mask id {}", config.levels(), config.mask_id());
}
