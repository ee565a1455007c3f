//! Where a response's body ends, and whether its connection can be used again (RFC 9112, 6.3 and
//! 9.3).
//!
//! A health check takes what a browser would take (DESIGN 3.6): where Content-Length is odd or
//! contradicts itself, the body ends with the connection. Such a connection is never used again, so
//! that nobody can pass off the tail of one answer as the next.

use super::request::Method;

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes.
    Exactly(u64),
    /// In chunks, of which the last one is empty.
    Chunked,
    /// All that comes.
    ToEnd,
}

/// What a head says of what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Framing {
    /// How long the body is.
    pub(super) length: Length,
    /// Whether the target keeps the connection open behind it.
    pub(super) keeps: bool,
}

impl Framing {
    /// What the last of `heads` says, which are complete and valid, and answer a request of
    /// `method` with `status`.
    pub(super) fn of(heads: &[u8], method: Method, status: u16) -> Self {
        let mut lines = last_head(heads).split(|&byte| byte == b'\n');
        let is_old = lines.next().is_some_and(|line| line.starts_with(b"HTTP/1.0"));
        let (mut lengths, mut said) = (Lengths::None, Said::default());
        for (name, value) in lines.filter_map(header) {
            if name.eq_ignore_ascii_case(b"content-length") {
                lengths = lengths.and(value);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                said.encoded = true;
                said.chunked = words(value).last().is_some_and(|last| is(last, b"chunked"));
            } else if name.eq_ignore_ascii_case(b"connection") {
                said.closes |= words(value).any(|word| is(word, b"close"));
                said.keeps |= words(value).any(|word| is(word, b"keep-alive"));
            }
        }
        let without_body = method == Method::Head || matches!(status, 100..200 | 204 | 304);
        let length = match lengths {
            _ if without_body => Length::Exactly(0),
            _ if said.chunked => Length::Chunked,
            Lengths::One(length) if !said.encoded => Length::Exactly(length),
            Lengths::None | Lengths::One(_) | Lengths::Odd => Length::ToEnd,
        };
        let is_plain = length != Length::ToEnd && lengths != Lengths::Odd && status != 101;
        let is_one = !(said.encoded && lengths != Lengths::None);
        let keeps = is_plain && is_one && !said.closes && (said.keeps || !is_old);
        Self { length, keeps }
    }
}

/// What Transfer-Encoding and Connection say.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    encoded: bool,
    chunked: bool,
    closes: bool,
    keeps: bool,
}

/// What all Content-Lengths say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    None,
    One(u64),
    Odd,
}

impl Lengths {
    fn and(self, value: &[u8]) -> Self {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits);
        match (self, length.and_then(|length| length.parse().ok())) {
            (Self::None, Some(length)) => Self::One(length),
            (Self::One(before), Some(length)) if before == length => self,
            (Self::None | Self::One(_) | Self::Odd, _) => Self::Odd,
        }
    }
}

/// The last of `heads`, from its status line on.
fn last_head(heads: &[u8]) -> &[u8] {
    let (mut start, mut at, mut inside) = (0, 0, false);
    for line in heads.split_inclusive(|&byte| byte == b'\n') {
        let is_empty = matches!(line, b"\n" | b"\r\n");
        if !is_empty && !inside {
            start = at;
        }
        inside = !is_empty;
        at += line.len();
    }
    &heads[start..]
}

/// Name and value of a header line; none of a fold, or of a line that is no header. A folded value
/// of those that matter here is odd in any case: what its first line says counts.
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    (!name.starts_with(b" ") && !name.starts_with(b"\t"))
        .then(|| (name.trim_ascii_end(), value.trim_ascii()))
}

/// The words of a list.
fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

const fn is(word: &[u8], name: &[u8]) -> bool {
    word.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn the_last_head_says_it() {
        use Length::{Chunked, Exactly, ToEnd};
        let get = Method::Get;
        let table: &[(Method, u16, Length, bool, &str)] = &[
            (get, 200, Exactly(5), true,  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            (get, 200, Exactly(5), true,  "HTTP/1.1 200\ncontent-length :\t5\n\n"),
            (get, 200, Exactly(5), true,  "HTTP/1.1 200\nContent-Length:5\nContent-Length:5\n\n"),
            (get, 200, Exactly(0), true,  "HTTP/1.1 200\nContent-Length: 0\n\n"),
            (get, 200, ToEnd,      false, "HTTP/1.1 200\nContent-Length:5\nContent-Length:6\n\n"),
            (get, 200, ToEnd,      false, "HTTP/1.1 200\nContent-Length: -5\n\n"),
            (get, 200, ToEnd,      false, "HTTP/1.1 200\nContent-Length: +5\n\n"),
            (get, 200, ToEnd,      false, "HTTP/1.1 200\nContent-Length:\n\n"),
            (get, 200, ToEnd,      false, "HTTP/1.1 200\nContent-Length: 18446744073709551616\n\n"),
            (get, 200, ToEnd,      false, "HTTP/1.1 200\n\n"),
            (get, 200, ToEnd,      false, "HTTP/1.1 200\na: b\n Content-Length: 5\n\n"),
            (get, 200, Chunked,    true,  "HTTP/1.1 200\nTransfer-Encoding: Chunked\n\n"),
            (get, 200, Chunked,    true,  "HTTP/1.1 200\nTransfer-Encoding: gzip, chunked\n\n"),
            (get, 200, ToEnd,      false, "HTTP/1.1 200\nTransfer-Encoding: chunked, gzip\n\n"),
            (get, 200, ToEnd,      false, "HTTP/1.1 200\nTransfer-Encoding: gzip\nContent-Length: 5\n\n"),
            // A smuggler's: both are said. It is read as chunked, once.
            (get, 200, Chunked,    false, "HTTP/1.1 200\nTransfer-Encoding: chunked\nContent-Length: 5\n\n"),
            // Who keeps the connection.
            (get, 200, Exactly(5), false, "HTTP/1.1 200\nContent-Length: 5\nConnection: Close\n\n"),
            (get, 200, Exactly(5), false, "HTTP/1.1 200\nContent-Length: 5\nConnection: x, close\n\n"),
            (get, 200, Exactly(5), false, "HTTP/1.0 200\nContent-Length: 5\n\n"),
            (get, 200, Exactly(5), true,  "HTTP/1.0 200\nContent-Length: 5\nConnection: Keep-Alive\n\n"),
            // No body, whatever the head says.
            (Method::Head, 200, Exactly(0), true, "HTTP/1.1 200\nContent-Length: 5\n\n"),
            (get, 204, Exactly(0), true,  "HTTP/1.1 204\n\n"),
            (get, 304, Exactly(0), true,  "HTTP/1.1 304\nContent-Length: 5\n\n"),
            (get, 101, Exactly(0), false, "HTTP/1.1 101\n\n"),
            // Skipped heads say nothing.
            (get, 200, Exactly(5), true,
                "\r\nHTTP/1.0 100\r\nContent-Length: 7\r\nConnection: close\r\n\r\n\r\n\
                 HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n"),
        ];
        for &(method, status, length, keeps, heads) in table {
            let framing = Framing::of(heads.as_bytes(), method, status);
            assert_eq!(framing, Framing { length, keeps }, "{heads:?}");
        }
    }
}
