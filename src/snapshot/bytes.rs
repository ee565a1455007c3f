//! Numbers in bytes: what is written, and a reader that never goes beyond its end.
//!
//! Times are written as their distance from the snapshot's own time in a varint (LEB128, with the
//! sign in the lowest bit), which takes four bytes for a day where a number takes eight.

use super::SnapshotError;

/// Bits of a varint's byte that are not the sign of another byte.
const VARINT_BITS: u32 = 7;
const VARINT_MORE: u8 = 1 << VARINT_BITS;

pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= u64::from(VARINT_MORE) {
        out.push(number.to_le_bytes()[0] | VARINT_MORE);
        number >>= VARINT_BITS;
    }
    out.push(number.to_le_bytes()[0]);
}

pub(super) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_varint(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, the first of which stands at `at` of the file.
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Where in the file the next byte stands.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// What is wrong with what stands here.
    pub(super) const fn garbled(&self, what: &'static str) -> SnapshotError {
        SnapshotError::Garbled(what, self.at)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], SnapshotError> {
        let Some((taken, rest)) = self.bytes.split_at_checked(count) else {
            return Err(self.garbled("the end comes too early"));
        };
        (self.bytes, self.at) = (rest, self.at + count);
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.garbled("the end comes too early"))
    }

    pub(super) fn u8(&mut self) -> Result<u8, SnapshotError> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, SnapshotError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, SnapshotError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, SnapshotError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// `count` bytes of UTF-8.
    pub(super) fn text(&mut self, count: usize) -> Result<&'a str, SnapshotError> {
        let text = self.take(count)?;
        std::str::from_utf8(text).map_err(|_| self.garbled("a name that is no text"))
    }

    pub(super) fn varint(&mut self) -> Result<u64, SnapshotError> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(VARINT_BITS as usize) {
            let byte = self.u8()?;
            let bits = u64::from(byte & !VARINT_MORE);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & VARINT_MORE == 0 {
                return Ok(number);
            }
        }
        Err(self.garbled("a number that is too large"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, SnapshotError> {
        let number = self.varint()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_survive(number in any::<i64>(), shift in 0..64_u32) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            put_signed(&mut bytes, number);
            put_varint(&mut bytes, number.cast_unsigned());
            let mut reader = Reader::new(&bytes, 0);
            prop_assert_eq!(reader.signed().unwrap(), number);
            prop_assert_eq!(reader.varint().unwrap(), number.cast_unsigned());
            prop_assert!(reader.is_empty() && reader.at() == bytes.len());
        }
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused() {
        for bytes in [&[0xFF; 9][..], &[0xFF; 10], &[0xFF; 11]] {
            assert!(Reader::new(bytes, 0).varint().is_err());
        }
        let mut two_to_the_64 = [0x80; 10];
        two_to_the_64[9] = 2;
        assert!(Reader::new(&two_to_the_64, 0).varint().is_err());
    }
}
