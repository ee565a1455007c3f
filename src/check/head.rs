//! Judges the head of an HTTP/1 response as its bytes come: valid so far, complete, or not a
//! response.
//!
//! A health check wants two things of a head: its status and its end. So this is a state machine
//! over the bytes that keeps the status and forgets the rest: no buffer, no copy, no limit on the
//! number of headers, each byte looked at once however slowly the target sends. How the bytes were
//! cut on their way cannot matter, because no decision looks ahead.
//!
//! A parser of whole heads (httparse) would need a buffer per probe and another look at all of it
//! for every piece that comes, and refuses what a check must take (DESIGN 3.6): `HTTP/1.7`, and
//! control characters in a reason phrase. Everywhere else `tests/http.rs` holds this one to its
//! judgement.
//!
//! The grammar is that of RFC 9112, and where that lets a recipient be lenient, this is: an LF
//! alone ends a line (2.2), empty lines come before the status line (2.2), lines are folded (5.2),
//! a blank stands before the colon (5.1).

use crate::limits::HTTP_HEAD_BYTES_MAX;
use crate::outcome::Cause;

/// What a status line begins with: `d` is any digit, `h` one of 1-5, all else is itself.
const SHAPE: &[u8; 12] = b"HTTP/1.d hdd";
/// Bytes of [`SHAPE`] that say that this is HTTP at all.
const PROTOCOL: u8 = 5;
/// Where the status stands in [`SHAPE`].
const STATUS: u8 = 9;

/// The heads of one probe: those of skipped 1xx answers, then the final one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head {
    at: At,
    /// The status, as far as it has come.
    status: u16,
    /// Bytes of all heads so far, at most [`HTTP_HEAD_BYTES_MAX`].
    bytes: usize,
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
    /// The first header line, or the empty line that ends the head.
    FirstLine,
    /// Another header line, the fold of the one before, or the empty line.
    NextLine,
    /// The name of a header, of which there is one byte at least, or what comes behind it.
    Name,
    /// A blank between name and colon, or the colon.
    Colon,
    /// The value of a header, or the end of the line.
    Value,
    /// The LF of a header line.
    ValueLf,
    /// The LF of the empty line that ends the head.
    EndLf,
}

impl Default for At {
    fn default() -> Self {
        Self::Shape(0)
    }
}

impl Head {
    /// Takes the next bytes. The status once the final head is complete (what comes behind it is
    /// the body's); none as long as there is more to come.
    ///
    /// # Errors
    /// What makes this not a response. No more bytes may be fed then.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<u16>, Cause> {
        let room = HTTP_HEAD_BYTES_MAX - self.bytes;
        let within = &bytes[..bytes.len().min(room)];
        let mut rest = within;
        loop {
            // Runs of bytes that change nothing, which are nearly all of a head, at one go.
            if let At::Reason | At::Value = self.at {
                rest = &rest[text_len(rest)..];
            } else if let At::Name = self.at {
                rest = &rest[name_len(rest)..];
            }
            let Some((&byte, after)) = rest.split_first() else { break };
            rest = after;
            match self.step(byte) {
                Ok(Some(at)) => self.at = at,
                Ok(None) if is_final(self.status) => return Ok(Some(self.status)),
                Ok(None) => (self.at, self.status) = (At::default(), 0),
                Err(_) if byte == 0 => return Err(Cause::NulByte),
                Err(cause) => return Err(cause),
            }
        }
        self.bytes += within.len();
        if bytes.len() > room { Err(Cause::HeadTooLong) } else { Ok(None) }
    }

    /// What comes after `byte`; none after the last byte of a head.
    fn step(&mut self, byte: u8) -> Result<Option<At>, Cause> {
        Ok(Some(match (self.at, byte) {
            (At::Shape(0), b'\r') => At::EmptyLf,
            (At::Shape(0) | At::EmptyLf, b'\n') => At::Shape(0),
            (At::Shape(index), _) => return self.shape(index, byte).map(Some),
            (At::EmptyLf, _) => return Err(Cause::NotHttp),

            (At::AfterStatus, b' ') => At::Reason,
            (At::AfterStatus | At::Reason, b'\r') => At::ReasonLf,
            (At::AfterStatus | At::Reason | At::ReasonLf, b'\n') => At::FirstLine,
            (At::Reason, 1..) => At::Reason,
            (At::AfterStatus | At::Reason | At::ReasonLf, _) => return Err(Cause::BadStatusLine),

            (At::FirstLine | At::NextLine, b'\r') => At::EndLf,
            (At::FirstLine | At::NextLine | At::EndLf, b'\n') => return Ok(None),
            (At::NextLine, b' ' | b'\t') => At::Value,
            (At::FirstLine | At::NextLine | At::Name, _) if NAME[usize::from(byte)] => At::Name,
            (At::Name | At::Colon, b' ' | b'\t') => At::Colon,
            (At::Name | At::Colon, b':') => At::Value,
            (At::Value, b'\r') => At::ValueLf,
            (At::Value | At::ValueLf, b'\n') => At::NextLine,
            (At::Value, _) if is_text(byte) => At::Value,
            (
                At::FirstLine
                | At::NextLine
                | At::Name
                | At::Colon
                | At::Value
                | At::ValueLf
                | At::EndLf,
                _,
            ) => return Err(Cause::BadHeader),
        }))
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
}

/// Whether an answer of this status is the last one: 1xx are not, but 101 ends HTTP on its
/// connection.
const fn is_final(status: u16) -> bool {
    status >= 200 || status == 101
}

/// Whether a header's name may hold the byte (RFC 9110, 5.6.2: token).
const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether a header's value may hold the byte (RFC 9110, 5.5): blanks, and what can be seen.
const fn is_text(byte: u8) -> bool {
    (byte >= b' ' && byte != 0x7F) || byte == b'\t'
}

/// How many bytes of text `bytes` begins with: blocks of 16 first, which the compiler makes one
/// comparison each.
fn text_len(bytes: &[u8]) -> usize {
    let block = |block: &&[u8]| block.iter().fold(true, |text, &byte| text & is_text(byte));
    let blocks = bytes.chunks_exact(16).take_while(block).count() * 16;
    blocks + bytes[blocks..].iter().take_while(|&&byte| is_text(byte)).count()
}

/// [`is_name`] of every byte, because asking a table is twice as fast.
const NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        table[byte as usize] = is_name(byte);
        byte += 1;
    }
    table
};

/// How many bytes of a name `bytes` begins with.
fn name_len(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| NAME[usize::from(byte)]).count()
}
