//! A user of soundstorm-codec and of nothing else.

use soundstorm_codec::SpeechTokenizerConfig;

fn main() {
    let spec = SpeechTokenizerConfig::default().spec();
    println!("{}: {} Hz", spec.name, spec.frame_rate());
}
