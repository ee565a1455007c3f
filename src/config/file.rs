//! The configuration file as tables, keys and values that know their line, so that every error can
//! name its place. Reading is by hand rather than by derive for the sake of these errors.

use super::duration;
use super::error::{ConfigError, Problem, nearest, quoted};
use super::value::Value;
use super::violation::Violation;
use std::fs::File;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Bytes of a configuration file at most; longer lists belong into a `targets_file`.
const BYTES_MAX: u64 = 64 * 1_024 * 1_024;
/// Characters of a name or an id.
const NAME_CHARS_MAX: usize = 255;

/// The text of a configuration file, and where its lines begin.
pub(super) struct Document {
    /// The path as it was given.
    pub(super) file: String,
    pub(super) text: String,
    line_starts: Vec<usize>,
}

impl Document {
    pub(super) fn open(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let unreadable = |error: std::io::Error| {
            ConfigError::new(
                format!("cannot read the configuration ({})", io_text(&error)),
                &file,
                "give the path of a readable TOML file",
            )
        };
        let mut bytes = Vec::new();
        let source = File::open(path).map_err(unreadable)?;
        source.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(ConfigError::new(
                "configuration over 64 MiB",
                file,
                "put long lists of targets into a targets_file",
            ));
        }
        Self::new(file, bytes)
    }

    pub(super) fn new(file: String, bytes: Vec<u8>) -> Result<Self, ConfigError> {
        let line_of = |offset: usize| 1 + bytes[..offset].iter().filter(|&&b| b == b'\n').count();
        let not_text = |what: &str, offset| {
            let place = format!("{file}:{}", line_of(offset));
            Err(ConfigError::new(what, place, "a configuration is TOML, UTF-8 text"))
        };
        if let Some(offset) = bytes.iter().position(|&byte| byte == 0) {
            return not_text("NUL byte", offset);
        }
        if let Err(error) = std::str::from_utf8(&bytes) {
            return not_text("not UTF-8", error.valid_up_to());
        }
        let breaks = bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'\n');
        let line_starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        let text = String::from_utf8(bytes).map_err(|_| {
            ConfigError::new("not UTF-8", &file, "a configuration is TOML, UTF-8 text")
        })?;
        Ok(Self { file, text, line_starts })
    }

    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'_>>, ConfigError> {
        DeTable::parse(&self.text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            let line = self.line(span.start);
            let what = match (error.message(), self.text.get(span)) {
                ("duplicate key", Some(key)) => format!("key {} is given twice", quoted(key)),
                (message, _) => message.replace('\n', ": "),
            };
            ConfigError::new(what, format!("{}:{line}", self.file), "correct the TOML")
        })
    }

    /// The line, from 1, in which the byte at `offset` stands.
    fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= offset)
    }
}

/// The reason of an I/O error in small letters, without the number.
pub(super) fn io_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// One table of the file, its keys checked.
#[derive(Clone, Copy)]
pub(super) struct Section<'d> {
    doc: &'d Document,
    /// `group.health_check`; empty for the file itself.
    name: &'static str,
    line: usize,
    /// None: the table is not in the file.
    table: Option<&'d DeTable<'d>>,
}

impl<'d> Section<'d> {
    /// The whole file.
    pub(super) fn root(
        doc: &'d Document,
        table: &'d DeTable<'d>,
        keys: &[&str],
    ) -> Result<Self, ConfigError> {
        Self { doc, name: "", line: 1, table: Some(table) }.checked(keys)
    }

    /// The table `key`, empty where it is absent.
    pub(super) fn section(
        &self,
        key: &'static str,
        name: &'static str,
        keys: &[&str],
    ) -> Result<Self, ConfigError> {
        let Some(setting) = self.get(key) else {
            return Ok(Self { name, table: None, ..*self });
        };
        let DeValue::Table(table) = setting.value else {
            let what = format!("{key} is {}", setting.kind());
            return Err(setting.error(what, format!("write it as a table, [{name}]")));
        };
        Self { name, line: setting.line(), table: Some(table), ..*self }.checked(keys)
    }

