//! Pictures are what they should be: their size, their axes, and the sound where it belongs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use soundstorm_audio::picture::{
    HeatMap, Picture, PictureFormat, PictureSize, heat_map_bytes, picture_bytes, write_picture,
};
use soundstorm_audio::{Audio, AudioError};

use crate::support::{names, sine};

const SIZE: PictureSize = PictureSize {
    width: 431,
    height: 211,
};

struct Image {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Image {
    fn of(bytes: &[u8]) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Self {
            width: info.width as usize,
            height: info.height as usize,
            pixels,
        }
    }

    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let start = 3 * (y * self.width + x);
        [0, 1, 2].map(|i| self.pixels[start + i])
    }

    /// The places that look like something, `(x, y)`.
    fn where_is(&self, like: impl Fn([u8; 3]) -> bool) -> Vec<(usize, usize)> {
        let places = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
        places.filter(|&(x, y)| like(self.at(x, y))).collect()
    }
}

/// The waveform's line.
fn blue([red, _, blue]: [u8; 3]) -> bool {
    blue > red.saturating_add(60)
}

fn draw(audio: &Audio, picture: Picture, format: PictureFormat) -> Vec<u8> {
    let bytes = picture_bytes(audio, picture, SIZE, format).unwrap();
    assert_eq!(bytes, picture_bytes(audio, picture, SIZE, format).unwrap());
    bytes
}

fn svg(audio: &Audio, picture: Picture) -> String {
    String::from_utf8(draw(audio, picture, PictureFormat::Svg)).unwrap()
}

/// Half a second of silence, then half a second of a tone.
fn late_tone(hz: f64, level: f64) -> Audio {
    let mut samples = vec![0.0; 8000];
    samples.extend(sine(16_000, 8000, hz, level));
    Audio::from_mono(16_000, samples)
}

#[test]
fn a_waveform_reaches_as_far_as_its_samples() {
    let height = |level: f64| -> (usize, usize) {
        let bytes = draw(
            &late_tone(300.0, level),
            Picture::Waveform,
            PictureFormat::Png,
        );
        let image = Image::of(&bytes);
        assert_eq!((image.width, image.height), (431, 211));
        let line = image.where_is(blue);
        let (left, right): (Vec<_>, Vec<_>) = {
            let middle = (100 + 431 - 14) / 2;
            line.into_iter().partition(|(x, _)| *x < middle)
        };
        let span = |dots: &[(usize, usize)]| {
            let ys = || dots.iter().map(|(_, y)| *y);
            ys().max().unwrap() - ys().min().unwrap()
        };
        (span(&left), span(&right))
    };
    let (silence, loud) = height(1.0);
    let (_, half) = height(0.5);
    // The axes leave 211 - 2 * 14 - 32 rows.
    assert!(silence <= 2, "{silence}");
    assert!(loud.abs_diff(150) <= 2, "{loud}");
    assert!(half.abs_diff(75) <= 2, "{half}");
}

#[test]
fn a_spectrogram_has_the_tone_at_its_height_and_time() {
    let bright = |hz: f64| -> (f64, f64) {
        let bytes = draw(
            &late_tone(hz, 0.2),
            Picture::Spectrogram,
            PictureFormat::Png,
        );
        let image = Image::of(&bytes);
        let spots = image
            .where_is(|[red, green, blue]| red > 250 && green > 200 && blue > 100 && blue < 250);
        assert!(!spots.is_empty());
        let mean = |of: fn(&(usize, usize)) -> usize| {
            spots.iter().map(|spot| of(spot) as f64).sum::<f64>() / spots.len() as f64
        };
        (mean(|spot| spot.0), mean(|spot| spot.1))
    };
    let (low, high) = (bright(500.0), bright(5000.0));
    // In the right half of what lies between the axes.
    for (x, _) in [low, high] {
        assert!((x - (114.0 + 417.0 * 3.0) / 4.0).abs() < 15.0, "{x}");
    }
    // 7.5 and 38.4 of 45.2 mels, in 151 rows.
    let mels = (low.1 - high.1) / 151.0 * 45.2;
    assert!((mels - 30.9).abs() < 1.0, "{mels}");
}

