//! Where the next page of a listing begins, as a text that clients hand back unread.
//!
//! It names the last target of the page before by its number in the order of registration, which is
//! the order of listings. That number stays while the target does and is never given to another, so
//! the next page begins behind it whatever came and went, be it that target itself.

use crate::registry::Members;

/// See the module's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Number of the last target of the page before.
    pub(super) serial: u64,
}

/// Digits of a cursor's text.
const DIGITS: usize = 16;

impl Cursor {
    /// The inverse of the cursor's text; none where it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_whole = text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        let serial = is_whole.then(|| u64::from_str_radix(text, 16).ok()).flatten()?;
        Some(Self { serial })
    }

    /// The position to go on from among `members`.
    pub(super) fn resume(self, members: &Members) -> usize {
        members.behind(self.serial)
    }

    /// The text for clients.
    pub(super) fn text(self) -> String {
        format!("{:0DIGITS$x}", self.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text_and_rubbish_is_none() {
        for serial in [0, 1, 0xABC, u64::MAX] {
            let cursor = Cursor { serial };
            assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        }
        let rubbish = ["", "0", "000000000000000g", "+00000000000000a", "00000000000000000", "ä"];
        for text in rubbish {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
