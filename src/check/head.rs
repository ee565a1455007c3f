//! Judges the head of an HTTP/1 response as its bytes come: valid so far, complete, or not a
//! response.
//!
//! Parsing is httparse's. What it does not give is here:
//!
//! - **Status lines** are read by a few lines of our own, because httparse refuses some that a
//!   check must take (DESIGN 3.6): `HTTP/1.7`, and control characters in a reason phrase.
//! - **Pieces.** httparse reads a head from its beginning, so a target that sends it byte by byte
//!   could make us read all of it for every byte. So only the header line that has not ended yet is
//!   kept. Whole lines go to httparse at once, behind a status line of ours (and behind a header of
//!   ours, unless they are the first, because they may begin with a fold), and are then forgotten.
//! - **Limits.** A NUL or the byte that is too much ends the head wherever it comes, but what was
//!   wrong before it is what is told.
//!
//! How the bytes were cut on their way does not matter: a line is judged when it ends, or when
//! nothing comes any more. An answer whose first piece holds the whole head, which is nearly every
//! one, is handed to httparse as it lies there, and nothing is copied.
//!
//! Bounds, whatever a target sends: a byte is parsed three times at most (as part of the first
//! piece, of whole lines, of a last line that never ended); httparse begins anew once per piece
//! with a line end; a head that follows a skipped one in the same piece is copied once more for
//! each; and a probe keeps 32 KiB at most, of which 4 KiB outlive it.

use crate::limits::HTTP_HEAD_BYTES_MAX;
use crate::outcome::Cause;
use httparse::{Error, Header, ParserConfig, Response, Status};
use std::mem::MaybeUninit;

/// What a status line begins with: `d` is any digit, `h` one of 1-5, all else is itself.
const SHAPE: &[u8; 12] = b"HTTP/1.d hdd";
/// Bytes of [`SHAPE`] that say that this is HTTP at all.
const PROTOCOL: u8 = 5;
/// Where the status stands in [`SHAPE`].
const STATUS: u8 = 9;

/// What httparse is shown before the first header line.
const BEFORE_FIRST: &[u8] = b"HTTP/1.1 200\r\n";
/// What httparse is shown before later lines, of which the first may be a fold.
const BEFORE_NEXT: &[u8] = b"HTTP/1.1 200\r\na: b\r\n";
/// Bytes of the shortest header line, `a:` and LF.
const HEADER_BYTES_MIN: usize = 3;
/// Headers that httparse has room for without an allocation.
const HEADERS_USUAL: usize = 64;
/// Bytes of memory that a [`Head`] keeps for its next run.
const KEPT_BYTES_MAX: usize = 4 * 1_024;

/// The heads of one probe: those of skipped 1xx answers, then the final one.
#[derive(Debug, Default)]
pub struct Head {
    at: At,
    /// The status, as far as it has come.
    status: u16,
    /// Bytes of all heads so far, at most [`HTTP_HEAD_BYTES_MAX`].
    bytes: u32,
    /// At [`At::Headers`]: one of [`BEFORE_FIRST`] and [`BEFORE_NEXT`], then the line that has not
    /// ended yet. Else empty.
    line: Vec<u8>,
}

/// The end of the final head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complete {
    /// Its status.
    pub status: u16,
    /// How many of the bytes with which it was complete are part of it; the body's follow.
    pub len: usize,
}

/// What the next byte is.
#[derive(Clone, Copy, Debug)]
enum At {
    /// This byte of [`SHAPE`]; instead of the first one there may be an empty line.
    Shape(u8),
    /// The LF of an empty line before the status line.
    EmptyLf,
    /// After the status: a blank, or the end of the line.
    AfterStatus,
    /// The reason phrase, or the end of the line.
    Reason,
    /// The LF of the status line.
    ReasonLf,
    /// One of the header lines, or of the empty line that ends the head.
    Headers,
}

impl Default for At {
    fn default() -> Self {
        Self::Shape(0)
    }
}

impl Head {
    /// Forgets all that came, but keeps a little memory.
    pub fn restart(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        line.shrink_to(KEPT_BYTES_MAX);
        *self = Self { line, ..Self::default() };
    }