#[test]
fn svg_has_axes_in_seconds_and_hertz() {
    let audio = late_tone(500.0, 0.2);
    let wave = svg(&audio, Picture::Waveform);
    let spectrogram = svg(&audio, Picture::Spectrogram);
    let has = |text: &str, label: &str| text.contains(&format!(">\n{label}\n<"));
    for label in ["0.0 s", "0.5 s", "1.0 s"] {
        assert!(has(&wave, label) && has(&spectrogram, label), "{label}");
    }
    for label in ["-1.0", "0.0", "0.5"] {
        assert!(has(&wave, label), "{label}");
    }
    for label in ["0 Hz", "1000 Hz", "8000 Hz"] {
        assert!(has(&spectrogram, label), "{label}");
    }
    assert!(!has(&spectrogram, "16000 Hz"));
    for text in [&wave, &spectrogram] {
        assert!(text.starts_with("<svg ") && text.trim_end().ends_with("</svg>"));
        assert!(text.contains("width=\"431\" height=\"211\""));
        // Nothing is drawn pixel by pixel.
        assert!(text.matches("<rect").count() < 5);
    }
}

#[test]
fn svg_and_png_show_the_same_spectrogram() {
    let audio = late_tone(2000.0, 0.2);
    let text = svg(&audio, Picture::Spectrogram);
    let after = |key: &str| text.split(key).nth(1).unwrap().split('"').next().unwrap();
    let inner = Image::of(&STANDARD.decode(after("base64,")).unwrap());
    let (left, top): (usize, usize) = (
        after("<image x=\"").parse().unwrap(),
        text.split("<image ")
            .nth(1)
            .unwrap()
            .split("y=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .parse()
            .unwrap(),
    );
    let outer = Image::of(&draw(&audio, Picture::Spectrogram, PictureFormat::Png));
    for y in 0..inner.height {
        for x in 0..inner.width {
            assert_eq!(inner.at(x, y), outer.at(left + x, top + y), "{x} {y}");
        }
    }
}

#[test]
fn a_png_has_labels_without_a_font() {
    let image = Image::of(&draw(
        &late_tone(500.0, 0.2),
        Picture::Spectrogram,
        PictureFormat::Png,
    ));
    let ink = image.where_is(|pixel| pixel == [50, 50, 50]);
    let left = ink.iter().filter(|(x, _)| *x < 100).count();
    let below = ink
        .iter()
        .filter(|(x, y)| *x > 114 && *y > 211 - 14 - 32 + 5)
        .count();
    assert!(left > 200 && below > 100, "{left} {below}");
}

#[test]
fn every_channel_has_a_panel() {
    let tone = sine(16_000, 4001, 300.0, 0.9);
    let audio = Audio::new(16_000, vec![tone.clone(), vec![0.0; 4001], tone]).unwrap();
    let image = Image::of(&draw(&audio, Picture::Waveform, PictureFormat::Png));
    assert_eq!((image.width, image.height), (431, 3 * 211));
    let line = image.where_is(blue);
    let rows = |panel: usize| {
        let mut ys: Vec<_> = line
            .iter()
            .map(|(_, y)| *y)
            .filter(|y| y / 211 == panel)
            .collect();
        ys.sort_unstable();
        ys.dedup();
        ys.len()
    };
    assert!(rows(0) > 100 && rows(1) < 4 && rows(2) > 100);
    let text = svg(&audio, Picture::Spectrogram);
    assert_eq!(text.matches("<image").count(), 3);
}

#[test]
fn one_sample_and_silence_are_drawn() {
    for audio in [
        Audio::from_mono(8_000, vec![0.25]),
        Audio::from_mono(44_100, vec![0.0; 30_011]),
        Audio::from_mono(1, vec![0.5, -7.5]),
        Audio::from_mono(768_000, sine(768_000, 5003, 30_000.0, 0.5)),
    ] {
        for picture in [Picture::Waveform, Picture::Spectrogram] {
            for format in [PictureFormat::Png, PictureFormat::Svg] {
                draw(&audio, picture, format);
            }
        }
    }
}

#[test]
fn what_cannot_be_drawn_is_told() {
    let draw = |audio: &Audio, width, height| {
        let size = PictureSize { width, height };
        picture_bytes(audio, Picture::Waveform, size, PictureFormat::Png)
    };
    let good = Audio::from_mono(16_000, vec![0.5; 101]);
    assert!(draw(&good, 200, 200).is_ok());
    for (width, height) in [
        (199, 300),
        (300, 199),
        (20_001, 300),
        (300, 20_001),
        (0, 0),
        (300, u32::MAX),
    ] {
        let error = draw(&good, width, height).unwrap_err();
        assert!(matches!(error, AudioError::Picture { .. }), "{error}");
    }
    let many = Audio::new(16_000, vec![vec![0.5; 7]; 100]).unwrap();
    assert!(matches!(
        draw(&many, 300, 300),
        Err(AudioError::Picture { .. })
    ));
    let none = Audio::from_mono(16_000, vec![]);
    assert!(matches!(
        draw(&none, 300, 300),
        Err(AudioError::Picture { .. })
    ));
    let nan = Audio::from_mono(16_000, vec![f32::NAN]);
    assert!(matches!(
        draw(&nan, 300, 300),
        Err(AudioError::Invalid { .. })
    ));
}

#[test]
fn the_ending_chooses_and_the_file_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let audio = late_tone(500.0, 0.2);
    for (name, format) in [("a.png", PictureFormat::Png), ("b.SVG", PictureFormat::Svg)] {
        let path = folder.path().join(name);
        std::fs::write(&path, b"old").unwrap();
        let none = Audio::from_mono(16_000, vec![]);
        assert!(write_picture(&path, &none, Picture::Waveform, SIZE).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        write_picture(&path, &audio, Picture::Waveform, SIZE).unwrap();
        let expect = draw(&audio, Picture::Waveform, format);
        assert_eq!(std::fs::read(&path).unwrap(), expect);
    }
    for name in ["c.jpg", "png"] {
        let error = write_picture(folder.path().join(name), &audio, Picture::Waveform, SIZE);
        assert!(matches!(error, Err(AudioError::UnknownEnding { .. })));
    }
    assert_eq!(names(folder.path()), ["a.png", "b.SVG"]);
}

/// Two maps of two rows: the first half black over white, then the other way round.
#[test]
fn maps_stand_where_their_numbers_are() {
    let (low, high) = (vec![0.0, 1.0], vec![1.0, 0.0]);
    let map = |columns: Vec<Vec<f32>>| HeatMap {
        seconds: 2.0,
        rows: vec!["1".into(), "2".into()],
        columns,
    };
    let maps = [map(vec![high.clone(), low.clone()]), map(vec![low, high])];
    let bytes = heat_map_bytes(&maps, SIZE, PictureFormat::Png).unwrap();
    let image = Image::of(&bytes);
    assert_eq!((image.width, image.height), (431, 422));
    let dark = |[red, green, blue]: [u8; 3]| (red, green, blue) == (0, 0, 4);
    for (panel, expected) in [(0, [false, true]), (1, [true, false])] {
        // A quarter and three quarters of the inside's width, a quarter of its height above the axis.
        let y = 211 * panel + 14 + (211 - 32 - 28) * 3 / 4;
        let inside = 431 - 100 - 28;
        for (quarter, expected) in [1, 3].into_iter().zip(expected) {
            let x = 100 + 14 + inside * quarter / 4;
            assert_eq!(dark(image.at(x, y)), expected, "{panel} {quarter}");
        }
    }
    let svg = heat_map_bytes(&maps, SIZE, PictureFormat::Svg).unwrap();
    assert!(String::from_utf8(svg).unwrap().contains("image"));

    let refused = |maps: &[HeatMap], size| {
        let error = heat_map_bytes(maps, size, PictureFormat::Png).unwrap_err();
        assert!(matches!(error, AudioError::Picture { .. }), "{error}");
    };
    refused(&[], SIZE);
    refused(&[map(vec![])], SIZE);
    refused(&[map(vec![vec![0.5]])], SIZE);
    let mut timeless = maps[0].clone();
    timeless.seconds = 0.0;
    refused(&[timeless], SIZE);
    refused(&maps, PictureSize { width: 199, ..SIZE });
}
