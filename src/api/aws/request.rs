//! The members of a request, read as AWS reads them: what a member must be is checked here, and
//! said in the words that AWS's services have for a value that breaks their model.

use super::crop;
use super::error::AwsError;
use crate::api::form::{FormError, Params};
use std::fmt;
use std::ops::RangeInclusive;

/// Members of a request, or of one element of a list in it. Those that nobody takes are ignored, as
/// AWS does.
#[derive(Debug)]
pub(super) struct Members {
    params: Params,
    /// The list that this is an element of, and its number from 1.
    element_of: Option<(&'static str, usize)>,
}

impl From<FormError> for AwsError {
    fn from(error: FormError) -> Self {
        Self::validation(error.to_string())
    }
}

impl Members {
    /// The members of a whole request.
    pub(super) const fn new(params: Params) -> Self {
        Self { params, element_of: None }
    }

    /// The text of a member, if it is given.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.params.take(name)
    }

    /// The text of a member that must be given.
    pub(super) fn required(&mut self, name: &str) -> Result<String, AwsError> {
        self.text(name).ok_or_else(|| {
            let place = self.place(name);
            let rule = "Member must not be null";
            AwsError::validation(constraint("null", &place, rule))
        })
    }

    /// The text of a member whose length has bounds.
    pub(super) fn text_within(
        &mut self,
        name: &str,
        chars: RangeInclusive<usize>,
    ) -> Result<Option<String>, AwsError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let (least, most) = (chars.start(), chars.end());
        let count = text.chars().count();
        if count < *least {
            let rule = format!("Member must have length greater than or equal to {least}");
            return Err(self.broken(name, &text, &rule));
        }
        if count > *most {
            let rule = format!("Member must have length less than or equal to {most}");
            return Err(self.broken(name, &text, &rule));
        }
        Ok(Some(text))
    }

    /// A member that is an integer, if it is given.
    pub(super) fn integer(
        &mut self,
        name: &str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, AwsError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let Ok(number) = text.parse::<i64>() else {
            return Err(self.broken(name, &text, "Member must be an integer"));
        };
        if number < i64::from(*range.start()) {
            let rule = format!("Member must have value greater than or equal to {}", range.start());
            return Err(self.broken(name, &text, &rule));
        }
        match u32::try_from(number) {
            Ok(number) if number <= *range.end() => Ok(Some(number)),
            Ok(_) | Err(_) => {
                let rule = format!("Member must have value less than or equal to {}", range.end());
                Err(self.broken(name, &text, &rule))
            }
        }
    }

    /// A member that is a port, if it is given.
    pub(super) fn port(&mut self, name: &str) -> Result<Option<u16>, AwsError> {
        let port = self.integer(name, 1..=u32::from(u16::MAX))?;
        // The range is that of a port.
        Ok(port.and_then(|port| u16::try_from(port).ok()))
    }

    /// A member that is a boolean, if it is given.
    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, AwsError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(self.broken(name, &text, "Member must be a boolean, true or false")),
        }
    }

    /// A member that is one of `words`, if it is given.
    pub(super) fn word(
        &mut self,
        name: &str,
        words: &[&'static str],
    ) -> Result<Option<&'static str>, AwsError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let word = words.iter().find(|word| **word == text);
        let rule = || format!("Member must satisfy enum value set: [{}]", words.join(", "));
        word.map(|word| Some(*word)).ok_or_else(|| self.broken(name, &text, &rule()))
    }

    /// The elements of a list of structures; none where it is not given or has none.
    pub(super) fn list(&mut self, name: &'static str) -> Result<Vec<Self>, AwsError> {
        let elements = self.params.list(&format!("{name}.member"))?;
        let numbered = elements.into_iter().enumerate();
        let element = |(index, params)| Self { params, element_of: Some((name, index + 1)) };
        Ok(numbered.map(element).collect())
    }

    /// The elements of a list of texts; none where it is not given or has none.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, AwsError> {
        Ok(self.params.texts(&format!("{name}.member"))?)
    }

    /// The elements of a list of structures that must have one.
    pub(super) fn required_list(&mut self, name: &'static str) -> Result<Vec<Self>, AwsError> {
        let list = self.list(name)?;
        if !list.is_empty() {
            return Ok(list);
        }
        if self.params.given(name) {
            let rule = "Member must have length greater than or equal to 1";
            return Err(self.broken(name, "[]", rule));
        }
        self.required(name).map(|_| list)
    }

    /// The error for a member that breaks a rule of the model.
    pub(super) fn broken(&self, name: &str, value: &str, rule: &str) -> AwsError {
        let value = format!("'{}'", crop(value));
        AwsError::validation(constraint(&value, &self.place(name), rule))
    }

    fn place(&self, name: &str) -> String {
        match self.element_of {
            None => lower(name),
            Some((list, number)) => format!("{}.{number}.member.{}", lower(list), lower(name)),
        }
    }
}

fn constraint(value: impl fmt::Display, place: &str, rule: &str) -> String {
    format!(
        "1 validation error detected: Value {value} at '{place}' failed to satisfy constraint: {rule}"
    )
}

/// A member's name as AWS's messages have it: `targetGroupArn`.
fn lower(name: &str) -> String {
    let mut parts = Vec::new();
    for part in name.split('.') {
        let mut chars = part.chars();
        let first = chars.next().map(|c| c.to_ascii_lowercase());
        parts.push(first.into_iter().chain(chars).collect::<String>());
    }
    parts.join(".")
}
