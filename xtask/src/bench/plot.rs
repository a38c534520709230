//! Pictures of a report, as SVG: bars of medians, and lines over sizes, both with whiskers from the
//! least to the most. Text is left to the viewer's fonts.

use anyhow::{Context, Result};
use plotters::prelude::{IntoDrawingArea, SVGBackend, WHITE};

use super::draw::{self, Area};

/// A median and how far its runs went.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) middle: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// The same at a size.
pub(super) struct Dot {
    pub(super) x: f64,
    pub(super) middle: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// One picture of the column that a report's SVG is.
pub(super) enum Panel {
    /// One under the other, from zero.
    Bars {
        title: String,
        unit: &'static str,
        bars: Vec<Bar>,
    },
    /// A line for each name, both axes logarithmic.
    Lines {
        title: String,
        x: &'static str,
        y: &'static str,
        lines: Vec<(String, Vec<Dot>)>,
    },
}

const WIDTH: u32 = 760;
/// Of a bar with its label.
const BAR: u32 = 46;
/// Title, margins and axis around the bars.
const AROUND: u32 = 100;
const LINES: u32 = 400;
impl Panel {
    fn height(&self) -> u32 {
        match self {
            Self::Bars { bars, .. } => AROUND + BAR * bars.len() as u32,
            Self::Lines { .. } => LINES,
        }
    }

    /// Nothing to draw, where every side failed.
    fn is_empty(&self) -> bool {
        match self {
            Self::Bars { bars, .. } => bars.is_empty(),
            Self::Lines { lines, .. } => lines.iter().all(|(_, dots)| dots.is_empty()),
        }
    }

    fn draw(&self, area: &Area) -> Result<()> {
        match self {
            Self::Bars { title, unit, bars } => draw::bars(area, title, unit, bars),
            Self::Lines { title, x, y, lines } => draw::lines(area, title, (x, y), lines),
        }
    }
}

/// All panels under each other, or nothing where there is nothing to draw.
pub(super) fn svg(panels: &[&Panel]) -> Result<Option<String>> {
    let panels: Vec<_> = panels.iter().filter(|panel| !panel.is_empty()).collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let height = panels.iter().map(|panel| panel.height()).sum();
    let mut text = String::new();
    {
        let mut rest = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        rest.fill(&WHITE)?;
        for panel in panels {
            let (top, below) = rest.split_vertically(panel.height());
            panel.draw(&top).context("drawing a picture")?;
            rest = below;
        }
        rest.present()?;
    }
    Ok(Some(text))
}

/// Three digits that count.
pub(super) fn short(value: f64) -> String {
    let places = match value.abs() {
        0.0 => 0,
        value => (2 - value.log10().floor() as i32).clamp(0, 6) as usize,
    };
    let text = format!("{value:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bars(labels: &[&str]) -> Panel {
        let bar = |label: &&str| Bar {
            label: (*label).to_owned(),
            middle: 2.5,
            low: 2.0,
            high: 4.0,
        };
        Panel::Bars {
            title: "works".to_owned(),
            unit: "s",
            bars: labels.iter().map(bar).collect(),
        }
    }

    fn lines(dots: Vec<Dot>) -> Panel {
        Panel::Lines {
            title: "sweep".to_owned(),
            x: "batch",
            y: "s",
            lines: vec![("ours".to_owned(), dots)],
        }
    }

    fn dot(x: f64) -> Dot {
        Dot {
            x,
            middle: x,
            low: x / 2.0,
            high: x * 2.0,
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, expect) in [
            (0.0, "0"),
            (2.5, "2.5"),
            (0.012_345, "0.0123"),
            (123.4, "123"),
            (1234.0, "1234"),
            (10.0, "10"),
        ] {
            assert_eq!(short(value), expect);
        }
    }

    #[test]
    fn every_side_is_in_the_picture_with_its_spread() {
        let text = svg(&[&bars(&["ours", "theirs"]), &lines(vec![dot(1.0), dot(2.0)])]);
        let text = text.unwrap().unwrap();
        for part in [
            "works",
            "ours: 2.5 (2 to 4)",
            "theirs: 2.5 (2 to 4)",
            "sweep",
            "batch",
        ] {
            assert!(text.contains(part), "{part}");
        }
        let shapes = |name: &str| text.matches(name).count();
        // Two dots; three strokes to the whiskers of each bar.
        assert_eq!(shapes("<circle"), 2);
        let height = AROUND + 2 * BAR + LINES;
        assert!(text.contains(&format!("height=\"{height}\"")));
    }

    #[test]
    fn what_has_nothing_to_draw_is_left_out() {
        assert_eq!(svg(&[&bars(&[]), &lines(vec![])]).unwrap(), None);
        let text = svg(&[&bars(&[]), &bars(&["ours"])]).unwrap().unwrap();
        assert!(text.contains(&format!("height=\"{}\"", AROUND + BAR)));
    }

    #[test]
    fn whiskers_reach_from_the_least_to_the_most() {
        let text = svg(&[&bars(&["ours"])]).unwrap().unwrap();
        // The widest stroke is the whisker of 2 to 4 beside a bar that ends at 2.5.
        let x: Vec<f64> = text
            .lines()
            .filter(|line| line.starts_with("<polyline") && line.contains("#000000"))
            .flat_map(|line| line.split('"').find(|part| part.contains(',')))
            .flat_map(|points| {
                points
                    .split_whitespace()
                    .map(|p| p.split(',').next().unwrap())
            })
            .map(|x| x.parse().unwrap())
            .collect();
        let rect = text
            .lines()
            .rfind(|line| line.starts_with("<rect"))
            .unwrap();
        let number = |key: &str| -> f64 {
            let rest = rect.split(&format!("{key}=\"")).nth(1).unwrap();
            rest.split('"').next().unwrap().parse().unwrap()
        };
        let (left, width) = (number("x"), number("width"));
        let has = |value: f64| {
            x.iter()
                .any(|x| (x - left - width / 2.5 * value).abs() < 2.0)
        };
        assert!(has(2.0) && has(4.0), "{x:?} {left} {width}");
    }
}
