//! The parameters of a request, read as Alibaba reads them: an empty value is as good as none,
//! booleans have any case, and what breaks a rule is an error that names the parameter in full.

use super::error::AlibabaError;
use crate::api::form::Params;
use crate::api::query::crop;
use std::collections::HashSet;
use std::ops::RangeInclusive;

/// Tags that an object can have.
const TAGS_MAX: usize = 20;
/// Characters of a tag's key, and of its value.
const TAG_CHARS_MAX: usize = 128;

/// Parameters of a request, or of one element of a list in it. Those that nobody takes are ignored.
#[derive(Debug)]
pub(super) struct Request {
    params: Params,
    /// What stands before the names, as `Servers.1.`.
    prefix: String,
}

/// A tag; the value is empty where none was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) key: String,
    pub(super) value: Option<String>,
}

impl Request {
    /// The parameters of a whole request.
    pub(super) const fn new(params: Params) -> Self {
        Self { params, prefix: String::new() }
    }

    /// The text of a parameter, if it is given and not empty.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.params.take(name).filter(|text| !text.is_empty())
    }

    /// The text of a parameter that must be given.
    pub(super) fn required(&mut self, name: &str) -> Result<String, AlibabaError> {
        self.text(name).ok_or_else(|| self.missing(name))
    }

    /// The text of a parameter whose length has bounds.
    pub(super) fn text_within(
        &mut self,
        name: &str,
        chars: RangeInclusive<usize>,
    ) -> Result<Option<String>, AlibabaError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if !chars.contains(&text.chars().count()) {
            let why = format!("allowed are {} to {} characters", chars.start(), chars.end());
            return Err(self.illegal(name, why));
        }
        if text.chars().any(char::is_control) {
            return Err(self.illegal(name, "it has control characters"));
        }
        Ok(Some(text))
    }

    /// A name: 2 to 128 characters, a letter first, then letters, digits and `._-`.
    pub(super) fn name(&mut self, name: &str) -> Result<Option<String>, AlibabaError> {
        let Some(text) = self.text_within(name, 2..=128)? else { return Ok(None) };
        let fits = text.starts_with(char::is_alphabetic)
            && text.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
        if fits {
            return Ok(Some(text));
        }
        let why = format!("'{}'; allowed are a letter, then letters, digits and ._-", crop(&text));
        Err(self.illegal(name, why))
    }

    /// A parameter that is an integer, if it is given.
    pub(super) fn integer(
        &mut self,
        name: &str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, AlibabaError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = is_number.then(|| text.parse().ok()).flatten();
        let fits = number.filter(|number| range.contains(number));
        fits.map(Some).ok_or_else(|| {
            let why =
                format!("'{}'; allowed are {} to {}", crop(&text), range.start(), range.end());
            self.illegal(name, why)
        })
    }

    /// A parameter that is a port, if it is given.
    pub(super) fn port(&mut self, name: &str) -> Result<Option<u16>, AlibabaError> {
        let port = self.integer(name, 1..=u32::from(u16::MAX))?;
        // The range is that of a port.
        Ok(port.and_then(|port| u16::try_from(port).ok()))
    }

    /// A parameter that is a boolean in any case, if it is given.
    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, AlibabaError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(self.illegal(name, format!("'{}'; allowed are true and false", crop(&text)))),
        }
    }

    /// A parameter that is one of `words`, if it is given.
    pub(super) fn word(
        &mut self,
        name: &str,
        words: &[&'static str],
    ) -> Result<Option<&'static str>, AlibabaError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let word = words.iter().find(|word| **word == text);
        word.map(|word| Some(*word)).ok_or_else(|| {
            let why = format!("'{}'; allowed are {}", crop(&text), words.join(", "));
            self.illegal(name, why)
        })
    }

    /// The elements of a list of structures.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<Self>, AlibabaError> {
        let elements = self.params.list(name)?.into_iter().enumerate();
        let element = |(index, params)| {
            let prefix = format!("{}{name}.{}.", self.prefix, index + 1);
            Self { params, prefix }
        };
        Ok(elements.map(element).collect())
    }

    /// The elements of a list of structures that must have one.
    pub(super) fn required_list(&mut self, name: &str) -> Result<Vec<Self>, AlibabaError> {
        let list = self.list(name)?;
        if list.is_empty() { Err(self.missing(name)) } else { Ok(list) }
    }

    /// The elements of a list of texts; none where it is not given or has none.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, AlibabaError> {
        let mut texts = self.params.texts(name)?;
        texts.retain(|text| !text.is_empty());
        Ok(texts)
    }

    /// The same as a set: a filter that is looked into for every object.
    pub(super) fn set(&mut self, name: &str) -> Result<HashSet<String>, AlibabaError> {
        Ok(self.texts(name)?.into_iter().collect())
    }

    /// The tags, keys unique.
    pub(super) fn tags(&mut self) -> Result<Vec<Tag>, AlibabaError> {
        let mut tags: Vec<Tag> = Vec::new();
        for mut element in self.list("Tag")? {
            let key = element.text_within("Key", 1..=TAG_CHARS_MAX)?;
            let key = key.ok_or_else(|| element.missing("Key"))?;
            let value = element.text_within("Value", 1..=TAG_CHARS_MAX)?;
            if tags.iter().any(|tag| tag.key == key) {
                let message = "The param of TagKey is duplicated.";
                return Err(AlibabaError::bad("DuplicatedParam.TagKey", message));
            }
            tags.push(Tag { key, value });
            if tags.len() > TAGS_MAX {
                return Err(self.illegal("Tag", format!("allowed are {TAGS_MAX} tags")));
            }
        }
        Ok(tags)
    }

    /// The error for a parameter that breaks a rule.
    pub(super) fn illegal(&self, name: &str, why: impl std::fmt::Display) -> AlibabaError {
        AlibabaError::illegal(&format!("{}{name}", self.prefix), why)
    }

    /// The error for a parameter that must be given.
    pub(super) fn missing(&self, name: &str) -> AlibabaError {
        AlibabaError::missing(&format!("{}{name}", self.prefix))
    }
}