    /// The tables `[[key]]`.
    pub(super) fn sections(
        &self,
        key: &'static str,
        keys: &[&str],
    ) -> Result<Vec<Self>, ConfigError> {
        let Some(setting) = self.get(key) else { return Ok(Vec::new()) };
        let wrong = |kind: &str| {
            setting.error(format!("{key} is {kind}"), format!("write it as [[{key}]]"))
        };
        let DeValue::Array(items) = setting.value else { return Err(wrong(setting.kind())) };
        let section = |item: &'d Spanned<DeValue<'d>>| {
            let DeValue::Table(table) = item.get_ref() else {
                return Err(wrong("a list of other things than tables"));
            };
            let line = self.doc.line(item.span().start);
            Self { doc: self.doc, name: key, line, table: Some(table) }.checked(keys)
        };
        items.iter().map(section).collect()
    }

    /// The setting `key`, where it is in the file; `table.key` is one of a table in this one.
    pub(super) fn find(&self, key: &'static str) -> Option<Setting<'d>> {
        let Some((outer, inner)) = key.split_once('.') else { return self.get(key) };
        let outer = self.get(outer)?;
        let DeValue::Table(table) = outer.value else { return None };
        let inner = Self { table: Some(table), ..*self }.get(inner)?;
        Some(Setting { key, ..inner })
    }

    /// The setting `key`, where it is in the file.
    pub(super) fn get(&self, key: &'static str) -> Option<Setting<'d>> {
        let (written, value) = self.table?.get_key_value(key)?;
        let (key_at, span) = (written.span().start, value.span());
        Some(Setting { section: *self, key, key_at, span, value: value.get_ref() })
    }

    /// The setting `key`, which must be in the file.
    pub(super) fn require(&self, key: &'static str) -> Result<Setting<'d>, ConfigError> {
        self.get(key).ok_or_else(|| {
            self.error(format!("{} has no {key}", self.name), format!("add {key} = …"))
        })
    }

    /// The error for a setting of this table.
    pub(super) fn violation(&self, violation: &Violation) -> ConfigError {
        match self.find(violation.setting) {
            Some(setting) => setting.violation(violation),
            None => {
                let Problem { what, cure } = violation.problem();
                self.error(what, cure)
            }
        }
    }

    /// An error about the table as a whole.
    pub(super) fn error(&self, what: String, cure: impl Into<String>) -> ConfigError {
        ConfigError::new(what, self.place(self.line), cure)
    }

    /// Refuses keys that are not among `keys`, the first in the file first.
    fn checked(self, keys: &[&str]) -> Result<Self, ConfigError> {
        let unknown = self
            .table
            .into_iter()
            .flat_map(DeTable::keys)
            .filter(|key| !keys.contains(&&**key.get_ref()))
            .min_by_key(|key| key.span().start);
        let Some(key) = unknown else { return Ok(self) };
        let what = format!("unknown key {}", quoted(key.get_ref()));
        let place = self.place(self.doc.line(key.span().start));
        Err(ConfigError::new(what, place, nearest(key.get_ref(), keys)))
    }

    fn place(&self, line: usize) -> String {
        match self.name {
            "" => format!("{}:{line}", self.doc.file),
            name => format!("{}:{line} ({name})", self.doc.file),
        }
    }
}

/// One key with its value.
pub(super) struct Setting<'d> {
    section: Section<'d>,
    pub(super) key: &'static str,
    key_at: usize,
    span: std::ops::Range<usize>,
    value: &'d DeValue<'d>,
}

impl<'d> Setting<'d> {
    /// The line of the key.
    pub(super) fn line(&self) -> usize {
        self.section.doc.line(self.key_at)
    }

    /// The value as it is written in the file, shortened.
    pub(super) fn written(&self) -> String {
        let text = self.section.doc.text.get(self.span.clone()).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        match line.char_indices().nth(60) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line.to_owned(),
        }
    }

    /// An error at the place of the key.
    pub(super) fn error(&self, what: String, cure: impl Into<String>) -> ConfigError {
        ConfigError::new(what, self.section.place(self.line()), cure)
    }

    /// An error that names key and value.
    pub(super) fn wrong(&self, what: &str, cure: impl Into<String>) -> ConfigError {
        self.error(format!("{} {} {what}", self.key, self.written()), cure)
    }

    pub(super) fn text(&self) -> Result<&'d str, ConfigError> {
        let DeValue::String(text) = self.value else {
            return Err(self.wrong("is not text", "put it in quotes"));
        };
        Ok(text)
    }

