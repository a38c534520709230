//! A user of soundstorm-runtime and of nothing else.

use soundstorm_runtime::{DeviceArg, built};

fn main() {
    println!("{} of {:?}", "auto".parse::<DeviceArg>().is_ok(), built());
}
