//! Samples as integers: full scale is a power of two, as in reading, so that what was read comes back bit for bit.

/// 16 bits, clipped and rounded to nearest; the cast saturates.
pub(crate) fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

/// 24 bits, clipped and rounded to nearest.
pub(crate) fn to_i24(sample: f32) -> i32 {
    const FULL: f32 = 8_388_608.0;
    (sample * FULL).round().clamp(-FULL, FULL - 1.0) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipped_and_rounded_to_nearest() {
        let cases = [
            (0.0, 0),
            (1.0, i16::MAX),
            (-1.0, i16::MIN),
            (1.5, i16::MAX),
            (-7.0, i16::MIN),
            (0.5, 16384),
            (1.4 / 32768.0, 1),
            (1.6 / 32768.0, 2),
            (-1.6 / 32768.0, -2),
            (32766.6 / 32768.0, 32767),
        ];
        for (sample, expect) in cases {
            assert_eq!(to_i16(sample), expect, "{sample}");
        }
    }

    #[test]
    fn all_of_24_bits_come_back() {
        const MOST: i32 = 8_388_607;
        let cases = [
            (1.0, MOST),
            (-1.0, -MOST - 1),
            (7.5, MOST),
            (-7.5, -MOST - 1),
            (0.5, 1 << 22),
            (1.4 / 8_388_608.0, 1),
            (-1.6 / 8_388_608.0, -2),
        ];
        for (sample, expect) in cases {
            assert_eq!(to_i24(sample), expect, "{sample}");
        }
        for value in (-MOST - 1..=MOST).step_by(997).chain([MOST]) {
            assert_eq!(to_i24(value as f32 / 8_388_608.0), value);
        }
    }
}
