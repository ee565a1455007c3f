//! A value as it stands in a file or in a body, before anybody has judged it: what TOML and JSON
//! have in common, so that the settings of both are read in one place.

use super::duration;
use super::error::{Problem, nearest, quoted};
use super::violation::{Violation, Wrong};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::time::Duration;

/// Values of a list or table at most; no setting has more.
const ITEMS_MAX: usize = 100;

/// A value as far as settings go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Text(String),
    Number(i64),
    Bool(bool),
    /// Of [`ITEMS_MAX`] values at most.
    List(Vec<Self>),
    /// Keys with their values, as they are written, of [`ITEMS_MAX`] at most.
    Table(Vec<(String, Self)>),
    /// What no setting can be, in words.
    Other(&'static str),
}

impl Value {
    /// The value as it is shown in an error.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Text(text) => quoted(text),
            Self::Number(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) => "an object".to_owned(),
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
            Self::Null
            | Self::Number(_)
            | Self::Bool(_)
            | Self::List(_)
            | Self::Table(_)
            | Self::Other(_) => Err(self.malformed(setting, "is not text", "put it in quotes")),
        }
    }

    pub(super) fn boolean(&self, setting: &'static str) -> Result<bool, Violation> {
        match self {
            Self::Bool(value) => Ok(*value),
            Self::Null
            | Self::Text(_)
            | Self::Number(_)
            | Self::List(_)
            | Self::Table(_)
            | Self::Other(_) => {
                Err(self.malformed(setting, "is not a truth value", "write true or false"))
            }
        }
    }

    /// A whole number; `allowed` says what it may be.
    pub(super) fn number(&self, setting: &'static str, allowed: &str) -> Result<i64, Violation> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Null
            | Self::Text(_)
            | Self::Bool(_)
            | Self::List(_)
            | Self::Table(_)
            | Self::Other(_) => {
                let cure = format!("allowed: {allowed}");
                Err(self.malformed(setting, "is not a whole number", cure))
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, setting: &'static str) -> Result<Vec<String>, Violation> {
        let wrong = || self.malformed(setting, "is not a list of texts", "write it as [\"…\"]");
        let Self::List(items) = self else { return Err(wrong()) };
        items
            .iter()
            .map(|item| item.text(setting).map_err(|_| wrong()).map(str::to_owned))
            .collect()
    }

    /// A table of texts.
    pub(super) fn pairs(&self, setting: &'static str) -> Result<Vec<(&str, &str)>, Violation> {
        let wrong = || {
            self.malformed(setting, "is not a table of texts", "write it as { name = \"value\" }")
        };
        let Self::Table(pairs) = self else { return Err(wrong()) };
        let mut texts = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let Self::Text(text) = value else { return Err(wrong()) };
            texts.push((name.as_str(), text.as_str()));
        }
        Ok(texts)
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

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a number")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Other("a huge number"), Value::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other("a fraction"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while list.len() < ITEMS_MAX {
            let Some(item) = items.next_element()? else { return Ok(Value::List(list)) };
            list.push(item);
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other("a long list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut table = Vec::new();
        while table.len() < ITEMS_MAX {
            let Some(pair) = pairs.next_entry()? else { return Ok(Value::Table(table)) };
            table.push(pair);
        }
        while pairs.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other("a large object"))
    }
}
