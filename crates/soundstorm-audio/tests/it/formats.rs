//! FLAC, MP3 and Ogg Vorbis as other programs wrote them.

use crate::support::{decode, fit, fixture};

const RATE: u32 = 24_000;
const FRAMES: usize = 6_000;
/// At 64 kbit/s lame lowers the level by itself.
const LAME_SCALE: f64 = 0.95;

/// (level, phase) of both tones over the middle, whole periods of each.
fn check(name: &str, frames: usize, scale: f64, tolerance: f64) {
    let audio = decode(fixture(name)).unwrap();
    assert_eq!(audio.sample_rate, RATE, "{name}");
    assert_eq!(audio.channels.len(), 2, "{name}");
    assert_eq!(audio.frames(), frames, "{name}");
    for (channel, hz, level) in [(0, 440.0, 0.5), (1, 1000.0, 0.25)] {
        // 600 samples are 11 and 25 periods.
        let (got, phase) = fit(&audio.channels[channel][1200..4800], RATE, hz);
        assert!(
            (got - scale * level).abs() < tolerance,
            "{name}: {hz} Hz at {got}"
        );
        // Whole files begin with the first sample, whatever the encoder put before it.
        if frames == FRAMES {
            assert!(phase.abs() < tolerance, "{name}: {hz} Hz, phase {phase}");
        }
    }
}

#[test]
fn flac_is_exact() {
    check("tone.flac", FRAMES, 1.0, 1e-4);
}

#[test]
fn mp3_has_its_delay_and_padding_removed() {
    check("tone.mp3", FRAMES, LAME_SCALE, 0.02);
}

#[test]
fn mp3_without_a_header_frame_is_read_to_its_end() {
    // 576 samples a frame; lame adds at least its delay of 1105 before and fills the last frame.
    check("tone-no-header.mp3", 13 * 576, LAME_SCALE, 0.02);
}

#[test]
fn ogg_vorbis_ends_where_its_last_page_says() {
    check("tone.ogg", FRAMES, 1.0, 0.02);
}
