//! The figures and letters of axes, 5 by 7 dots, each drawn as a square of pixels.

/// Pixels of a dot's side.
const DOT: i32 = 2;
const WIDTH: i32 = 5;
const HEIGHT: i32 = 7;
/// Dots between characters.
const GAP: i32 = 1;

/// Rows from the top, `#` where there is ink; what is not drawn here is blank.
static GLYPHS: [(char, &str); 15] = [
    ('0', ".###. #...# #..## #.#.# ##..# #...# .###."),
    ('1', "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###."),
    ('2', ".###. #...# ....# ..##. .#... #.... #####"),
    ('3', ".###. #...# ....# ..##. ....# #...# .###."),
    ('4', "...#. ..##. .#.#. #..#. ##### ...#. ...#."),
    ('5', "##### #.... ####. ....# ....# #...# .###."),
    ('6', ".###. #.... #.... ####. #...# #...# .###."),
    ('7', "##### ....# ...#. ...#. ..#.. ..#.. ..#.."),
    ('8', ".###. #...# #...# .###. #...# #...# .###."),
    ('9', ".###. #...# #...# .#### ....# ....# .###."),
    ('.', "..... ..... ..... ..... ..... .##.. .##.."),
    ('-', "..... ..... ..... ####. ..... ..... ....."),
    ('H', "#...# #...# #...# ##### #...# #...# #...#"),
    ('s', "..... ..... .#### #.... .###. ....# ####."),
    ('z', "..... ..... ##### ...#. ..#.. .#... #####"),
];

/// Width and height of a line of text, in pixels.
pub(super) fn size(text: &str) -> (i32, i32) {
    let count = text.chars().count() as i32;
    let dots = count * (WIDTH + GAP) - if count > 0 { GAP } else { 0 };
    (dots * DOT, HEIGHT * DOT)
}

/// The pixels of a line of text, from its upper left corner.
pub(super) fn dots(text: &str) -> impl Iterator<Item = (i32, i32)> {
    text.chars().zip(0..).flat_map(|(character, place)| {
        let glyph = GLYPHS.iter().find(|(known, _)| *known == character);
        let rows = glyph.map_or("", |(_, rows)| *rows).split(' ').zip(0..);
        rows.flat_map(move |(row, y)| {
            let inked = row.chars().zip(0..).filter(|(dot, _)| *dot == '#');
            inked.flat_map(move |(_, x)| {
                let (left, top) = ((place * (WIDTH + GAP) + x) * DOT, y * DOT);
                (0..DOT * DOT).map(move |i| (left + i % DOT, top + i / DOT))
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_glyph_is_whole_and_different() {
        for (character, rows) in GLYPHS {
            let widths: Vec<_> = rows.split(' ').map(str::len).collect();
            assert_eq!(widths, [WIDTH as usize; HEIGHT as usize], "{character}");
        }
        let drawings: BTreeSet<_> = GLYPHS.iter().map(|(_, rows)| rows).collect();
        assert_eq!(drawings.len(), GLYPHS.len());
    }

    #[test]
    fn dots_stay_within_the_size_and_are_said_once() {
        let text = "-4000.5 Hz";
        let (width, height) = size(text);
        let all: Vec<_> = dots(text).collect();
        let inside = |(x, y): &(i32, i32)| (0..width).contains(x) && (0..height).contains(y);
        assert!(all.iter().all(inside));
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        // The right edge of the last letter is reached.
        assert!(all.iter().any(|(x, _)| *x == width - 1));
        assert_eq!((size(""), dots(" é").count()), ((0, 14), 0));
    }
}
