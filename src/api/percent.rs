//! Percent-encoding, read strictly: what is broken is none, never a guess.

/// What `+` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plus {
    /// A blank, as in queries and forms.
    Blank,
    /// Itself, as in paths.
    Itself,
}

/// `text` without its percent-encoding; none where that is broken or hides no UTF-8.
pub(super) fn decode(text: &str, plus: Plus) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    decode_to(&mut decoded, text.as_bytes(), plus)?;
    String::from_utf8(decoded).ok()
}

/// Appends `bytes` without their percent-encoding; none where that is broken. What is appended need
/// not be UTF-8.
pub(super) fn decode_to(decoded: &mut Vec<u8>, bytes: &[u8], plus: Plus) -> Option<()> {
    let mut bytes = bytes.iter().copied();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            b'+' if plus == Plus::Blank => b' ',
            _ => byte,
        });
    }
    Some(())
}

/// The value of a hexadecimal digit.
const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_is_none() {
        assert_eq!(decode("a%2fB+%c3%A4", Plus::Blank).as_deref(), Some("a/B ä"));
        assert_eq!(decode("a+b", Plus::Itself).as_deref(), Some("a+b"));
        for broken in ["%", "%4", "%zz", "%4g", "%FF", "%%", "a%2"] {
            assert_eq!(decode(broken, Plus::Blank), None, "{broken}");
        }
    }
}
