//! Bits most significant first, and the checksums of a frame (RFC 9639, sections 9.1.8 and 9.3).

/// Bytes with a last one in the making.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that do not fill a byte yet, in the lowest places.
    pending: u64,
    /// How many, below 8.
    count: u32,
}

impl BitWriter {
    /// Appends the lowest `width` bits of `value`, at most 56; higher ones are dropped.
    pub(super) fn put(&mut self, value: u64, width: u32) {
        debug_assert!(width <= 56);
        self.pending = self.pending << width | value & ((1 << width) - 1);
        self.count += width;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.pending >> self.count) as u8);
        }
        self.pending &= (1 << self.count) - 1;
    }

    /// Appends a number of `width` bits in two's complement.
    pub(super) fn put_signed(&mut self, value: i32, width: u32) {
        self.put(i64::from(value) as u64, width);
    }

    /// Appends `zeros` zeros and a one.
    pub(super) fn put_unary(&mut self, zeros: u32) {
        let mut left = zeros;
        while left >= 32 {
            self.put(0, 32);
            left -= 32;
        }
        self.put(1, left + 1);
    }

    /// Appends whole bytes; the last one must be full.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.count, 0);
        self.bytes.extend_from_slice(bytes);
    }

    /// Fills the last byte with zeros.
    pub(super) fn align(&mut self) {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }

    /// The bytes that are full.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.align();
        self.bytes
    }
}

/// x^8 + x^2 + x + 1, from zero: of a frame's header.
pub(super) fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| {
            crc << 1 ^ if crc & 0x80 == 0 { 0 } else { 0x07 }
        })
    })
}

/// x^16 + x^15 + x^2 + 1, from zero: of a whole frame.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc: u16, _| {
            crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x8005 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_follow_each_other() {
        let mut bits = BitWriter::default();
        bits.put(0b101, 3);
        bits.put(0xFFFF_FF00, 5); // only the lowest five
        bits.put_signed(-2, 7);
        bits.put_unary(3);
        bits.align();
        assert_eq!(bits.bytes(), [0b1010_0000, 0b1111_1100, 0b0010_0000]);
        bits.put_unary(71);
        assert_eq!(bits.bytes()[3..], [0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    /// The check values of CRC-8/SMBUS and CRC-16/UMTS in the catalogue of CRC algorithms.
    #[test]
    fn checksums_have_their_check_values() {
        assert_eq!(crc8(b"123456789"), 0xF4);
        assert_eq!(crc16(b"123456789"), 0xFEE8);
    }
}
