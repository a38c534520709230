//! A user of soundstorm-train and of nothing else.

use soundstorm_train::TrainConfig;

fn main() {
    println!("{:?}", TrainConfig::parse("steps = 3", &[]));
}
