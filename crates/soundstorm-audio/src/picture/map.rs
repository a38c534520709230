//! Maps: numbers on a grid over time, as colours.

use std::path::Path;

use super::heat::Heat;
use super::panel::{Content, Panel, Vertical};
use super::{PictureFormat, PictureSize, drawn};
use crate::{AudioError, Result, whole};

/// A panel of colours: time to the right, rows from the bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Length of the time axis.
    pub seconds: f64,
    /// What is written beside each row, from the bottom, in figures, `.`, `-` and the letters `H`, `s`
    /// and `z`.
    pub rows: Vec<String>,
    /// From 0, black, to 1, white: `[columns][rows]`.
    pub columns: Vec<Vec<f32>>,
}

/// Maps as the bytes of a picture, one under the other. The same maps give the same bytes.
///
/// # Errors
/// [`AudioError::Picture`] where there is nothing to draw, for columns without a number for each row,
/// for a time that is not above zero, and for a size below 200 pixels or above 20,000, all maps
/// together.
pub fn heat_map_bytes(
    maps: &[HeatMap],
    size: PictureSize,
    format: PictureFormat,
) -> Result<Vec<u8>> {
    const WHAT: &str = "the maps";
    let refuse = |detail: String| AudioError::Picture { what: WHAT, detail };
    if maps.is_empty() {
        return Err(refuse("there are none".into()));
    }
    for map in maps {
        let rows = map.rows.len();
        if rows == 0 || map.columns.is_empty() {
            return Err(refuse("a map is empty".into()));
        }
        if let Some(column) = map.columns.iter().find(|column| column.len() != rows) {
            let got = column.len();
            return Err(refuse(format!(
                "a column of {got} numbers beside {rows} rows"
            )));
        }
        if !(map.seconds > 0.0 && map.seconds.is_finite()) {
            return Err(refuse(format!("{} seconds are no time", map.seconds)));
        }
    }
    let panels: Vec<Panel> = maps.iter().map(panel).collect();
    drawn(WHAT, &panels, size, format)
}

/// Writes maps as a picture, PNG or SVG by the ending of the file's name. It appears whole or not at
/// all.
///
/// # Errors
/// As of [`heat_map_bytes`], [`AudioError::UnknownEnding`] for any other ending, and
/// [`AudioError::Io`] where the system refuses.
pub fn write_heat_maps(path: impl AsRef<Path>, maps: &[HeatMap], size: PictureSize) -> Result<()> {
    let path = path.as_ref();
    let format = PictureFormat::of_path(path)?;
    whole::write(path, &heat_map_bytes(maps, size, format)?)
}

fn panel(map: &HeatMap) -> Panel {
    let middle = |row: usize| row as f64 + 0.5;
    let marks = map.rows.iter().enumerate();
    Panel {
        end: map.seconds,
        unit: " s",
        vertical: Vertical {
            low: 0.0,
            high: map.rows.len() as f64,
            marks: marks
                .map(|(row, name)| (middle(row), name.clone()))
                .collect(),
        },
        content: Content::Heat(Heat {
            columns: map.columns.clone(),
        }),
    }
}
