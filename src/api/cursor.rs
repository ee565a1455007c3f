//! Where the next page of a listing begins, as a text that clients hand back unread.
//!
//! It names the position to go on from, the registry revision in which that position counts, and
//! the last target of the page: after a reload the page goes on behind that target, wherever it is
//! now; if it is gone, from the old position.

use super::query::hex_digit;
use crate::registry::Members;
use std::fmt::Write;

/// See the module's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// First position that the next page looks at.
    pub(super) position: usize,
    /// The registry that `position` counts in.
    pub(super) revision: u64,
    /// Port of the last target of the page before.
    pub(super) port: u16,
    /// Its id.
    pub(super) id: String,
}

impl Cursor {
    /// The inverse of the cursor's text; none where it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let byte = |&[high, low]: &[u8; 2]| Some(hex_digit(high)? << 4 | hex_digit(low)?);
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        let plain = String::from_utf8(bytes.filter(|_| rest.is_empty())?).ok()?;
        let mut parts = plain.splitn(4, '.');
        Some(Self {
            position: parts.next()?.parse().ok()?,
            revision: parts.next()?.parse().ok()?,
            port: parts.next()?.parse().ok()?,
            id: parts.next()?.to_owned(),
        })
    }

    /// The position to go on from among `members`, those of registry `revision`.
    pub(super) fn resume(&self, members: &Members, revision: u64) -> usize {
        if self.revision == revision {
            return self.position;
        }
        let found = members.find(&self.id, Some(self.port));
        found.map_or(self.position, |position| position + 1)
    }

    /// The text for clients.
    pub(super) fn text(&self) -> String {
        let Self { position, revision, port, id } = self;
        let plain = format!("{position}.{revision}.{port}.{id}");
        let mut text = String::with_capacity(plain.len() * 2);
        for byte in plain.bytes() {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text_and_rubbish_is_none() {
        for id in ["10.0.0.1", "i-1.2.3", "ä %&", ""] {
            let cursor = Cursor { position: 7, revision: 3, port: 80, id: id.to_owned() };
            assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        }
        for text in ["", "0", "zz", "3x", "372e33", "ff", "372e332e38302e6", "ä"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
        let huge = "9".repeat(40).bytes().fold(String::new(), |text, b| text + &format!("{b:02x}"));
        assert_eq!(Cursor::parse(&huge), None);
    }
}
