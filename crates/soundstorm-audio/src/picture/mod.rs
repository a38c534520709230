//! Pictures of audio, as PNG and SVG: waveform and spectrogram, a panel for each channel, over seconds; and maps of
//! numbers over time.
//!
//! The text of an SVG is left to the viewer's fonts. A PNG's is drawn from a few figures and letters of our own, so
//! that no font is needed.

mod axes;
mod canvas;
mod curves;
mod glyphs;
mod heat;
mod map;
mod panel;
mod png;
mod spectrogram;
mod svg;
mod waveform;

use std::path::Path;

pub use curves::{Curve, curves_bytes, write_curves};
pub use map::{HeatMap, heat_map_bytes, write_heat_maps};
use panel::Panel;

use crate::{Audio, AudioError, Result, whole};

/// What is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Picture {
    /// The least and greatest sample at each moment, full scale ±1.
    #[default]
    Waveform,
    /// Power in mel bands from 0 Hz to half the sample rate, in dB below the loudest of the channel: 128 bands
    /// (Slaney's), windows of 32 to 64 ms, 80 dB from white to black.
    Spectrogram,
}

/// How a picture is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PictureFormat {
    /// Pixels.
    Png,
    /// Lines and text, with a spectrogram as pixels among them.
    Svg,
}

impl PictureFormat {
    /// By the ending of a file's name, in small or capital letters: `png` or `svg`.
    ///
    /// # Errors
    /// [`AudioError::UnknownEnding`] for any other, and where there is none.
    pub fn of_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        match whole::ending(path).as_str() {
            "png" => Ok(Self::Png),
            "svg" => Ok(Self::Svg),
            ending => Err(AudioError::UnknownEnding {
                path: path.display().to_string(),
                ending: ending.into(),
                known: "png and svg",
            }),
        }
    }
}

/// How large a picture is, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSize {
    /// Of the whole picture.
    pub width: u32,
    /// Of each channel's panel; they stand under each other.
    pub height: u32,
}

impl PictureSize {
    /// Less has no room for axes and text.
    const LEAST: u32 = 200;
    /// More is a mistake, and much memory.
    const MOST: u32 = 20_000;

    /// Whether so many panels of this size can be drawn.
    fn check(self, what: &'static str, panels: usize) -> Result<()> {
        let total = u64::from(self.height) * panels as u64;
        let range = Self::LEAST..=Self::MOST;
        if range.contains(&self.width) && self.height >= Self::LEAST && total <= Self::MOST.into() {
            return Ok(());
        }
        Err(AudioError::Picture {
            what,
            detail: format!(
                "{} by {total} pixels are not within {} and {}",
                self.width,
                Self::LEAST,
                Self::MOST
            ),
        })
    }
}

impl Default for PictureSize {
    /// 1000 by 300.
    fn default() -> Self {
        Self {
            width: 1000,
            height: 300,
        }
    }
}

/// A picture of `audio` as the bytes of a file. The same audio gives the same bytes.
///
/// # Errors
/// [`AudioError::Invalid`] for channels that differ in length and for NaN or infinite samples;
/// [`AudioError::Picture`] where there are no samples, or for a size below 200 pixels or above 20,000, all panels
/// together.
pub fn picture_bytes(
    audio: &Audio,
    picture: Picture,
    size: PictureSize,
    format: PictureFormat,
) -> Result<Vec<u8>> {
    const OPERATION: &str = "draw a picture";
    audio.check_finite(OPERATION)?;
    let what = match picture {
        Picture::Waveform => "the waveform",
        Picture::Spectrogram => "the spectrogram",
    };
    if audio.frames() == 0 {
        let detail = "there are no samples".into();
        return Err(AudioError::Picture { what, detail });
    }
    size.check(what, audio.channels.len())?;
    let panels: Vec<Panel> = audio
        .channels
        .iter()
        .map(|samples| match picture {
            Picture::Waveform => waveform::panel(samples, audio.sample_rate, size.width),
            Picture::Spectrogram => spectrogram::panel(samples, audio.sample_rate, size.width),
        })
        .collect();
    drawn(what, &panels, size, format)
}

/// Panels as the bytes of a file.
fn drawn(
    what: &'static str,
    panels: &[Panel],
    size: PictureSize,
    format: PictureFormat,
) -> Result<Vec<u8>> {
    size.check(what, panels.len())?;
    let drawn = match format {
        PictureFormat::Png => canvas::draw(panels, size),
        PictureFormat::Svg => svg::draw(panels, size),
    };
    drawn.map_err(|error| AudioError::Picture {
        what,
        detail: error.to_string(),
    })
}

/// Writes a picture of `audio`, PNG or SVG by the ending of the file's name. It appears whole or not at all.
///
/// # Errors
/// [`AudioError::UnknownEnding`] for any other ending, and as [`picture_bytes`], before anything is written;
/// [`AudioError::Io`] where the system refuses.
pub fn write_picture(
    path: impl AsRef<Path>,
    audio: &Audio,
    picture: Picture,
    size: PictureSize,
) -> Result<()> {
    let path = path.as_ref();
    let format = PictureFormat::of_path(path)?;
    whole::write(path, &picture_bytes(audio, picture, size, format)?)
}
