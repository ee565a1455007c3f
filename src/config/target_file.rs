//! Targets files: JSON, or one address a line. Read as a stream, so that a file costs the memory of
//! its longest line and not its size.
//!
//! `targets_file` and `probe --targets` read the same two formats.

use super::Lifecycle;
use super::error::{ConfigError, Problem};
use super::file::io_text;
use super::target_json;
use super::targets::{TargetRange, content, parse_target};
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};

/// Bytes of a line, comment included.
const LINE_BYTES_MAX: u64 = 4_096;
/// Bytes of a file for each target that is allowed: an object with the longest id and zone.
const BYTES_PER_TARGET: u64 = 1_024;
/// Bytes of comments that even the smallest file may have.
const BYTES_LEAST: u64 = 1_024 * 1_024;

/// One line or one object of a targets file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its addresses; one, where it is an object.
    pub range: TargetRange,
    /// Its id, where one was given that is not its address.
    pub id: Option<Box<str>>,
    /// Its zone, where one was given.
    pub zone: Option<String>,
    /// Its weight, where one was given.
    pub weight: Option<u16>,
    /// Whether it runs.
    pub lifecycle: Lifecycle,
}

impl From<TargetRange> for Entry {
    fn from(range: TargetRange) -> Self {
        Self { range, id: None, zone: None, weight: None, lifecycle: Lifecycle::Running }
    }
}

/// Who takes the entries of a file, each with its line.
pub type Take<'a> = dyn FnMut(Entry, u32) -> Result<(), ConfigError> + 'a;

/// Bytes that a file of at most `targets_max` targets may have.
#[must_use]
pub const fn bytes_max(targets_max: usize) -> u64 {
    BYTES_LEAST + targets_max as u64 * BYTES_PER_TARGET
}

/// What a targets file holds.
#[derive(Debug)]
pub enum Item<'a> {
    /// A line, without its comment and the blanks around it; not empty.
    Line(&'a str),
    /// A JSON object.
    Object(Entry),
}

/// Who takes the items of a file, each with its line.
pub type TakeItem<'a> = dyn FnMut(Item<'_>, u32) -> Result<(), ConfigError> + 'a;

/// Reads `source`, which is called `file` in errors and has at most `bytes_max` bytes, and hands
/// out its entries in order. It is JSON if its first characters say so: an array of objects.
///
/// # Errors
/// The first error of the file, or of `take`, which ends the reading.
pub fn read(
    file: &str,
    source: impl Read,
    bytes_max: u64,
    take: &mut Take<'_>,
) -> Result<(), ConfigError> {
    read_items(file, source, bytes_max, &mut |item, line| match item {
        Item::Line(text) => {
            let range = parse_target(text);
            take(range.map_err(|problem| problem.at(format!("{file}:{line}")))?.into(), line)
        }
        Item::Object(entry) => take(entry, line),
    })
}

/// As [`read`], but lines are taken as they are written: for those that may be more than addresses.
///
/// # Errors
/// As [`read`].
pub fn read_items(
    file: &str,
    source: impl Read,
    bytes_max: u64,
    take: &mut TakeItem<'_>,
) -> Result<(), ConfigError> {
    let line = Cell::new(1);
    let mut source = BufReader::with_capacity(64 * 1_024, source);
    let unreadable = |error: &io::Error| cannot_read(file, error);
    let start = source.fill_buf().map_err(|error| unreadable(&error))?;
    if is_json(start) {
        let source = Counted { source, line: &line, bytes_left: bytes_max };
        return target_json::read(file, source, &line, &mut |entry, line| {
            take(Item::Object(entry), line)
        });
    }
    read_lines(file, source.take(bytes_max + 1), take)
}

/// JSON begins with an array of objects, or with an object; `[` alone may be an IPv6 address.
fn is_json(start: &[u8]) -> bool {
    let mut bytes = start.iter().filter(|byte| !byte.is_ascii_whitespace());
    match bytes.next() {
        Some(b'{') => true,
        Some(b'[') => matches!(bytes.next(), None | Some(b'{' | b'"' | b'[' | b']')),
        Some(_) | None => false,
    }
}

