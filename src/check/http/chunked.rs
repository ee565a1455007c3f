//! Takes the chunks of a body apart as they come (RFC 9112, 7.1): sizes, extensions and trailers
//! are passed over, and nothing is kept but a place and a number.
//!
//! LF alone ends a line, as in heads. What is no data is bounded, so that a body of extensions ends
//! too.

use crate::outcome::Cause;

/// Digits of a size; more would not fit.
const DIGITS_MAX: u8 = 16;
/// Bytes that are no data: eight times what 64 KiB in chunks of one byte need.
const FRAMING_BYTES_MAX: u32 = 8 * 5 * 64 * 1_024;

/// How far the chunks have come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunks {
    at: At,
    /// The chunk's size as far as it has come, then what is left of it.
    left: u64,
    /// Bytes that were no data.
    framing: u32,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug)]
enum At {
    /// A digit of a size, after so many, or what ends it.
    Size(u8),
    /// Part of an extension, or the end of its line.
    Extension,
    /// The LF behind a size.
    SizeLf,
    /// Data.
    Data,
    /// The line end behind the data.
    DataEnd,
    /// Its LF.
    DataLf,
    /// The first byte of a trailer, or of the empty line that is the end.
    TrailerStart,
    /// Part of a trailer.
    Trailer,
    /// The LF of the empty line.
    LastLf,
}

impl Default for At {
    fn default() -> Self {
        Self::Size(0)
    }
}

impl Chunks {
    /// Takes the next bytes and hands their data on. What comes behind the last chunk, once it is
    /// over; then no more may be fed.
    ///
    /// # Errors
    /// [`Cause::BadChunk`] where these are no chunks.
    pub(super) fn take<'a>(
        &mut self,
        mut bytes: &'a [u8],
        mut data: impl FnMut(&[u8]),
    ) -> Result<Option<&'a [u8]>, Cause> {
        while let Some((&byte, after)) = bytes.split_first() {
            if matches!(self.at, At::Data) {
                let all = usize::try_from(self.left).unwrap_or(usize::MAX);
                let (piece, behind) = bytes.split_at(all.min(bytes.len()));
                data(piece);
                self.left -= piece.len() as u64;
                if self.left == 0 {
                    self.at = At::DataEnd;
                }
                bytes = behind;
                continue;
            }
            bytes = after;
            self.framing += 1;
            match self.step(byte) {
                Some(_) if self.framing > FRAMING_BYTES_MAX => return Err(Cause::BadChunk),
                Some(Step::On(at)) => self.at = at,
                Some(Step::Over) => return Ok(Some(bytes)),
                None => return Err(Cause::BadChunk),
            }
        }
        Ok(None)
    }

    /// What comes after `byte`, which is no data.
    fn step(&mut self, byte: u8) -> Option<Step> {
        Some(Step::On(match (self.at, byte) {
            (At::Size(DIGITS_MAX), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => return None,
            (At::Size(digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.left = self.left << 4 | u64::from(digit);
                At::Size(digits + 1)
            }
            (At::Size(1..), b';' | b' ' | b'\t') => At::Extension,
            (At::Size(1..) | At::Extension, b'\r') => At::SizeLf,
            (At::Size(1..) | At::Extension | At::SizeLf, b'\n') => self.begin(),
            (At::Extension, _) => At::Extension,
            (At::DataEnd, b'\r') => At::DataLf,
            (At::DataEnd | At::DataLf, b'\n') => At::Size(0),
            (At::TrailerStart, b'\r') => At::LastLf,
            (At::TrailerStart | At::LastLf, b'\n') => return Some(Step::Over),
            (At::Trailer, b'\n') => At::TrailerStart,
            (At::TrailerStart | At::Trailer, _) => At::Trailer,
            (At::Size(_) | At::SizeLf | At::DataEnd | At::DataLf | At::LastLf | At::Data, _) => {
                return None;
            }
        }))
    }

    /// The size is known.
    const fn begin(&self) -> At {
        if self.left == 0 { At::TrailerStart } else { At::Data }
    }
}

/// What a byte leads to.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Go on there.
    On(At),
    /// The chunks are over.
    Over,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data, and what came of it: what lies behind, or that it goes on.
    fn run(bytes: &[u8], piece: usize) -> (Vec<u8>, Result<Option<Vec<u8>>, Cause>) {
        let (mut chunks, mut data) = (Chunks::default(), Vec::new());
        let mut at = 0;
        for part in bytes.chunks(piece) {
            at += part.len();
            match chunks.take(part, |piece| data.extend_from_slice(piece)) {
                Ok(None) => {}
                Ok(Some(behind)) => {
                    let behind = bytes[at - behind.len()..].to_vec();
                    return (data, Ok(Some(behind)));
                }
                Err(cause) => return (data, Err(cause)),
            }
        }
        (data, Ok(None))
    }

    #[test]
    #[rustfmt::skip]
    fn data_comes_out_however_it_is_cut() {
        let over = |behind: &str| Ok(Some(behind.as_bytes().to_vec()));
        let bad = || Err(Cause::BadChunk);
        let table = [
            ("2\r\nhi\r\n0\r\n\r\n",                      "hi",    over("")),
            ("2\nhi\n0\n\nrest",                          "hi",    over("rest")),
            ("1;a=b\r\nh\r\n1 ; c\r\ni\r\n0\r\n\r\n",     "hi",    over("")),
            ("00A\r\n0123456789\r\n0\r\na: b\r\nc\r\n\r\nx", "0123456789", over("x")),
            ("0\r\n\r\n",                                 "",      over("")),
            ("2\r\nh",                                    "h",     Ok(None)),
            ("2\r\nhi\r\n0\r\n",                          "hi",    Ok(None)),
            ("\r\n",                                      "",      bad()),
            ("x\r\n",                                     "",      bad()),
            ("-1\r\n",                                    "",      bad()),
            (" 1\r\n",                                    "",      bad()),
            ("2\rhi",                                     "",      bad()),
            ("2\r\nhix",                                  "hi",    bad()),
            ("2\r\nhi\r0",                                "hi",    bad()),
            ("0\r\n\rx",                                  "",      bad()),
            ("ffffffffffffffff\r\nhi",                    "hi",    Ok(None)),
            ("00000000000000001\r\nh",                    "",      bad()),
        ];
        for (bytes, data, then) in table {
            for piece in [1, 2, 3, 7, 100] {
                let expected = (data.as_bytes().to_vec(), then.clone());
                assert_eq!(run(bytes.as_bytes(), piece), expected, "{bytes:?} by {piece}");
            }
        }
    }

    #[test]
    fn what_is_no_data_is_bounded() {
        let endless = vec![b'x'; FRAMING_BYTES_MAX as usize];
        assert_eq!(run(&[b"1;", &endless[..]].concat(), 2_048).1, Err(Cause::BadChunk));
        let ones = b"1\r\nx\r\n".repeat(64 * 1_024);
        assert_eq!(run(&ones, 2_048), (vec![b'x'; 64 * 1_024], Ok(None)));
    }
}