    /// A name or id: some text, not too long, without control characters.
    pub(super) fn name(&self) -> Result<String, ConfigError> {
        let name = self.text()?;
        match name_problem(name) {
            None => Ok(name.to_owned()),
            Some(problem) => Err(self.wrong(problem, "use 1 to 255 printable characters")),
        }
    }

    pub(super) fn integer(&self, allowed: RangeInclusive<i64>) -> Result<i64, ConfigError> {
        let cure = || format!("allowed: {} to {}", allowed.start(), allowed.end());
        let DeValue::Integer(number) = self.value else {
            return Err(self.wrong("is not a whole number", cure()));
        };
        let parsed = i64::from_str_radix(number.as_str(), number.radix());
        let in_range = parsed.ok().filter(|number| allowed.contains(number));
        in_range.ok_or_else(|| self.wrong("is out of range", cure()))
    }

    /// A port, 1 to 65535.
    pub(super) fn port(&self) -> Result<u16, ConfigError> {
        let port = self.integer(1..=65_535)?;
        u16::try_from(port).map_err(|_| self.wrong("is out of range", "allowed: 1 to 65535"))
    }

    /// Whether the value is text, for settings that take a word or a number.
    pub(super) const fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    /// A duration, without a range.
    pub(super) fn duration(&self) -> Result<Duration, ConfigError> {
        self.to_value().duration(self.key).map_err(|violation| self.violation(&violation))
    }

    /// A duration within `allowed`.
    pub(super) fn duration_in(
        &self,
        allowed: RangeInclusive<Duration>,
    ) -> Result<Duration, ConfigError> {
        let duration = self.duration()?;
        if allowed.contains(&duration) {
            return Ok(duration);
        }
        let [least, most] = [*allowed.start(), *allowed.end()].map(duration::text);
        Err(self.wrong("is out of range", format!("allowed: {least} to {most}")))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, ConfigError> {
        self.to_value().word(self.key, words).map_err(|violation| self.violation(&violation))
    }

    /// The value, for whoever judges it without its place.
    pub(super) fn to_value(&self) -> Value {
        to_value(self.value)
    }

    /// A list of texts, each with its line; where `single` is true, one text will do.
    pub(super) fn texts(&self, single: bool) -> Result<Vec<(&'d str, usize)>, ConfigError> {
        let wrong = || {
            let cure =
                if single { "write text or a list of texts" } else { "write a list of texts" };
            self.wrong("is not a list of texts", cure)
        };
        if let (true, DeValue::String(text)) = (single, self.value) {
            return Ok(vec![(text, self.line())]);
        }
        let DeValue::Array(items) = self.value else { return Err(wrong()) };
        let text = |item: &'d Spanned<DeValue<'d>>| {
            let DeValue::String(text) = item.get_ref() else { return Err(wrong()) };
            Ok((&**text, self.section.doc.line(item.span().start)))
        };
        items.iter().map(text).collect()
    }

    /// The violation by this setting, with its place and the value as it is written.
    pub(super) fn violation(&self, violation: &Violation) -> ConfigError {
        let Problem { what, cure } = violation.wrong.problem(self.key, &self.written());
        self.error(what, cure)
    }

    /// The problem with the part of the value in line `line`.
    pub(super) fn problem_in(&self, line: usize, problem: Problem) -> ConfigError {
        problem.at(self.section.place(line))
    }

    const fn kind(&self) -> &'static str {
        kind(self.value)
    }
}

fn to_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text((**text).to_owned()),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            number.map_or(Value::Other("a huge number"), Value::Number)
        }
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| to_value(item.get_ref())).collect())
        }
        DeValue::Table(table) => {
            let pair = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                (key.clone().into_owned(), to_value(value.get_ref()))
            };
            Value::Table(table.iter().map(pair).collect())
        }
        DeValue::Float(_) | DeValue::Datetime(_) => Value::Other(kind(value)),
    }
}

const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Table(_) => "a table",
        DeValue::Array(_) => "a list",
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
    }
}

/// What is wrong with a name or id.
pub(super) fn name_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > NAME_CHARS_MAX {
        Some("is too long")
    } else if name.contains(char::is_control) {
        Some("has control characters")
    } else {
        None
    }
}
