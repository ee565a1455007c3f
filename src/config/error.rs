//! Why a configuration was refused: one line, `what, where; cure`.

use thiserror::Error;

/// The first thing that is wrong with a configuration. Printed as `what, where; cure`, one line:
/// what was written, file and line with the table in brackets, what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}, {place}; {cure}")]
pub struct ConfigError {
    what: String,
    place: String,
    cure: String,
}

impl ConfigError {
    /// An error; `place` is a file, with line and table where they are known. Control characters
    /// from the file do not reach the terminal.
    #[must_use]
    pub fn new(what: impl Into<String>, place: impl Into<String>, cure: impl Into<String>) -> Self {
        let [what, place, cure] = [what.into(), place.into(), cure.into()].map(one_line);
        Self { what, place, cure }
    }
}

/// What is wrong with a piece of text and what would be right; its reader knows where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what}; {cure}")]
pub struct Problem {
    /// What was written.
    pub what: String,
    /// What would be right.
    pub cure: String,
}

impl Problem {
    /// A problem: what was written, and what would be right.
    #[must_use]
    pub fn new(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what: what.into(), cure: cure.into() }
    }

    /// The error with its place.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> ConfigError {
        ConfigError::new(self.what, place, self.cure)
    }
}

/// What a library says of a text, which may repeat the text itself: the beginning, if it is long.
pub(super) fn shortened(what: &str) -> String {
    const CHARS_MAX: usize = 200;
    match what.char_indices().nth(CHARS_MAX) {
        None => what.to_owned(),
        Some((end, _)) => format!("{}…", &what[..end]),
    }
}

/// Text from a file as it is quoted in an error: whole if it is short, escaped, in quotes.
pub(crate) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}", format_args!("{}…", &text[..end]).to_string()),
    }
}

/// `; did you mean …` as a cure: the nearest of `allowed`, or all of them where none is near.
pub(super) fn nearest(word: &str, allowed: &[&str]) -> String {
    let distance = |candidate: &str| {
        strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase())
    };
    // A word from a hostile file may be long, and the distance is quadratic.
    let near = allowed
        .iter()
        .filter(|candidate| word.len() <= 2 * candidate.len())
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min();
    match near {
        Some((_, candidate)) => format!("did you mean {candidate:?}?"),
        None => format!("allowed: {}", allowed.join(", ")),
    }
}

fn one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_or_all_are() {
        let keys = ["interval", "timeout", "path", "healthy_threshold", "unhealthy_threshold"];
        assert_eq!(nearest("intervall", &keys), "did you mean \"interval\"?");
        assert_eq!(nearest("Timeout", &keys), "did you mean \"timeout\"?");
        assert_eq!(nearest("unhealthy_treshold", &keys), "did you mean \"unhealthy_threshold\"?");
        assert_eq!(nearest("rise", &["a", "b"]), "allowed: a, b");
        assert_eq!(nearest(&"x".repeat(10_000_000), &["a"]), "allowed: a");
    }

    #[test]
    fn an_error_is_one_line_without_control_characters() {
        let error = ConfigError::new("a\nb\x1b[31m", "f.toml:1", "c");
        assert_eq!(error.to_string(), "a b [31m, f.toml:1; c");
        assert_eq!(quoted("a\x1b"), "\"a\\u{1b}\"");
        assert_eq!(quoted(&"é".repeat(100)), format!("\"{}…\"", "é".repeat(60)));
    }
}
