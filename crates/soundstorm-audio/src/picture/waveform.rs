//! The waveform: a line through the samples, or through the least and greatest of each moment.

use super::panel::{Content, Panel, Vertical, label, step};

/// Steps on the axis, at most.
const STEPS: f64 = 5.0;

/// The panel of one channel, for a picture so many pixels wide.
pub(super) fn panel(samples: &[f32], rate: u32, width: u32) -> Panel {
    let loudest = samples.iter().fold(0.0_f32, |most, s| most.max(s.abs()));
    // Full scale at least; beyond it what there is.
    let high = f64::from(loudest).max(1.0);
    let apart = step(2.0 * high, STEPS);
    let most = (high / apart).floor() as i32;
    let mark = |index: i32| {
        let height = f64::from(index) * apart;
        (height, label(height, apart))
    };
    let rate = f64::from(rate);
    let points = envelope(samples, width as usize)
        .into_iter()
        .map(|(index, sample)| ((index as f64 + 0.5) / rate, f64::from(sample)));
    Panel {
        end: samples.len() as f64 / rate,
        unit: " s",
        vertical: Vertical {
            low: -high,
            high,
            marks: (-most..=most).map(mark).collect(),
        },
        content: Content::Lines(vec![points.collect()]),
    }
}

/// Samples with their indices: all of them, or where there are more than two to a column the least and the greatest
/// of each, in their order.
fn envelope(samples: &[f32], columns: usize) -> Vec<(usize, f32)> {
    if samples.len() <= 2 * columns {
        return samples.iter().copied().enumerate().collect();
    }
    let mut points = Vec::with_capacity(2 * columns);
    for column in 0..columns {
        let start = column * samples.len() / columns;
        let end = (column + 1) * samples.len() / columns;
        let (mut least, mut greatest) = (start, start);
        for index in start..end {
            if samples[index] < samples[least] {
                least = index;
            }
            if samples[index] > samples[greatest] {
                greatest = index;
            }
        }
        for index in [least.min(greatest), least.max(greatest)] {
            points.push((index, samples[index]));
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_samples_are_all_there() {
        assert_eq!(
            envelope(&[0.5, -0.5, 0.25], 2),
            [(0, 0.5), (1, -0.5), (2, 0.25)]
        );
    }

    #[test]
    fn of_many_the_ends_are_there() {
        let mut samples = vec![0.0; 101];
        samples[0] = -0.25;
        samples[33] = 0.75;
        samples[34] = -1.0;
        samples[100] = 0.5;
        let points = envelope(&samples, 3);
        assert_eq!(points.len(), 6);
        for point in [(0, -0.25), (33, 0.75), (34, -1.0), (100, 0.5)] {
            assert!(points.contains(&point), "{points:?}");
        }
        assert!(points.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }

    #[test]
    fn the_axis_holds_what_is_beyond_full_scale() {
        let high = |peak: f32| panel(&[0.0, peak], 7, 300).vertical.high;
        assert_eq!([high(0.1), high(-1.0), high(-2.5)], [1.0, 1.0, 2.5]);
        let panel = panel(&[0.0; 21], 7, 300);
        assert_eq!(panel.end, 3.0);
        let labels = |panel: &Panel| -> Vec<String> {
            let marks = panel.vertical.marks.iter();
            marks.map(|(_, text)| text.clone()).collect()
        };
        assert_eq!(labels(&panel), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        let loud = super::panel(&[2.5], 7, 300);
        assert_eq!(labels(&loud), ["-2", "-1", "0", "1", "2"]);
    }
}
