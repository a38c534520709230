//! Numbers of bf16, and how they lie in memory.

/// Pairs in a line.
pub(super) const PAIRS: usize = 16;

/// Numbers in a line.
pub(super) const NUMBERS: usize = 2 * PAIRS;

/// Lines that hold a pair of rows of a panel of weights.
pub(super) const LINES: usize = 2;

/// Columns of the weights in a panel.
pub(super) const WIDTH: usize = PAIRS * LINES;

/// Sixteen pairs of bf16, as much as a vector register or a cache line holds. The number of a
/// pair that comes first in a sum is in the low half.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u32; PAIRS]);

impl Line {
    pub(super) const ZERO: Self = Self([0; PAIRS]);
}

/// The pair of two numbers.
pub(super) fn join(first: u16, second: u16) -> u32 {
    u32::from(first) | u32::from(second) << 16
}

/// The two numbers of a pair.
pub(super) fn part(pair: u32) -> [u16; 2] {
    [pair as u16, (pair >> 16) as u16]
}

/// The bits of the nearest bf16; of two as near, those that end in 0. What lies half a step or
/// more beyond the largest bf16 becomes infinite.
pub(super) fn round(number: f32) -> u16 {
    let bits = number.to_bits();
    let rounded = if number.is_nan() {
        // A NaN cut short may leave the bits of an infinity, so one bit that stays is set.
        bits | 1 << 22
    } else {
        bits + 0x7fff + (bits >> 16 & 1)
    };
    (rounded >> 16) as u16
}

/// The number that the bits of a bf16 stand for.
pub(super) fn widen(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_apart_again() {
        assert_eq!(join(0x3f80, 0xc040), 0xc040_3f80);
        assert_eq!(part(0xc040_3f80), [0x3f80, 0xc040]);
    }

    #[test]
    fn every_bf16_stays_what_it_is() {
        for bits in 0..=u16::MAX {
            let rounded = round(widen(bits));
            if widen(bits).is_nan() {
                assert!(widen(rounded).is_nan(), "{bits:x}");
            } else {
                assert_eq!(rounded, bits);
            }
        }
    }

    #[test]
    fn numbers_round_to_the_nearest_and_ties_to_even() {
        for sign in [0, 0x8000_0000] {
            for (bits, want) in [
                (0x3f80_7fff, 0x3f80),
                (0x3f80_8000, 0x3f80),
                (0x3f80_8001, 0x3f81),
                (0x3f81_7fff, 0x3f81),
                (0x3f81_8000, 0x3f82),
                // The next power of two, the largest number, and what lies beyond it.
                (0x3fff_8000, 0x4000),
                (0x7f7f_7fff, 0x7f7f),
                (0x7f7f_8000, 0x7f80),
                (0x7f7f_ffff, 0x7f80),
                (0x7f80_0000, 0x7f80),
                // Below the normal numbers.
                (0x0000_8000, 0x0000),
                (0x0000_8001, 0x0001),
                (0x007f_ffff, 0x0080),
                // NaN, also where its bits are all in the part that is cut off.
                (0x7f80_0001, 0x7fc0),
                (0x7fff_ffff, 0x7fff),
            ] {
                let got = round(f32::from_bits(sign | bits));
                assert_eq!(u32::from(got) << 16, sign | want << 16, "{bits:x}");
            }
        }
    }
}
