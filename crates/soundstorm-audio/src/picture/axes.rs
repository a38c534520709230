//! Axes with their labels, and what is drawn as lines, on any backend of plotters.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;

use super::panel::{Content, Drawn, Inside, Panel, label, step};

/// Colours of lines, one after another (blue first), and of text (a dark grey).
const LINES: [RGBColor; 6] = [
    RGBColor(0, 90, 150),
    RGBColor(210, 90, 0),
    RGBColor(0, 135, 85),
    RGBColor(150, 60, 150),
    RGBColor(120, 120, 0),
    RGBColor(90, 90, 90),
];
const TEXT: RGBColor = RGBColor(50, 50, 50);
const FONT: (&str, i32) = ("sans-serif", 15);
const MARGIN: i32 = 14;
/// Room for labels, below and on the left.
const BELOW: i32 = 32;
const LEFT: i32 = 100;
/// Labels on the time axis, one to so many pixels at least.
const SPACING: f64 = 100.0;

/// A linear axis with marks of our own choice.
struct Axis {
    range: Range<f64>,
    marks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.marks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// Draws panels under each other, all but the colours of heat; where their insides are.
pub(super) fn draw<DB>(root: &DrawingArea<DB, Shift>, panels: &[Panel]) -> Drawn<Vec<Inside>>
where
    DB: DrawingBackend,
    DB::ErrorType: 'static,
{
    let areas = root.split_evenly((panels.len(), 1));
    let insides = areas
        .iter()
        .zip(panels)
        .map(|(area, panel)| one(area, panel));
    let insides = insides.collect();
    root.present()?;
    insides
}

fn one<DB>(area: &DrawingArea<DB, Shift>, panel: &Panel) -> Drawn<Inside>
where
    DB: DrawingBackend,
    DB::ErrorType: 'static,
{
    let vertical = &panel.vertical;
    let width = f64::from(area.dim_in_pixel().0);
    let apart = step(panel.end, (width / SPACING).max(1.0));
    let times = (0..).map(|index| f64::from(index) * apart);
    let times: Vec<f64> = times.take_while(|time| *time <= panel.end).collect();
    let heights = vertical.marks.iter().map(|(height, _)| *height).collect();

    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .x_label_area_size(BELOW)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(
            Axis {
                range: 0.0..panel.end,
                marks: times,
            },
            Axis {
                range: vertical.low..vertical.high,
                marks: heights,
            },
        )?;
    let name_height = |height: &f64| {
        let mark = vertical.marks.iter().find(|(at, _)| at == height);
        mark.map(|(_, name)| name.clone()).unwrap_or_default()
    };
    let style = FONT.into_font().color(&TEXT);
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(TEXT)
        .x_label_formatter(&|time| format!("{}{}", label(*time, apart), panel.unit))
        .y_label_formatter(&name_height)
        .label_style(style)
        .draw()?;
    if let Content::Lines(lines) = &panel.content {
        for (points, color) in lines.iter().zip(LINES.iter().cycle()) {
            chart.draw_series([PathElement::new(points.clone(), *color)])?;
        }
    }
    let (across, down) = chart.plotting_area().get_pixel_range();
    Ok(Inside {
        left: across.start.try_into()?,
        top: down.start.try_into()?,
        width: (across.end - across.start).try_into()?,
        height: (down.end - down.start).try_into()?,
    })
}
