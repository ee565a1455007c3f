//! The internet checksum (RFC 1071), for those who write TCP headers themselves.

/// Sum of the 16-bit words of an even number of bytes, few enough that it does not overflow: some
/// 128 KiB. Sums of parts add up.
#[must_use]
pub fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum()
}

/// The checksum of what was summed up; of a packet with its right checksum, 0.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "folded to 16 bits in the loop")]
pub const fn fold(mut sum: u32) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        // RFC 1071, section 3.
        let bytes = [0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7];
        assert_eq!((sum(&bytes), fold(sum(&bytes))), (0x2_DDF0, !0xDDF2));
        assert_eq!(fold(sum(&bytes) + u32::from(!0xDDF2_u16)), 0);
        assert_eq!((sum(&[]), fold(0), fold(u32::MAX)), (0, 0xFFFF, 0));
    }
}
