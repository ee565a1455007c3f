//! A single value as it stands in a file or in a body, before anybody has judged it: what TOML and
//! JSON have in common, so that the settings of both are read in one place.

use super::duration;
use super::error::{Problem, nearest, quoted};
use super::violation::{Violation, Wrong};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::time::Duration;

/// A value as far as settings go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Null,
    Text(String),
    Number(i64),
    Bool(bool),
    /// What no setting can be, in words.
    Other(&'static str),
}

impl Scalar {
    /// The value as it is shown in an error.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Text(text) => quoted(text),
            Self::Number(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Other(kind) => (*kind).to_owned(),
        }
    }

    /// The violation that `setting` has this value, which is `what`.
    pub(super) fn malformed(
        &self,
        setting: &'static str,
        what: &'static str,
        cure: impl Into<String>,
    ) -> Violation {
        Violation::malformed(setting, self.shown(), what, cure)
    }

    pub(super) fn text(&self, setting: &'static str) -> Result<&str, Violation> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Null | Self::Number(_) | Self::Bool(_) | Self::Other(_) => {
                Err(self.malformed(setting, "is not text", "put it in quotes"))
            }
        }
    }

    pub(super) fn boolean(&self, setting: &'static str) -> Result<bool, Violation> {
        match self {
            Self::Bool(value) => Ok(*value),
            Self::Null | Self::Text(_) | Self::Number(_) | Self::Other(_) => {
                Err(self.malformed(setting, "is not a truth value", "write true or false"))
            }
        }
    }

    /// A whole number; `allowed` says what it may be.
    pub(super) fn number(&self, setting: &'static str, allowed: &str) -> Result<i64, Violation> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Null | Self::Text(_) | Self::Bool(_) | Self::Other(_) => {
                let cure = format!("allowed: {allowed}");
                Err(self.malformed(setting, "is not a whole number", cure))
            }
        }
    }

    /// A port, 1 to 65535.
    pub(super) fn port(&self, setting: &'static str) -> Result<u16, Violation> {
        let number = self.number(setting, "1 to 65535")?;
        let port = u16::try_from(number).ok().filter(|&port| port > 0);
        port.ok_or_else(|| self.malformed(setting, "is out of range", "allowed: 1 to 65535"))
    }

    /// A duration, without a range.
    pub(super) fn duration(&self, setting: &'static str) -> Result<Duration, Violation> {
        let Self::Text(text) = self else {
            let cure = "write it as text with a unit, as \"10s\"";
            return Err(self.malformed(setting, "is not a duration", cure));
        };
        duration::parse(text).map_err(|Problem { what, cure }| Violation {
            setting,
            value: self.shown(),
            wrong: Wrong::Part { what, cure },
        })
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &self,
        setting: &'static str,
        words: &[(&str, T)],
    ) -> Result<T, Violation> {
        let text = self.text(setting)?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|&(_, value)| value).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
            self.malformed(setting, "is not known", nearest(text, &words))
        })
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a number")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(number).map_or(Scalar::Other("a huge number"), Scalar::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Other("a fraction"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Scalar, A::Error> {
        while pairs.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an object"))
    }
}