fn read_lines(
    file: &str,
    mut source: io::Take<impl BufRead>,
    take: &mut TakeItem<'_>,
) -> Result<(), ConfigError> {
    let mut bytes = Vec::new();
    let mut number: u32 = 0;
    loop {
        bytes.clear();
        number = number.saturating_add(1);
        let place = || format!("{file}:{number}");
        let mut line = (&mut source).take(LINE_BYTES_MAX + 1);
        line.read_until(b'\n', &mut bytes).map_err(|error| cannot_read(file, &error))?;
        if source.limit() == 0 {
            return Err(too_long(file));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.len() as u64 > LINE_BYTES_MAX {
            return Err(
                Problem::new("line over 4096 bytes", "write one address[:port] a line").at(place())
            );
        }
        if bytes.contains(&0) {
            return Err(not_text("NUL byte").at(place()));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| not_text("not UTF-8").at(place()))?;
        let text = content(text);
        if !text.is_empty() {
            take(Item::Line(text), number)?;
        }
    }
}

fn not_text(what: &str) -> Problem {
    Problem::new(what, "a targets file is JSON, or text with one address[:port] a line")
}

pub(super) fn cannot_read(file: &str, error: &io::Error) -> ConfigError {
    if error.get_ref().is_some_and(|error| error.is::<TooLong>()) {
        return too_long(file);
    }
    let what = format!("cannot read the targets ({})", io_text(error));
    ConfigError::new(what, file, "give the path of a readable file")
}

fn too_long(file: &str) -> ConfigError {
    let cure = "raise engine.max_targets, or leave out what is not targets";
    ConfigError::new("file too large for engine.max_targets", file, cure)
}

/// A source that counts lines, and ends in an error where it goes on for too long. The JSON reader
/// takes byte by byte, so the count is that of the byte it has got to.
pub(super) struct Counted<'a, R> {
    source: BufReader<R>,
    line: &'a Cell<u32>,
    bytes_left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("too long")]
struct TooLong;

impl<R: Read> Read for Counted<'_, R> {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(into)?;
        let lines = into[..count].iter().filter(|&&byte| byte == b'\n').count();
        self.line.set(self.line.get().saturating_add(u32::try_from(lines).unwrap_or(u32::MAX)));
        let left = self.bytes_left.checked_sub(count as u64);
        self.bytes_left = left.ok_or_else(|| io::Error::other(TooLong))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &[u8]) -> Result<Vec<(String, u32)>, String> {
        let mut all = Vec::new();
        let mut take = |entry: Entry, line| {
            let first = entry.range.addresses().next().map(|ip| ip.to_string());
            all.push((format!("{} {:?}", first.unwrap_or_default(), entry.range.port), line));
            Ok(())
        };
        read("f", text, 10_000, &mut take).map_err(|error| error.to_string())?;
        Ok(all)
    }

    #[test]
    fn the_format_is_told_from_the_first_characters() {
        for (text, json) in [
            ("[::1]:80\n", false),
            ("", false),
            ("# [{", false),
            (" \n [ \n{", true),
            ("[]", true),
            ("{\"a\":1}", true),
            ("[\"10.0.0.1\"]", true),
        ] {
            assert_eq!(is_json(text.as_bytes()), json, "{text}");
        }
    }

    #[test]
    fn lines_have_their_numbers() {
        let text = b"# head\n10.0.0.1:80\r\n\n[::1]:81 # six\n10.0.0.0/30";
        let expect = [("10.0.0.1 Some(80)", 2), ("::1 Some(81)", 4), ("10.0.0.0 None", 5)];
        assert_eq!(entries(text).unwrap(), expect.map(|(text, line)| (text.to_owned(), line)));
    }

    #[test]
    fn objects_have_their_lines() {
        let text = b"[\n{\"address\":\"10.0.0.1\",\"port\":80},\n\n{\n\"address\":\"::1\"}\n]\n";
        let expect = [("10.0.0.1 Some(80)", 2), ("::1 None", 4)];
        assert_eq!(entries(text).unwrap(), expect.map(|(text, line)| (text.to_owned(), line)));
        assert_eq!(entries(b" [ ] ").unwrap(), []);
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let comments = b"# comment\n".repeat(1_001);
        let message = "file too large for engine.max_targets, f; \
                       raise engine.max_targets, or leave out what is not targets";
        assert_eq!(entries(&comments).unwrap_err(), message);
        assert_eq!(entries(&comments[..10_000]).unwrap(), []);
        let blanks = [b"[".to_vec(), b" ".repeat(10_000), b"]".to_vec()].concat();
        assert_eq!(entries(&blanks).unwrap_err(), message);
        let error = entries(&b"1".repeat(4_097)).unwrap_err();
        assert_eq!(error, "line over 4096 bytes, f:1; write one address[:port] a line");
    }
}
