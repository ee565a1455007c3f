//! What is looked for in the body: a text or a regular expression.
//!
//! Matching is the crate `regex`'s over bytes, which takes time linear in pattern times body,
//! whatever the pattern. A pattern is bounded as it is compiled, and a body as it is read; and as
//! a search begins at the body's first byte again, an answer in many pieces is searched with each
//! of them only until that has cost a bound of its own, then only where the body has doubled, and
//! when it is over.

use regex::bytes::{Regex, RegexBuilder};
use std::hash::{Hash, Hasher};

/// Bytes of a text or pattern.
pub const BODY_MATCH_CHARS_MAX: usize = 1_024;
/// Bytes of memory that a compiled pattern may take.
const COMPILED_BYTES_MAX: usize = 256 * 1_024;
/// Bytes of memory that each worker may use to match it.
const CACHE_BYTES_MAX: usize = 512 * 1_024;
/// Bytes that are searched before searches become rare.
const SEARCHED_FREELY: usize = 256 * 1_024;
/// What an assertion at the end of a match can look at behind it: one character, or CR LF.
const LOOK_AHEAD_BYTES: usize = 4;

/// What the body must contain. Two are equal that were written equally.
#[derive(Clone, Debug)]
pub struct BodyMatch {
    text: Box<str>,
    is_regex: bool,
    regex: Regex,
    /// Whether a match may depend on what follows it.
    looks_ahead: bool,
}

impl BodyMatch {
    /// A body that contains `text`.
    ///
    /// # Errors
    /// One line where it is empty or too long.
    pub fn contains(text: &str) -> Result<Self, String> {
        Self::new(text, &regex::escape(text), false)
    }

    /// A body in which the regular expression `pattern` is found, in the syntax of the crate
    /// `regex`.
    ///
    /// # Errors
    /// One line where it is empty, too long, malformed, or needs too much memory.
    pub fn regex(pattern: &str) -> Result<Self, String> {
        Self::new(pattern, pattern, true)
    }

    fn new(text: &str, pattern: &str, is_regex: bool) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        if text.len() > BODY_MATCH_CHARS_MAX {
            return Err(format!("is longer than {BODY_MATCH_CHARS_MAX} bytes"));
        }
        let regex = RegexBuilder::new(pattern)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(CACHE_BYTES_MAX)
            .build()
            .map_err(|error| in_one_line(&error))?;
        // Too many are thought to look ahead, never too few; those are found a little later.
        let looks_ahead = is_regex
            && ["$", r"\b", r"\B", r"\z", r"\>", r"\<"]
                .into_iter()
                .any(|assertion| pattern.contains(assertion));
        Ok(Self { text: text.into(), is_regex, regex, looks_ahead })
    }

    /// The text or pattern as it was written.
    #[must_use]
    pub const fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a regular expression.
    #[must_use]
    pub const fn is_regex(&self) -> bool {
        self.is_regex
    }

    /// Whether it is found in `body`; `over`: nothing comes behind it. One that was found is found
    /// in any longer body too.
    fn is_in(&self, body: &[u8], over: bool) -> bool {
        let ahead = if self.looks_ahead && !over { LOOK_AHEAD_BYTES } else { 0 };
        self.regex.shortest_match(body).is_some_and(|end| end + ahead <= body.len())
    }
}

impl PartialEq for BodyMatch {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.is_regex) == (&other.text, other.is_regex)
    }
}

impl Eq for BodyMatch {}

impl Hash for BodyMatch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.text, self.is_regex).hash(state);
    }
}

/// The searches through one body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Search {
    /// Bytes of the body at the last one.
    at: usize,
    /// Bytes that all of them looked at.
    searched: usize,
}

impl Search {
    /// Whether `wanted` is found in the body as far as it has come. It may be found late, but not
    /// behind the end.
    pub(super) fn found(&mut self, wanted: &BodyMatch, body: &[u8]) -> bool {
        let now = self.searched + body.len() <= SEARCHED_FREELY || body.len() >= 2 * self.at;
        now && self.last(wanted, body, false)
    }

    /// Whether it is found, where nothing more is waited for; `over`: because this is all.
    pub(super) fn last(&mut self, wanted: &BodyMatch, body: &[u8], over: bool) -> bool {
        (self.at, self.searched) = (body.len(), self.searched + body.len());
        wanted.is_in(body, over)
    }
}

/// What the crate says in many lines.
fn in_one_line(error: &regex::Error) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the crate may add kinds")]
    match error {
        regex::Error::CompiledTooBig(_) => {
            format!("needs more than {} KiB once it is compiled", COMPILED_BYTES_MAX / 1_024)
        }
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default().trim();
            format!("is not a regular expression: {}", last.trim_start_matches("error: "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_itself_and_a_pattern_is_compiled() {
        let dot = BodyMatch::contains("a.c").unwrap();
        assert!(dot.is_in(b"xa.cx", false) && !dot.is_in(b"abc", true));
        assert!(BodyMatch::regex("a.c").unwrap().is_in(b"abc", false));
        assert!(BodyMatch::regex("(?-u)\\xff").unwrap().is_in(b"\xff", false), "bytes");
        assert_ne!(dot, BodyMatch::regex("a.c").unwrap());
        assert_eq!(dot, BodyMatch::contains("a.c").unwrap());
    }

    #[test]
    fn what_costs_too_much_or_is_malformed_is_refused_in_one_line() {
        let long = "x".repeat(BODY_MATCH_CHARS_MAX + 1);
        for (pattern, error) in [
            ("", "is empty"),
            ("a(b", "is not a regular expression: unclosed group"),
            (
                "[b-a]",
                "is not a regular expression: invalid character class range, the start \
                must be <= the end",
            ),
            (r"(\w{100}){100}", "needs more than 256 KiB once it is compiled"),
            (&long, "is longer than 1024 bytes"),
        ] {
            assert_eq!(BodyMatch::regex(pattern).map(|_| ()), Err(error.to_owned()), "{pattern}");
        }
        assert!(BodyMatch::contains(&long[1..]).is_ok());
        assert!(BodyMatch::contains("a(b").is_ok());
    }

    #[test]
    fn what_looks_ahead_waits_for_what_comes() {
        for (pattern, begun, whole, is_found) in [
            ("ok$", "ok", "okay", false),
            ("ok$", "ok", "ok", true),
            (r"ok\b", "ok", "okay", false),
            (r"ok\b", "ok", "ok, fine", true),
            (r"ok\z", "ok", "ok", true),
            ("(?m)ok$", "ok", "ok\n   ", true),
        ] {
            let wanted = BodyMatch::regex(pattern).unwrap();
            assert!(!wanted.is_in(begun.as_bytes(), false), "{pattern}");
            assert_eq!(wanted.is_in(whole.as_bytes(), true), is_found, "{pattern}");
        }
    }

    #[test]
    fn searches_cost_in_proportion_to_the_body() {
        let (wanted, body) = (BodyMatch::contains("wanted").unwrap(), vec![b'x'; 64 * 1_024]);
        let mut search = Search::default();
        for len in 1..=body.len() {
            assert!(!search.found(&wanted, &body[..len]));
        }
        assert!(search.searched <= SEARCHED_FREELY + 2 * body.len(), "{search:?}");
        assert!(!search.last(&wanted, &body, true));
        let late = [&body[..60_000], b"wanted"].concat();
        assert!(search.last(&wanted, &late, true));
    }
}
