//! Query strings, read strictly: a parameter that is not known, is given twice or is not well
//! encoded is an error, never a silent default.

use super::error::ApiError;
use super::percent::{Plus, decode};
use crate::limits::{PAGE_TARGETS_DEFAULT, PAGE_TARGETS_MAX};
use axum::http::{StatusCode, Uri};
use std::str::FromStr;

/// The parameters of a request that have not been taken yet.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters of `uri`.
    pub(super) fn of(uri: &Uri) -> Result<Self, ApiError> {
        Self::parse(uri.query().unwrap_or(""))
    }

    /// The parameters of the query string `query`.
    ///
    /// # Errors
    /// The first parameter that is not well encoded or is given twice.
    pub fn parse(query: &str) -> Result<Self, ApiError> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        let parts = query.split('&').filter(|part| !part.is_empty());
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let decoded = |text| {
                decode(text, Plus::Blank).ok_or_else(|| {
                    ApiError::parameter(format!(
                        "query '{}' is not percent-encoded UTF-8",
                        crop(part)
                    ))
                })
            };
            let (name, value) = (decoded(name)?, decoded(value)?);
            if parameters.iter().any(|(known, _)| *known == name) {
                let message = format!("parameter '{}' is given twice", crop(&name));
                return Err(ApiError::parameter(message));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// The value of `name`, if it is given.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(index).1)
    }

    /// The value of `name` as a number, if it is given.
    ///
    /// # Errors
    /// If it is not a decimal number without a sign, or does not fit.
    pub fn number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number.map(Some).ok_or_else(|| {
            ApiError::parameter(format!("{name} '{}' is not a number in range", crop(&text)))
        })
    }

    /// The value of `limit`, or its default.
    pub(super) fn limit(&mut self) -> Result<usize, ApiError> {
        match self.number("limit")? {
            None => Ok(PAGE_TARGETS_DEFAULT),
            Some(limit) if (1..=PAGE_TARGETS_MAX).contains(&limit) => Ok(limit),
            Some(limit) => {
                let message = format!("limit {limit} is outside 1 to {PAGE_TARGETS_MAX}");
                Err(ApiError::parameter(message))
            }
        }
    }

    /// An error if a parameter is left that nobody asked for; `known` names those that there are.
    ///
    /// # Errors
    /// That, naming the parameter.
    pub fn finish(self, known: &str) -> Result<(), ApiError> {
        let Some((name, _)) = self.0.first() else { return Ok(()) };
        let known = if known.is_empty() { "none" } else { known };
        let message = format!("unknown parameter '{}'; known here: {known}", crop(name));
        Err(ApiError::new(StatusCode::BAD_REQUEST, "UnknownParameter", message))
    }
}

/// What was sent, short enough to be repeated in a message of one line.
pub(super) fn crop(text: &str) -> String {
    const CHARS_MAX: usize = 64;
    let clean = text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c });
    let mut cropped: String = clean.take(CHARS_MAX).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        cropped.push('…');
    }
    cropped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<Query, ApiError> {
        Query::of(&format!("/?{text}").parse().unwrap())
    }

    #[test]
    fn parameters_are_decoded_and_taken_once() {
        let mut q = query("a=1&b=x%2Fy+z%C3%A4&&c").unwrap();
        assert_eq!(q.number::<u16>("a").unwrap(), Some(1));
        assert_eq!(q.take("b").as_deref(), Some("x/y zä"));
        assert_eq!(q.take("b"), None);
        assert_eq!(q.take("c").as_deref(), Some(""));
        assert!(q.finish("").is_ok());
    }

    #[test]
    fn what_is_not_asked_for_or_broken_is_an_error() {
        assert_eq!(query("q=1").unwrap().finish("limit").unwrap_err().code, "UnknownParameter");
        for broken in ["a=%", "a=%4", "a=%zz", "a=%FF", "%=1", "a=1&a=1", "a=1&%61=2"] {
            assert_eq!(query(broken).unwrap_err().code, "InvalidParameter", "{broken}");
        }
        for limit in ["0", "10001", "-1", "+1", "1e3", "", "99999999999999999999999"] {
            let text = format!("limit={}", limit.replace('+', "%2B"));
            assert!(query(&text).unwrap().limit().is_err(), "{limit}");
        }
        assert_eq!(query("limit=10000").unwrap().limit(), Ok(10_000));
        assert_eq!(query("").unwrap().limit(), Ok(100));
    }

    #[test]
    fn messages_repeat_only_a_little_of_what_was_sent() {
        assert_eq!(crop("ab\r\n\u{1b}"), "ab\u{FFFD}\u{FFFD}\u{FFFD}");
        assert_eq!(crop(&"ä".repeat(100)).chars().count(), 65);
    }
}
