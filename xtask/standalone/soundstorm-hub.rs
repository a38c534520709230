//! A user of soundstorm-hub and of nothing else.

use std::path::Path;

use soundstorm_hub::config_path;

fn main() {
    println!("{:?}", config_path(Path::new("model")));
}