    /// Takes the next bytes. Says where the final head ends once it is complete; nothing as long as
    /// there is more to come.
    ///
    /// # Errors
    /// What makes this not a response. No more bytes may be fed then.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<Complete>, Cause> {
        let room = HTTP_HEAD_BYTES_MAX - self.bytes as usize;
        let within = &bytes[..bytes.len().min(room)];
        if self.bytes == 0
            && let Some(complete) = whole(within)
        {
            return Ok(Some(complete));
        }
        let text = within.split(|&byte| byte == 0).next().unwrap_or_default();
        let mut rest = text;
        while let Some((&byte, after)) = rest.split_first() {
            if !matches!(self.at, At::Headers) {
                self.at = self.step(byte)?;
                rest = after;
            } else if let Some(behind) = self.header_lines(rest)? {
                if is_final(self.status) {
                    let len = text.len() - behind.len();
                    return Ok(Some(Complete { status: self.status, len }));
                }
                (self.at, self.status, rest) = (At::default(), 0, behind);
            } else {
                break;
            }
        }
        // It stays below its bound, which fits.
        self.bytes = self.bytes.saturating_add(u32::try_from(within.len()).unwrap_or(u32::MAX));
        if text.len() < within.len() {
            self.cut().and(Err(Cause::NulByte))
        } else if bytes.len() > room {
            self.cut().and(Err(Cause::HeadTooLong))
        } else {
            Ok(None)
        }
    }

    /// Judges the header line that has not ended, because nothing more comes.
    ///
    /// # Errors
    /// What makes this not a response.
    pub fn cut(&self) -> Result<(), Cause> {
        parse(&self.line).map(|_| ()).map_err(|_| Cause::BadHeader)
    }

    /// What comes after `byte` of a status line, or of an empty line before it.
    fn step(&mut self, byte: u8) -> Result<At, Cause> {
        Ok(match (self.at, byte) {
            (At::Shape(0), b'\r') => At::EmptyLf,
            (At::Shape(0) | At::EmptyLf, b'\n') => At::Shape(0),
            (At::Shape(index), _) => return self.shape(index, byte),
            (At::EmptyLf, _) => return Err(Cause::NotHttp),
            (At::AfterStatus, b' ') => At::Reason,
            (At::AfterStatus | At::Reason, b'\r') => At::ReasonLf,
            (At::AfterStatus | At::Reason | At::ReasonLf, b'\n') => {
                self.line.extend_from_slice(BEFORE_FIRST);
                At::Headers
            }
            (At::Reason, _) => At::Reason,
            (At::AfterStatus | At::ReasonLf, _) => return Err(Cause::BadStatusLine),
            (At::Headers, _) => At::Headers,
        })
    }

    fn shape(&mut self, index: u8, byte: u8) -> Result<At, Cause> {
        let wanted = SHAPE[usize::from(index)];
        let fits = match wanted {
            b'h' => matches!(byte, b'1'..=b'5'),
            b'd' => byte.is_ascii_digit(),
            _ => byte == wanted,
        };
        match (fits, index) {
            (false, ..PROTOCOL) => return Err(Cause::NotHttp),
            (false, _) => return Err(Cause::BadStatusLine),
            (true, ..STATUS) => {}
            (true, _) => self.status = self.status * 10 + u16::from(byte - b'0'),
        }
        let next = index + 1;
        Ok(if usize::from(next) == SHAPE.len() { At::AfterStatus } else { At::Shape(next) })
    }

    /// Takes bytes of header lines and judges those that have ended. What comes behind the head
    /// where it ends in these bytes.
    fn header_lines<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, Cause> {
        let ended = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        if ended == 0 {
            self.line.extend_from_slice(bytes);
            return Ok(None);
        }
        let before = self.line.len();
        self.line.extend_from_slice(&bytes[..ended]);
        let parsed = parse(&self.line).map_err(|_| Cause::BadHeader)?;
        self.line.clear();
        Ok(if let Some((len, _)) = parsed {
            // Not before: a head ends with an LF, and there was none.
            Some(&bytes[len - before..])
        } else {
            self.line.extend_from_slice(BEFORE_NEXT);
            self.line.extend_from_slice(&bytes[ended..]);
            None
        })
    }
}

/// The final head that `bytes` begin with, if all of it is there and httparse takes it as it is.
fn whole(bytes: &[u8]) -> Option<Complete> {
    let (len, status) = parse(bytes).ok()??;
    ((100..600).contains(&status) && is_final(status)).then_some(Complete { status, len })
}

/// Length and status of the head that `bytes` begin with; none if it does not end in them.
fn parse(bytes: &[u8]) -> Result<Option<(usize, u16)>, Error> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_USUAL];
    match parse_into(bytes, &mut headers) {
        Err(Error::TooManyHeaders) => {
            let mut headers = Vec::with_capacity(bytes.len() / HEADER_BYTES_MIN);
            parse_into(bytes, headers.spare_capacity_mut())
        }
        parsed => parsed,
    }
}

fn parse_into<'a>(
    bytes: &'a [u8],
    headers: &mut [MaybeUninit<Header<'a>>],
) -> Result<Option<(usize, u16)>, Error> {
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default()
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .parse_response_with_uninit_headers(&mut response, bytes, headers)?;
    Ok(match parsed {
        Status::Complete(len) => response.code.map(|status| (len, status)),
        Status::Partial => None,
    })
}

/// Whether an answer of this status is the last one: 1xx are not, but 101 ends HTTP on its
/// connection.
const fn is_final(status: u16) -> bool {
    status >= 200 || status == 101
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_head_needs_no_memory() {
        let mut head = Head::default();
        let complete = Complete { status: 204, len: 33 };
        assert_eq!(head.take(b"HTTP/1.1 204 No Content\r\na: b\r\n\r\n"), Ok(Some(complete)));
        assert_eq!(head.line.capacity(), 0);
    }

    #[test]
    fn memory_is_used_again_if_it_is_little() {
        let mut head = Head::default();
        let mut run = |len: usize| {
            head.restart();
            assert_eq!(head.take(b"HTTP/1.1 200 OK\r\na: "), Ok(None));
            assert_eq!(head.take(&vec![b'x'; len]), Ok(None));
            let during = (head.line.as_ptr(), head.line.capacity());
            head.restart();
            (during, (head.line.as_ptr(), head.line.capacity()))
        };
        let (small, kept) = run(2_000);
        assert_eq!(small, kept);
        assert_eq!(run(1_000).0, small, "no allocation");
        let (large, kept) = run(16_000);
        assert!((16_000..=32_768).contains(&large.1), "{large:?}");
        assert!((1..=KEPT_BYTES_MAX).contains(&kept.1), "{kept:?}");
    }

    #[test]
    fn lines_that_ended_are_forgotten() {
        let mut head = Head::default();
        assert_eq!(head.take(b"HTTP/1.1 200 OK\r\n"), Ok(None));
        for _ in 0..400 {
            assert_eq!(head.take(b"name: a value of some length\r\n fo"), Ok(None));
            assert_eq!(head.line.len(), BEFORE_NEXT.len() + 3);
            assert_eq!(head.take(b"ld\r\n"), Ok(None));
            assert_eq!(head.line.len(), BEFORE_NEXT.len());
        }
    }
}
