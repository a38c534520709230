//! A user of soundstorm-audio and of nothing else.

use soundstorm_audio::Audio;

fn main() {
    let audio = Audio::from_mono(16_000, vec![0.0; 320]);
    println!("{} s", audio.seconds());
}
