//! A frame: one block of every channel (RFC 9639, section 9).

use super::BLOCK;
use super::bits::{BitWriter, crc8, crc16};
use super::subframe::Subframe;

/// How two channels are told apart (section 4.2), by its code.
const LEFT_SIDE: u64 = 8;
const SIDE_RIGHT: u64 = 9;
const MID_SIDE: u64 = 10;
/// Sample rates that have a code, from code 1 on.
const RATES: [u32; 11] = [
    88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000,
];
/// The rate follows in Hz, in 16 bits.
const RATE_FOLLOWS: u64 = 13;
/// The rate stands in the stream's header alone.
const RATE_IN_HEADER: u64 = 0;
/// 4096 samples, and a size that follows in 16 bits.
const WHOLE_BLOCK: u64 = 12;
const SIZE_FOLLOWS: u64 = 7;

/// Appends a frame. `block` is `[channels][samples]` of `bits` bits, `number` counts frames from 0.
pub(super) fn write(out: &mut BitWriter, block: &[Vec<i32>], number: u64, rate: u32, bits: u32) {
    let start = out.bytes().len();
    let (assignment, subframes) = channels(block, bits);
    let samples = block.first().map_or(0, Vec::len);

    // The sync code and a fixed block size.
    out.put(0xFFF8, 16);
    let size = match samples {
        BLOCK => WHOLE_BLOCK,
        _ => SIZE_FOLLOWS,
    };
    out.put(size, 4);
    let known = (1..).zip(RATES).find(|(_, known)| *known == rate);
    let rate_code = match known {
        Some((code, _)) => code,
        None if rate <= u32::from(u16::MAX) => RATE_FOLLOWS,
        None => RATE_IN_HEADER,
    };
    out.put(rate_code, 4);
    out.put(assignment, 4);
    // 16 and 24 bits, and a reserved zero.
    out.put(if bits == 16 { 0b1000 } else { 0b1100 }, 4);
    put_number(out, number);
    if size == SIZE_FOLLOWS {
        out.put(samples as u64 - 1, 16);
    }
    if rate_code == RATE_FOLLOWS {
        out.put(rate.into(), 16);
    }
    let checksum = crc8(&out.bytes()[start..]);
    out.put(checksum.into(), 8);

    for subframe in &subframes {
        subframe.write(out);
    }
    out.align();
    let checksum = crc16(&out.bytes()[start..]);
    out.put(checksum.into(), 16);
}

/// The channels as they are, or of two the pair among left, right, middle and difference that takes the fewest bits.
fn channels(block: &[Vec<i32>], bits: u32) -> (u64, Vec<Subframe>) {
    let [left, right] = block else {
        let subframes = block.iter().map(|samples| Subframe::of(samples, bits));
        return (block.len() as u64 - 1, subframes.collect());
    };
    let pairs = || left.iter().zip(right);
    let middle: Vec<i32> = pairs().map(|(left, right)| (left + right) >> 1).collect();
    // The difference needs a bit more.
    let side: Vec<i32> = pairs().map(|(left, right)| left - right).collect();
    let (middle, side) = (Subframe::of(&middle, bits), Subframe::of(&side, bits + 1));
    let (left, right) = (Subframe::of(left, bits), Subframe::of(right, bits));
    let (l, r, m, s) = (left.bits(), right.bits(), middle.bits(), side.bits());
    let least = (l + r).min(l + s).min(s + r).min(m + s);
    // Independent channels win a draw.
    if least == l + r {
        (1, vec![left, right])
    } else if least == l + s {
        (LEFT_SIDE, vec![left, side])
    } else if least == s + r {
        (SIDE_RIGHT, vec![side, right])
    } else {
        (MID_SIDE, vec![middle, side])
    }
}

/// A number in one to seven bytes, as UTF-8 writes characters, up to 36 bits (section 9.1.5).
fn put_number(out: &mut BitWriter, number: u64) {
    if number < 0x80 {
        out.put(number, 8);
        return;
    }
    // A first byte of n ones and a zero has 7 - n bits of the number, each further one six.
    let bytes = (2_u32..7)
        .find(|bytes| number < 1_u64 << (5 * bytes + 1))
        .unwrap_or(7);
    let rest = 6 * (bytes - 1);
    let ones = !0_u64 << (8 - bytes);
    out.put(ones | number >> rest, 8);
    for shift in (0..rest).step_by(6).rev() {
        out.put(0x80 | number >> shift & 0x3F, 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u64) -> Vec<u8> {
        let mut out = BitWriter::default();
        put_number(&mut out, value);
        out.into_bytes()
    }

    #[test]
    fn numbers_are_written_as_utf8_writes_characters() {
        for character in [
            '\0',
            '\x7F',
            '\u{80}',
            '\u{7FF}',
            '\u{800}',
            '\u{FFFF}',
            '\u{10000}',
            '\u{10FFFF}',
        ] {
            let mut bytes = [0; 4];
            let expect = character.encode_utf8(&mut bytes).as_bytes();
            assert_eq!(number(u32::from(character).into()), expect, "{character:?}");
        }
        // Further than characters go.
        assert_eq!(number(0x3FF_FFFF), [0xFB, 0xBF, 0xBF, 0xBF, 0xBF]);
        assert_eq!(number(0x7FFF_FFFF), [0xFD, 0xBF, 0xBF, 0xBF, 0xBF, 0xBF]);
        assert_eq!(
            number(0xF_FFFF_FFFF),
            [0xFE, 0xBF, 0xBF, 0xBF, 0xBF, 0xBF, 0xBF]
        );
    }

    #[test]
    fn two_channels_are_told_apart_in_the_shortest_way() {
        let noise = |seed: i64, scale: i64| -> Vec<i32> {
            (0..64_i64)
                .map(|i| (((i * i * 7919 + i * seed) % 1009 - 504) * scale) as i32)
                .collect()
        };
        let add = |a: &[i32], b: &[i32]| a.iter().zip(b).map(|(a, b)| a + b).collect();
        let (wide, other, small) = (noise(31, 30), noise(577, 30), noise(103, 1));
        let loud: Vec<i32> = add(&wide, &small);
        let assignment =
            |left: &[i32], right: &[i32]| channels(&[left.to_vec(), right.to_vec()], 16).0;
        assert_eq!(assignment(&wide, &other), 1);
        assert_ne!(assignment(&wide, &loud), 1);
        // A constant difference takes next to nothing.
        let halves: (Vec<i32>, Vec<i32>) = wide.iter().map(|m| (m + 300, m - 300)).unzip();
        assert!(assignment(&halves.0, &halves.1) >= LEFT_SIDE);
    }
}
