//! Which HTTP statuses match: a set over 100-599, written as a list of statuses and ranges.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The statuses that a response can have.
const STATUSES: RangeInclusive<u16> = FIRST..=LAST;
const FIRST: u16 = 100;
const LAST: u16 = 599;
/// Words of 64 bits that hold a bit for each.
const WORDS: usize = (LAST - FIRST + 1).div_ceil(64) as usize;

/// The first digits that a status can have.
const CLASSES: RangeInclusive<u8> = 1..=5;

/// A set of HTTP statuses within 100-599. Invariant of one that was parsed: not empty.
///
/// Its text is a list of statuses and ranges, as `200`, `200-399` or `200,204,301-302`. Printed, it
/// is sorted and as short as can be, so that two equal sets have one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Matcher([u64; WORDS]);

impl Matcher {
    /// The statuses of `text`, all of which must lie within `range` (the rule set's) and 100-599.
    /// Blanks around a status are allowed.
    ///
    /// # Errors
    /// One line that says which part of `text` is wrong, and what would be right.
    pub fn parse(text: &str, range: RangeInclusive<u16>) -> Result<Self, String> {
        let mut matcher = Self([0; WORDS]);
        for item in text.split(',') {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last) = (status(first, text, &range)?, status(last, text, &range)?);
            if first > last {
                return Err(format!("range {first}-{last} is backwards; write {last}-{first}"));
            }
            matcher.insert(first..=last);
        }
        Ok(matcher)
    }

    /// All statuses of these classes, 1 to 5: 2 is 200-299.
    #[must_use]
    pub fn of_classes(classes: impl IntoIterator<Item = u8>) -> Self {
        let mut matcher = Self([0; WORDS]);
        for class in classes.into_iter().filter(|class| CLASSES.contains(class)) {
            matcher.insert(class_of(class));
        }
        matcher
    }

    /// The classes whose statuses these are, ascending; none where a class is here in part.
    #[must_use]
    pub fn classes(&self) -> Option<Vec<u8>> {
        let classes = CLASSES.filter(|&class| self.matches(*class_of(class).start())).collect();
        (Self::of_classes(Vec::clone(&classes)) == *self).then_some(classes)
    }

    /// Whether `status` is in the set; false outside 100-599.
    #[must_use]
    pub fn matches(&self, status: u16) -> bool {
        STATUSES.contains(&status) && {
            let (word, bit) = place(status);
            self.0[word] >> bit & 1 == 1
        }
    }

    fn insert(&mut self, statuses: RangeInclusive<u16>) {
        for status in statuses {
            let (word, bit) = place(status);
            self.0[word] |= 1 << bit;
        }
    }
}

/// `200-399`, the seed's (DESIGN 3.1).
impl Default for Matcher {
    fn default() -> Self {
        let mut matcher = Self([0; WORDS]);
        matcher.insert(200..=399);
        matcher
    }
}

/// As [`Matcher::parse`] with everything from 100 to 599 allowed.
impl FromStr for Matcher {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text, STATUSES)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut statuses = STATUSES.filter(|&status| self.matches(status)).peekable();
        while let Some(first) = statuses.next() {
            let mut last = first;
            while let Some(next) = statuses.next_if(|&next| next == last + 1) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

/// The statuses that begin with `class`.
fn class_of(class: u8) -> RangeInclusive<u16> {
    let first = u16::from(class) * 100;
    first..=first + 99
}

/// Word and bit of a status, which must be within [`STATUSES`].
const fn place(status: u16) -> (usize, u32) {
    let index = (status - FIRST) as u32;
    ((index / u64::BITS) as usize, index % u64::BITS)
}

fn status(item: &str, text: &str, range: &RangeInclusive<u16>) -> Result<u16, String> {
    let item = item.trim_matches(' ');
    let digits = item.len() == 3 && item.bytes().all(|byte| byte.is_ascii_digit());
    let status = item.parse::<u16>().ok().filter(|_| digits).ok_or_else(|| {
        format!("{item:?} in {text:?} is not a status; write it as 200, 200-399 or 200,204,301-302")
    })?;
    let allowed = FIRST.max(*range.start())..=LAST.min(*range.end());
    if !allowed.contains(&status) {
        return Err(format!(
            "status {status} in {text:?} is not allowed; use {}-{}",
            allowed.start(),
            allowed.end()
        ));
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_text_is_read_and_printed_in_its_shortest_form() {
        for (text, printed) in [
            ("200", "200"),
            ("200-399", "200-399"),
            ("200,204,301-302", "200,204,301-302"),
            ("302,301,200,200", "200,301-302"),
            ("200-250,240-299,300", "200-300"),
            (" 200 , 204 - 206 ", "200,204-206"),
            ("100-599", "100-599"),
            ("200-200", "200"),
        ] {
            assert_eq!(text.parse::<Matcher>().unwrap().to_string(), printed, "{text}");
        }
        assert_eq!(Matcher::default().to_string(), "200-399");
    }

    #[test]
    fn what_is_no_status_is_named() {
        for (text, item) in [
            ("", ""),
            ("200,", ""),
            ("2xx", "2xx"),
            ("+20", "+20"),
            ("1-2-3", "1"),
            ("200-", ""),
            ("204,0200", "0200"),
        ] {
            let cure = "write it as 200, 200-399 or 200,204,301-302";
            let error = format!("{item:?} in {text:?} is not a status; {cure}");
            assert_eq!(text.parse::<Matcher>(), Err(error));
        }
    }

    #[test]
    fn what_is_not_allowed_is_named() {
        for (text, range, error) in [
            ("399-200", 100..=599, "range 399-200 is backwards; write 200-399"),
            ("199", 200..=599, "status 199 in \"199\" is not allowed; use 200-599"),
            ("200-500", 200..=499, "status 500 in \"200-500\" is not allowed; use 200-499"),
            ("600", 0..=999, "status 600 in \"600\" is not allowed; use 100-599"),
            ("099", 0..=999, "status 99 in \"099\" is not allowed; use 100-599"),
        ] {
            assert_eq!(Matcher::parse(text, range), Err(error.to_owned()));
        }
    }

    #[test]
    fn classes_are_whole() {
        for (classes, text) in [(vec![2], "200-299"), (vec![2, 3, 5], "200-399,500-599")] {
            let matcher = Matcher::of_classes(classes.clone());
            assert_eq!(matcher.to_string(), text);
            assert_eq!(matcher.classes(), Some(classes));
        }
        assert_eq!(Matcher::default().classes(), Some(vec![2, 3]));
        assert_eq!(Matcher::of_classes([0, 6, 255]).classes(), Some(vec![]));
        for text in ["200", "200-398", "200-299,301", "201-299"] {
            assert_eq!(text.parse::<Matcher>().unwrap().classes(), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_is_the_set_that_was_written(
            ranges in prop::collection::vec((100_u16..600, 0_u16..40), 1..8),
        ) {
            let ranges: Vec<_> = ranges.iter().map(|&(a, n)| (a, (a + n).min(599))).collect();
            let text: Vec<String> = ranges.iter().map(|(a, b)| format!("{a}-{b}")).collect();
            let set: BTreeSet<u16> = ranges.iter().flat_map(|&(a, b)| a..=b).collect();
            let matcher: Matcher = text.join(",").parse().unwrap();
            for status in (0..=1_000).chain([u16::MAX]) {
                assert_eq!(matcher.matches(status), set.contains(&status), "{status}");
            }
            assert_eq!(matcher.to_string().parse(), Ok(matcher));
        }
    }
}
