//! A user of soundstorm-nn and of nothing else.

use soundstorm_nn::AttentionConfig;

fn main() {
    let config = AttentionConfig::new(32).with_heads(2);
    println!("{}", config.heads * config.dim_head);
}
