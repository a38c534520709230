//! Pixels as a backend of plotters, with text from our own glyphs: plotters' bitmap backend asks for fonts.

use std::convert::Infallible;

use plotters::prelude::{DrawingBackend, IntoDrawingArea};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendTextStyle, DrawingErrorKind};

use super::panel::{Content, Drawn, Inside, Panel};
use super::{PictureSize, axes, glyphs, png};

type Outcome<T = ()> = Result<T, DrawingErrorKind<Infallible>>;

/// `[height][width][red, green, blue]`.
struct Pixels {
    values: Vec<u8>,
    width: u32,
    height: u32,
}

/// The file's bytes.
pub(super) fn draw(panels: &[Panel], size: PictureSize) -> Drawn<Vec<u8>> {
    let height = size.height * panels.len() as u32;
    let mut pixels = Pixels::white(size.width, height);
    let insides = axes::draw(&Canvas(&mut pixels).into_drawing_area(), panels)?;
    for (panel, inside) in panels.iter().zip(insides) {
        if let Content::Heat(heat) = &panel.content {
            pixels.place(&heat.pixels(inside.width, inside.height), inside);
        }
    }
    Ok(png::encode(&pixels.values, size.width, height)?)
}

impl Pixels {
    fn white(width: u32, height: u32) -> Self {
        Self {
            values: vec![255; width as usize * height as usize * 3],
            width,
            height,
        }
    }

    /// The three values of a pixel, or none outside.
    fn at(&mut self, (x, y): BackendCoord) -> Option<&mut [u8]> {
        let (x, y) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
        if x >= self.width || y >= self.height {
            return None;
        }
        let start = 3 * (y as usize * self.width as usize + x as usize);
        self.values.get_mut(start..start + 3)
    }

    /// Puts an image, `[height][width][red, green, blue]`, in its place.
    fn place(&mut self, image: &[u8], inside: Inside) {
        let width = inside.width as usize * 3;
        for (row, values) in image.chunks(width).enumerate() {
            let y = inside.top as usize + row;
            let start = 3 * (y * self.width as usize + inside.left as usize);
            self.values[start..start + width].copy_from_slice(values);
        }
    }
}

/// What plotters draws on; lines and areas it breaks down to pixels itself.
struct Canvas<'a>(&'a mut Pixels);

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.0.width, self.0.height)
    }

    fn ensure_prepared(&mut self) -> Outcome {
        Ok(())
    }

    fn present(&mut self) -> Outcome {
        Ok(())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Outcome {
        let (red, green, blue) = color.rgb;
        if let Some(pixel) = self.0.at(point) {
            for (value, new) in pixel.iter_mut().zip([red, green, blue]) {
                let mixed = f64::from(*value) * (1.0 - color.alpha) + f64::from(new) * color.alpha;
                *value = mixed.round() as u8;
            }
        }
        Ok(())
    }

    /// Upright, whatever the style's direction.
    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        pos: BackendCoord,
    ) -> Outcome {
        let (width, height) = glyphs::size(text);
        let left = match style.anchor().h_pos {
            HPos::Left => pos.0,
            HPos::Center => pos.0 - width / 2,
            HPos::Right => pos.0 - width,
        };
        let top = match style.anchor().v_pos {
            VPos::Top => pos.1,
            VPos::Center => pos.1 - height / 2,
            VPos::Bottom => pos.1 - height,
        };
        let color = style.color();
        glyphs::dots(text).try_for_each(|(x, y)| self.draw_pixel((left + x, top + y), color))
    }

    fn estimate_text_size<S: BackendTextStyle>(&self, text: &str, _: &S) -> Outcome<(u32, u32)> {
        let (width, height) = glyphs::size(text);
        Ok((width.unsigned_abs(), height.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_mix_and_stay_inside() {
        let mut pixels = Pixels::white(3, 2);
        let mut canvas = Canvas(&mut pixels);
        let color = |alpha| BackendColor {
            alpha,
            rgb: (55, 155, 255),
        };
        for point in [(-1, 0), (3, 0), (0, 2), (0, -1), (i32::MAX, i32::MIN)] {
            assert!(canvas.draw_pixel(point, color(1.0)).is_ok());
        }
        assert!(canvas.draw_pixel((1, 1), color(1.0)).is_ok());
        assert!(canvas.draw_pixel((2, 0), color(0.5)).is_ok());
        let mut expect = vec![255; 18];
        expect[12..15].copy_from_slice(&[55, 155, 255]);
        expect[6..9].copy_from_slice(&[155, 205, 255]);
        assert_eq!(pixels.values, expect);
    }

    #[test]
    fn images_are_placed() {
        let mut pixels = Pixels::white(4, 3);
        let inside = Inside {
            left: 1,
            top: 1,
            width: 2,
            height: 2,
        };
        pixels.place(&[7; 12], inside);
        let dark: Vec<usize> = (0..12).filter(|i| pixels.values[3 * i] == 7).collect();
        assert_eq!(dark, [5, 6, 9, 10]);
    }
}
