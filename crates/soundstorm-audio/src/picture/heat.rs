//! Values on a grid as colours, from black over violet and orange to white.

/// Values from 0 to 1, `[columns][rows]`, rows from the bottom.
pub(super) struct Heat {
    pub(super) columns: Vec<Vec<f32>>,
}

/// Colours at equal distances, each brighter than the one before.
const COLOURS: [[u8; 3]; 5] = [
    [0, 0, 4],
    [75, 20, 110],
    [190, 55, 85],
    [250, 150, 45],
    [255, 252, 220],
];

impl Heat {
    /// Pixels `[height][width][red, green, blue]`: of each, the value that stands there.
    pub(super) fn pixels(&self, width: u32, height: u32) -> Vec<u8> {
        let (width, height) = (width as usize, height as usize);
        let mut pixels = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                let column = &self.columns[x * self.columns.len() / width];
                let value = column[(height - 1 - y) * column.len() / height];
                pixels.extend(colour(value));
            }
        }
        pixels
    }
}

/// The colour of a value between 0 and 1.
fn colour(value: f32) -> [u8; 3] {
    let steps = COLOURS.len() - 1;
    let position = value.clamp(0.0, 1.0) * steps as f32;
    let below = (position as usize).min(steps - 1);
    let share = position - below as f32;
    std::array::from_fn(|i| {
        let (low, high) = (
            f32::from(COLOURS[below][i]),
            f32::from(COLOURS[below + 1][i]),
        );
        (low + share * (high - low)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_brighter() {
        let light = |value: f32| -> f32 {
            let [red, green, blue] = colour(value).map(f32::from);
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        for step in 0..100 {
            let value = step as f32 / 100.0;
            assert!(light(value) < light(value + 0.01), "{value}");
        }
        assert_eq!([colour(-1.0), colour(2.0)], [COLOURS[0], COLOURS[4]]);
    }

    #[test]
    fn the_first_row_stands_at_the_bottom() {
        // Two columns of three rows, twice as wide and high.
        let heat = Heat {
            columns: vec![vec![0.0, 0.25, 0.5], vec![0.75, 1.0, 0.0]],
        };
        let pixels = heat.pixels(4, 6);
        let at = |x: usize, y: usize| &pixels[3 * (4 * y + x)..][..3];
        assert_eq!(pixels.len(), 4 * 6 * 3);
        for (x, y, expect) in [
            (0, 5, 0),
            (1, 4, 0),
            (1, 3, 1),
            (0, 0, 2),
            (2, 5, 3),
            (3, 2, 4),
            (3, 0, 0),
        ] {
            assert_eq!(at(x, y), COLOURS[expect], "{x} {y}");
        }
    }
}
