//! Where one TLS record ends and the next begins, so that the library is given one at a time: then
//! it is known how long the record was that a session came in, and at which one the handshake was
//! done. And what is no record at all is told apart from a broken one.

/// Bytes of a record's header: type, version, length.
const HEADER: usize = 5;
/// The types of records that there are (RFC 8446, 5.1; RFC 6520), and the first byte of every
/// version from SSL 3 on.
const TYPES: std::ops::RangeInclusive<u8> = 20..=24;
const VERSION: u8 = 3;

/// Reads the headers of the records that come.
#[derive(Debug, Default)]
pub(super) struct Records {
    header: [u8; HEADER],
    /// Bytes of the header that have come.
    known: usize,
    /// Bytes of the record that have not come, once its header is known.
    left: usize,
}

/// What came is no record of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRecord;

impl Records {
    /// How many of `bytes` belong to the record at hand, and the length of that record with its
    /// header if its end is among them.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<(usize, Option<usize>), NoRecord> {
        let more = bytes.len().min(HEADER - self.known);
        self.header[self.known..self.known + more].copy_from_slice(&bytes[..more]);
        let was_known = self.known == HEADER;
        self.known += more;
        let right = [TYPES.contains(&self.header[0]), self.header[1] == VERSION];
        if right.iter().take(self.known).any(|&right| !right) {
            return Err(NoRecord);
        }
        if self.known < HEADER {
            return Ok((more, None));
        }
        let length = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
        if !was_known {
            self.left = length;
        }
        let rest = (bytes.len() - more).min(self.left);
        self.left -= rest;
        if self.left > 0 {
            return Ok((more + rest, None));
        }
        self.known = 0;
        Ok((more + rest, Some(HEADER + length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_end_where_they_say_however_they_come() {
        let stream = b"\x16\x03\x01\0\x03abc\x17\x03\x03\0\0\x15\x03\x03\0\x02de";
        for size in 1..=stream.len() {
            let (mut records, mut found) = (Records::default(), Vec::new());
            for mut piece in stream.chunks(size) {
                while !piece.is_empty() {
                    let (taken, ended) = records.next(piece).unwrap();
                    assert!(taken > 0);
                    found.extend(ended);
                    piece = &piece[taken..];
                }
            }
            assert_eq!(found, [8, 5, 7], "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_record_is_seen_by_its_first_bytes() {
        for bytes in [&b"H"[..], b"SSH-2.0", b"\x16\x02", b"\0\0\0\0\0", b"\x19\x03\x03\0\0"] {
            assert_eq!(Records::default().next(bytes), Err(NoRecord), "{bytes:?}");
        }
        let mut records = Records::default();
        assert_eq!(records.next(b"\x16"), Ok((1, None)));
        assert_eq!(records.next(b"H"), Err(NoRecord), "also byte by byte");
    }
}
