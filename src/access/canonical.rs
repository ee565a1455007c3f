//! Requests in the one form that is signed (RFC 3986 everywhere, sorted, nothing left to taste).

use super::head::Head;
use super::refusal::Refusal;
use crate::limits::{PARAMETERS_MAX, SIGNED_HEADERS_MAX};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same in a path, whose segments are encoded one by one.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// A parameter of a query or form, decoded: name and value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// The parameters of a query or a form. `+` is a blank, as it is to whoever reads them later.
pub(super) fn pairs(text: &[u8]) -> Result<Vec<Pair>, Refusal> {
    let parts = text.split(|&byte| byte == b'&').filter(|part| !part.is_empty());
    let mut pairs = Vec::new();
    for part in parts {
        let middle = part.iter().position(|&byte| byte == b'=').unwrap_or(part.len());
        let (name, value) = part.split_at(middle);
        let value = value.get(1..).unwrap_or_default();
        if pairs.len() == PARAMETERS_MAX {
            return Err(Refusal::Malformed);
        }
        pairs.push((decoded(name)?, decoded(value)?));
    }
    Ok(pairs)
}

fn decoded(text: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut bytes = text.iter().copied();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(Refusal::Malformed);
                };
                // Two digits of 16 make a byte.
                u8::try_from(high << 4 | low).unwrap_or(u8::MAX)
            }
            b'+' => b' ',
            _ => byte,
        });
    }
    Ok(decoded)
}

/// `bytes` in percent-encoding.
pub(super) fn encoded(bytes: &[u8]) -> String {
    percent_encode(bytes, RESERVED).to_string()
}

/// A path as it came, encoded once more.
pub(super) fn encoded_path(path: &str) -> String {
    percent_encode(path.as_bytes(), RESERVED_IN_PATH).to_string()
}

/// Pairs as a canonical query, in the order in which they stand.
pub(super) fn query<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(percent_encode(name, RESERVED));
        query.push('=');
        query.extend(percent_encode(value, RESERVED));
    }
    query
}

/// A list of signed headers: `name;name;…`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedHeaders<'a>(&'a str);

impl<'a> SignedHeaders<'a> {
    /// A list that is sorted, without anything twice, in small letters, and not too long.
    pub(super) fn parse(list: &'a str) -> Result<Self, Refusal> {
        let mut before = "";
        for (number, name) in list.split(';').enumerate() {
            let is_name = name.bytes().all(|byte| byte.is_ascii_graphic());
            let is_small = !name.bytes().any(|byte| byte.is_ascii_uppercase());
            if number == SIGNED_HEADERS_MAX || name <= before || !is_name || !is_small {
                return Err(Refusal::Malformed);
            }
            before = name;
        }
        Ok(Self(list))
    }

    /// The list as it is signed.
    pub(super) const fn list(self) -> &'a str {
        self.0
    }

    fn names(self) -> impl Iterator<Item = &'a str> {
        self.0.split(';')
    }

    /// Refuses a list that lacks one of `needed`, or a vendor's header that `head` has; and one
    /// that has a header that `head` has not, or twice. What decides what a request means is thus
    /// signed, whichever vendor's it is.
    pub(super) fn check(self, head: &Head<'_>, needed: &[&str]) -> Result<(), Refusal> {
        let is_vendors = |name: &str| {
            let starts = |prefix| super::head::starts_with(name.as_bytes(), prefix);
            starts("x-amz-") || starts("x-acs-")
        };
        let vendors = head.headers.iter().map(|header| header.0).filter(|name| is_vendors(name));
        let mut needed = needed.iter().copied().chain(vendors);
        let is_signed = |name: &str| self.names().any(|signed| signed.eq_ignore_ascii_case(name));
        let is_there_once = |name| head.all(name).count() == 1;
        if needed.all(is_signed) && self.names().all(is_there_once) {
            Ok(())
        } else {
            Err(Refusal::SignedHeaders)
        }
    }

    /// The headers' lines: `name:value\n`, by `inner` with several blanks made one.
    pub(super) fn write(self, head: &Head<'_>, inner: Blanks, out: &mut Vec<u8>) {
        for name in self.names() {
            out.extend(name.as_bytes());
            out.push(b':');
            let value = head.all(name).next().unwrap_or_default();
            match inner {
                Blanks::Kept => out.extend(value),
                Blanks::Joined => {
                    let mut before = b'.';
                    for &byte in value {
                        if byte != b' ' || before != b' ' {
                            out.push(byte);
                        }
                        before = byte;
                    }
                }
            }
            out.push(b'\n');
        }
    }
}

/// What happens to several blanks inside of a header's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blanks {
    /// They stay.
    Kept,
    /// They become one.
    Joined,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_encoded_in_one_way() {
        let canonical = |text: &str| query(&pairs(text.as_bytes()).unwrap());
        assert_eq!(canonical("b=%7e%2f+&&a&c=d=e&=%FF"), "b=~%2F%20&a=&c=d%3De&=%FF");
        assert_eq!(canonical(""), "");
        for broken in ["a=%", "a=%4", "%zz=1", "a=%+4"] {
            assert_eq!(pairs(broken.as_bytes()), Err(Refusal::Malformed), "{broken}");
        }
        let many = |count| "a&".repeat(count).into_bytes();
        assert!(pairs(&many(PARAMETERS_MAX)).is_ok());
        assert_eq!(pairs(&many(PARAMETERS_MAX + 1)), Err(Refusal::Malformed));
    }

    #[test]
    fn lists_of_headers_are_sorted_small_and_short() {
        for wrong in ["", "b;a", "a;a", "a;;b", "A", "a;b;", "a b", "é"] {
            assert!(SignedHeaders::parse(wrong).is_err(), "{wrong}");
        }
        let list = |count| (0..count).map(|n| format!("h{n:05}")).collect::<Vec<_>>().join(";");
        assert!(SignedHeaders::parse(&list(SIGNED_HEADERS_MAX)).is_ok());
        assert!(SignedHeaders::parse(&list(SIGNED_HEADERS_MAX + 1)).is_err());
    }
}
