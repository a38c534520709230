//! Curves over a count, such as losses over the steps of a training.

use std::path::Path;

use super::panel::{Content, Panel, Vertical, label, step};
use super::{PictureFormat, PictureSize, drawn};
use crate::{AudioError, Result, whole};

/// Steps on the vertical axis, at most.
const STEPS: f64 = 5.0;

/// Points of a curve: where on the horizontal axis, and how high.
pub type Curve = Vec<(f64, f64)>;

/// A picture of curves as the bytes of a file: a panel for each list of curves, under each other, each curve
/// in the next of six colours. The horizontal axis begins at 0.
///
/// # Errors
/// [`AudioError::Picture`] for a panel without points, a point that is not finite or left of 0, or a size below
/// 200 pixels or above 20,000, all panels together.
pub fn curves_bytes(
    panels: &[Vec<Curve>],
    size: PictureSize,
    format: PictureFormat,
) -> Result<Vec<u8>> {
    const WHAT: &str = "curves";
    let panels = panels.iter().map(|curves| {
        panel(curves).map_err(|detail| AudioError::Picture {
            what: WHAT,
            detail: detail.into(),
        })
    });
    drawn(WHAT, &panels.collect::<Result<Vec<_>>>()?, size, format)
}

/// Writes a picture of curves, PNG or SVG by the ending of the file's name. It appears whole or not at all.
///
/// # Errors
/// [`AudioError::UnknownEnding`] for any other ending, and as [`curves_bytes`], before anything is written;
/// [`AudioError::Io`] where the system refuses.
pub fn write_curves(
    path: impl AsRef<Path>,
    panels: &[Vec<Curve>],
    size: PictureSize,
) -> Result<()> {
    let path = path.as_ref();
    let format = PictureFormat::of_path(path)?;
    whole::write(path, &curves_bytes(panels, size, format)?)
}

fn panel(curves: &[Curve]) -> Result<Panel, &'static str> {
    let points = || curves.iter().flatten();
    if points().next().is_none() {
        return Err("there are no points");
    }
    if points().any(|(x, y)| !x.is_finite() || !y.is_finite() || *x < 0.0) {
        return Err("a point is not finite, or left of 0");
    }
    // A little more, so that the label of the end has room.
    let end = 1.03 * points().fold(0.0, |most: f64, (x, _)| most.max(*x));
    let low = points().fold(f64::INFINITY, |least, (_, y)| least.min(*y));
    let high = points().fold(f64::NEG_INFINITY, |most, (_, y)| most.max(*y));
    // A level curve has room above and below.
    let (low, high) = match high > low {
        true => (low, high),
        false => (low - 0.5, high + 0.5),
    };
    let apart = step(high - low, STEPS);
    let first = (low / apart).ceil() as i64;
    let last = (high / apart).floor() as i64;
    let mark = |index: i64| {
        let height = index as f64 * apart;
        (height, label(height, apart))
    };
    Ok(Panel {
        end: if end > 0.0 { end } else { 1.0 },
        unit: "",
        vertical: Vertical {
            low,
            high,
            marks: (first..=last).map(mark).collect(),
        },
        content: Content::Lines(curves.to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_hold_all_points() {
        let curves = [vec![(10.0, 3.0), (40.0, 1.0)], vec![(20.0, 2.5)]];
        let Ok(panel) = panel(&curves) else {
            panic!("they are good curves");
        };
        assert!((panel.end - 41.2).abs() < 1e-12);
        assert_eq!((panel.vertical.low, panel.vertical.high), (1.0, 3.0));
        let marks: Vec<_> = panel
            .vertical
            .marks
            .iter()
            .map(|(_, m)| m.as_str())
            .collect();
        assert_eq!(marks, ["1.0", "1.5", "2.0", "2.5", "3.0"]);
        assert!(super::panel(&[vec![(0.0, 7.0)]]).is_ok_and(|panel| panel.vertical.high == 7.5));
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let size = PictureSize::default();
        for curves in [
            vec![],
            vec![vec![]],
            vec![vec![(0.0, f64::NAN)]],
            vec![vec![(-1.0, 0.0)]],
        ] {
            let drawn = curves_bytes(&[curves], size, PictureFormat::Svg);
            assert!(matches!(drawn, Err(AudioError::Picture { .. })));
        }
        assert!(curves_bytes(&[], size, PictureFormat::Png).is_err());
    }

    #[test]
    fn every_curve_has_its_line() {
        let curves = vec![vec![(0.0, 0.0), (9.0, 4.0)], vec![(0.0, 1.0), (9.0, 3.0)]];
        let text = curves_bytes(&[curves], PictureSize::default(), PictureFormat::Svg);
        let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let Ok(text) = text else {
            panic!("they are good curves");
        };
        assert!(
            text.contains("#005A96") && text.contains("#D25A00"),
            "{text}"
        );
    }
}
