//! One picture: bars from zero, or lines over sizes.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::plot::{Bar, Dot, short};

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const FONT: &str = "sans-serif";
/// Told apart without colours too (Okabe and Ito).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(100, 100, 100),
];

/// Each bar has its label and its numbers above it.
pub(super) fn bars(area: &Area, title: &str, unit: &str, bars: &[Bar]) -> Result<()> {
    let most = bars.iter().map(|bar| bar.high).fold(0.0, f64::max);
    let count = bars.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 17))
        .margin(14)
        .x_label_area_size(34)
        .build_cartesian_2d(0.0..most * 1.05, 0.0..count)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .light_line_style(TRANSPARENT)
        .x_desc(unit)
        .label_style((FONT, 12))
        .draw()?;
    for (index, bar) in bars.iter().enumerate() {
        let top = count - index as f64;
        let colour = COLOURS[index % COLOURS.len()];
        let body = [(0.0, top - 0.9), (bar.middle, top - 0.45)];
        chart.draw_series([Rectangle::new(body, colour.filled())])?;
        let label = format!(
            "{}: {} ({} to {})",
            bar.label,
            short(bar.middle),
            short(bar.low),
            short(bar.high)
        );
        chart.draw_series([Text::new(label, (0.0, top - 0.08), (FONT, 13))])?;
        let (middle, end) = (top - 0.675, 0.1);
        let strokes = [
            vec![(bar.low, middle), (bar.high, middle)],
            vec![(bar.low, middle - end), (bar.low, middle + end)],
            vec![(bar.high, middle - end), (bar.high, middle + end)],
        ];
        chart.draw_series(strokes.map(|stroke| PathElement::new(stroke, BLACK)))?;
    }
    Ok(())
}

/// Both axes are logarithmic, so that growth in proportion is a slope of one.
pub(super) fn lines(
    area: &Area,
    title: &str,
    (x, y): (&str, &str),
    lines: &[(String, Vec<Dot>)],
) -> Result<()> {
    let dots = || lines.iter().flat_map(|(_, dots)| dots);
    let across = dots().fold((f64::INFINITY, 0.0_f64), |(low, high), dot| {
        (low.min(dot.x), high.max(dot.x))
    });
    let up = dots().fold((f64::INFINITY, 0.0_f64), |(low, high), dot| {
        (low.min(dot.low), high.max(dot.high))
    });
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 17))
        .margin(14)
        .x_label_area_size(38)
        .y_label_area_size(58)
        .build_cartesian_2d(
            (across.0 / 1.1..across.1 * 1.1)
                .log_scale()
                .with_key_points(dots().map(|dot| dot.x).collect()),
            // Room for the names above the lines.
            (up.0 / 1.3..up.1 * 6.0)
                .log_scale()
                .with_key_points(marks(up.0 / 1.3, up.1 * 6.0)),
        )?;
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .light_line_style(TRANSPARENT)
        .label_style((FONT, 12))
        .draw()?;
    for (index, (name, dots)) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let line = LineSeries::new(
            dots.iter().map(|dot| (dot.x, dot.middle)),
            colour.stroke_width(2),
        );
        chart
            .draw_series(line)?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        let circles = dots
            .iter()
            .map(|dot| Circle::new((dot.x, dot.middle), 3, colour.filled()));
        chart.draw_series(circles)?;
        let whiskers = dots
            .iter()
            .map(|dot| PathElement::new([(dot.x, dot.low), (dot.x, dot.high)], colour));
        chart.draw_series(whiskers)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, 13))
        .draw()?;
    Ok(())
}

/// 1, 2 and 5 times the powers of ten between two numbers.
fn marks(low: f64, high: f64) -> Vec<f64> {
    let power = |value: f64| value.log10().floor() as i32;
    (power(low)..=power(high))
        .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10.0_f64.powi(power)))
        .filter(|mark| (low..=high).contains(mark))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_lie_between() {
        assert_eq!(marks(0.3, 12.0), [0.5, 1.0, 2.0, 5.0, 10.0]);
        assert_eq!(marks(1.0, 2.0), [1.0, 2.0]);
    }
}
