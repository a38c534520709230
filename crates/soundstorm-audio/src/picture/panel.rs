//! A panel: what one channel's part of a picture shows, before anything is drawn.

use std::error::Error;

use super::heat::Heat;

/// What can go wrong while drawing, whatever the backend.
pub(super) type Drawn<T> = Result<T, Box<dyn Error>>;

/// One channel.
pub(super) struct Panel {
    /// Where the horizontal axis ends; it begins at 0.
    pub(super) end: f64,
    /// What stands behind its numbers.
    pub(super) unit: &'static str,
    /// The other axis.
    pub(super) vertical: Vertical,
    /// What stands between them.
    pub(super) content: Content,
}

/// The vertical axis: where it ends, and what is written on it.
pub(super) struct Vertical {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Positions with their labels.
    pub(super) marks: Vec<(f64, String)>,
}

/// What a panel shows.
pub(super) enum Content {
    /// Lines through points, each where on the horizontal axis and how high.
    Lines(Vec<Vec<(f64, f64)>>),
    /// Colours over the whole panel.
    Heat(Heat),
}

/// A panel's inside on the picture, in pixels from the upper left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Inside {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// 1, 2 or 5 times a power of ten, so that at most `count` steps lie in `range`.
pub(super) fn step(range: f64, count: f64) -> f64 {
    let least = range / count;
    let power = 10.0_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|digit| digit * power)
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(10.0 * power)
}

/// A number with as many places as its step has.
pub(super) fn label(value: f64, step: f64) -> String {
    // A hair above, for 0.1 is a little more than a tenth.
    let places = (-(step * 1.000_001).log10().floor()).max(0.0) as usize;
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (range, count, expect) in [
            (10.0, 10.0, 1.0),
            (10.1, 10.0, 2.0),
            (0.37, 8.0, 0.05),
            (7.0, 8.0, 1.0),
            (600.0, 8.0, 100.0),
        ] {
            let step = step(range, count);
            assert!((step - expect).abs() < 1e-12 * expect, "{range}: {step}");
        }
    }

    #[test]
    fn labels_have_the_places_of_their_step() {
        let cases = [
            (0.30000000000000004, 0.1, "0.3"),
            (2.0, 0.5, "2.0"),
            (40.0, 20.0, "40"),
            (0.05, 0.01, "0.05"),
            (3.0, 1.0, "3"),
        ];
        for (value, step, expect) in cases {
            assert_eq!(label(value, step), expect);
        }
    }
}
