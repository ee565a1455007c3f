//! The fields of a target, or of the name of one, as JSON has them: each is checked for itself, and
//! then all of them together.

use super::error::{Problem, nearest};
use super::file::name_problem;
use super::target_file::Entry;
use super::targets::{TargetRange, parse_target};
use super::value::Value;
use super::{Lifecycle, TargetName};
use std::net::IpAddr;

/// Weights that either vendor knows (AWS up to 999, Alibaba up to 100), and one more.
pub(super) const WEIGHT_MAX: u16 = 1_000;

/// What the objects of a list of targets hold.
pub(super) trait Element: Default {
    /// What comes of an object.
    type Item;
    /// Its keys.
    const KEYS: &'static [&'static str];
    /// What a body with such objects looks like.
    const BODY_CURE: &'static str;

    /// Sets `key`, one of [`Element::KEYS`]; a null changes nothing.
    fn set(&mut self, key: &'static str, value: Value) -> Result<(), Problem>;

    /// The item that all fields make.
    fn finish(self) -> Result<Self::Item, Problem>;
}

/// The values of a target.
#[derive(Default)]
pub(super) struct TargetFields {
    id: Option<Box<str>>,
    address: Option<IpAddr>,
    port: Option<u16>,
    zone: Option<String>,
    weight: Option<u16>,
    lifecycle: Option<Lifecycle>,
}

impl Element for TargetFields {
    type Item = Entry;
    const KEYS: &'static [&'static str] = &["id", "address", "port", "zone", "weight", "lifecycle"];
    const BODY_CURE: &'static str = "write {\"targets\":[{\"address\":\"10.0.0.1\",\"port\":80}]}";

    fn set(&mut self, key: &'static str, value: Value) -> Result<(), Problem> {
        if matches!(value, Value::Null) {
            return Ok(());
        }
        let again = match key {
            "id" => self.id.replace(value.name(key)?.into()).is_some(),
            "address" => self.address.replace(value.address()?).is_some(),
            "port" => self.port.replace(value.number_in(key, 1, u16::MAX)?).is_some(),
            "zone" => self.zone.replace(value.name(key)?).is_some(),
            "weight" => self.weight.replace(value.number_in(key, 0, WEIGHT_MAX)?).is_some(),
            _ => self.lifecycle.replace(value.lifecycle()?).is_some(),
        };
        once(key, again)
    }

    fn finish(self) -> Result<Entry, Problem> {
        let no_address = || Problem::new("target without address", "add \"address\"");
        let address = self.address.ok_or_else(no_address)?;
        let id = match self.id.as_deref().map(str::parse::<IpAddr>) {
            Some(Ok(id)) if id.to_canonical() != address => {
                let what = format!("id {:?} is another address than {address}", id.to_string());
                return Err(Problem::new(what, "change the id, or leave it out"));
            }
            Some(Ok(_)) | None => None,
            Some(Err(_)) => self.id,
        };
        Ok(Entry {
            range: TargetRange::single(address, self.port),
            id,
            zone: self.zone,
            weight: self.weight,
            lifecycle: self.lifecycle.unwrap_or_default(),
        })
    }
}

/// The values of the name of a target.
#[derive(Default)]
pub(super) struct NameFields {
    id: Option<Box<str>>,
    address: Option<IpAddr>,
    port: Option<u16>,
}

impl Element for NameFields {
    type Item = TargetName;
    const KEYS: &'static [&'static str] = &["id", "address", "port"];
    const BODY_CURE: &'static str = "write {\"targets\":[{\"id\":\"10.0.0.1\",\"port\":80}]}";

    fn set(&mut self, key: &'static str, value: Value) -> Result<(), Problem> {
        if matches!(value, Value::Null) {
            return Ok(());
        }
        let again = match key {
            "id" => self.id.replace(value.name(key)?.into()).is_some(),
            "address" => self.address.replace(value.address()?).is_some(),
            _ => self.port.replace(value.number_in(key, 1, u16::MAX)?).is_some(),
        };
        once(key, again)
    }

    fn finish(self) -> Result<TargetName, Problem> {
        let id = match (self.id, self.address) {
            (Some(id), None) => id,
            (None, Some(address)) => address.to_string().into(),
            (None, None) => {
                return Err(Problem::new("target without id", "add \"id\" or \"address\""));
            }
            (Some(_), Some(_)) => {
                return Err(Problem::new("target with id and address", "name it by one of them"));
            }
        };
        Ok(TargetName { id, port: self.port })
    }
}

/// Refuses a key that comes `again`.
fn once(key: &str, again: bool) -> Result<(), Problem> {
    if again {
        return Err(Problem::new(format!("key {key:?} is given twice"), "remove one of them"));
    }
    Ok(())
}

impl Value {
    fn wrong(&self, key: &str, cure: impl Into<String>) -> Problem {
        Problem::new(format!("{key} {} is not allowed", self.shown()), cure)
    }

    fn name(self, key: &str) -> Result<String, Problem> {
        match self {
            Self::Text(text) if name_problem(&text).is_none() => Ok(text),
            Self::Null
            | Self::Text(_)
            | Self::Number(_)
            | Self::Bool(_)
            | Self::List(_)
            | Self::Table(_)
            | Self::Other(_) => Err(self.wrong(key, "use text of 1 to 255 printable characters")),
        }
    }

    fn address(self) -> Result<IpAddr, Problem> {
        let Self::Text(text) = &self else {
            return Err(self.wrong("address", "write the address as text"));
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.to_canonical());
        }
        match parse_target(text) {
            Ok(_) => Err(self.wrong("address", "write one address alone, and \"port\" beside it")),
            Err(problem) => Err(problem),
        }
    }

    pub(super) fn number_in(self, key: &str, least: u16, most: u16) -> Result<u16, Problem> {
        let number = match &self {
            Self::Number(number) => u16::try_from(*number).ok(),
            Self::Null
            | Self::Text(_)
            | Self::Bool(_)
            | Self::List(_)
            | Self::Table(_)
            | Self::Other(_) => None,
        };
        let in_range = number.filter(|number| (least..=most).contains(number));
        in_range
            .ok_or_else(|| self.wrong(key, format!("allowed: {least} to {most}, without quotes")))
    }

    pub(super) fn lifecycle(self) -> Result<Lifecycle, Problem> {
        let words = ["running", "stopped", "terminated"];
        let Self::Text(word) = &self else {
            return Err(self.wrong("lifecycle", format!("allowed: {}", words.join(", "))));
        };
        match word.as_str() {
            "running" => Ok(Lifecycle::Running),
            "stopped" => Ok(Lifecycle::Stopped),
            "terminated" => Ok(Lifecycle::Terminated),
            _ => Err(self.wrong("lifecycle", nearest(word, &words))),
        }
    }
}
