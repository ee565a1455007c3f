//! Targets as JSON: an array of objects with `id`, `address`, `port`, `zone`, `weight`,
//! `lifecycle`.
//!
//! Read object by object, each handed out before the next one is read. Errors carry the line, and
//! unknown keys the nearest one, so the objects are taken apart by hand.

use super::Lifecycle;
use super::error::{ConfigError, Problem, nearest, quoted};
use super::file::name_problem;
use super::scalar::Scalar;
use super::target_file::{Counted, Entry, Take, cannot_read};
use super::targets::{TargetRange, parse_target};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;
use std::io::Read;
use std::net::IpAddr;

const KEYS: [&str; 6] = ["id", "address", "port", "zone", "weight", "lifecycle"];
/// Weights that either vendor knows (AWS up to 999, Alibaba up to 100), and one more.
const WEIGHT_MAX: u16 = 1_000;

pub(super) fn read(
    file: &str,
    source: Counted<'_, impl Read>,
    line: &Cell<u32>,
    take: &mut Take<'_>,
) -> Result<(), ConfigError> {
    let mut json = serde_json::Deserializer::from_reader(source);
    let mut list = List { file, line, take, error: None };
    let result = (&mut list).deserialize(&mut json).and_then(|()| json.end());
    match (list.error, result) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => Err(json_error(file, line.get(), error)),
    }
}

fn json_error(file: &str, line: u32, error: serde_json::Error) -> ConfigError {
    if error.is_io() {
        return cannot_read(file, &error.into());
    }
    let text = error.to_string();
    let what =
        text.split(" at line ").next().unwrap_or_default().replace("EOF while", "file ends while");
    let at = u32::try_from(error.line()).ok().filter(|&line| line > 0).unwrap_or(line);
    Problem::new(what, "write a JSON array of objects as {\"address\":\"10.0.0.1\",\"port\":80}")
        .at(format!("{file}:{at}"))
}

/// The array.
struct List<'a, 't> {
    file: &'a str,
    line: &'a Cell<u32>,
    take: &'a mut Take<'t>,
    /// The error that ended the reading, where it is not one of the JSON syntax.
    error: Option<ConfigError>,
}

impl<'de> DeserializeSeed<'de> for &mut List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Object(&mut *self))?.is_some() {}
        Ok(())
    }
}

/// One object of the array.
struct Object<'a, 'b, 't>(&'a mut List<'b, 't>);

impl<'de> DeserializeSeed<'de> for Object<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an address")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        let list = self.0;
        let first_line = list.line.get();
        let mut fields = Fields::default();
        while let Some(key) = pairs.next_key::<String>()? {
            let line = list.line.get();
            let value = pairs.next_value()?;
            if let Err(problem) = fields.set(&key, value) {
                return Err(stop(list, problem, line));
            }
        }
        let entry = match fields.finish() {
            Ok(entry) => entry,
            Err(problem) => return Err(stop(list, problem, first_line)),
        };
        (list.take)(entry, first_line).map_err(|error| {
            list.error = Some(error);
            A::Error::custom("stop")
        })
    }
}

/// Ends the reading with `problem` in line `line`.
fn stop<E: Error>(list: &mut List<'_, '_>, problem: Problem, line: u32) -> E {
    list.error = Some(problem.at(format!("{}:{line}", list.file)));
    E::custom("stop")
}

/// The values of an object, each checked for itself.
#[derive(Default)]
struct Fields {
    id: Option<Box<str>>,
    address: Option<IpAddr>,
    port: Option<u16>,
    zone: Option<String>,
    weight: Option<u16>,
    lifecycle: Option<Lifecycle>,
}

impl Fields {
    fn set(&mut self, key: &str, value: Scalar) -> Result<(), Problem> {
        if !KEYS.contains(&key) {
            return Err(Problem::new(format!("unknown key {}", quoted(key)), nearest(key, &KEYS)));
        }
        if matches!(value, Scalar::Null) {
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
        if again {
            return Err(Problem::new(format!("key {key:?} is given twice"), "remove one of them"));
        }
        Ok(())
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

impl Scalar {
    fn wrong(&self, key: &str, cure: impl Into<String>) -> Problem {
        Problem::new(format!("{key} {} is not allowed", self.shown()), cure)
    }

    fn name(self, key: &str) -> Result<String, Problem> {
        match self {
            Self::Text(text) if name_problem(&text).is_none() => Ok(text),
            Self::Null | Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Other(_) => {
                Err(self.wrong(key, "use text of 1 to 255 printable characters"))
            }
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

    fn number_in(self, key: &str, least: u16, most: u16) -> Result<u16, Problem> {
        let number = match &self {
            Self::Number(number) => u16::try_from(*number).ok(),
            Self::Null | Self::Text(_) | Self::Bool(_) | Self::Other(_) => None,
        };
        let in_range = number.filter(|number| (least..=most).contains(number));
        in_range
            .ok_or_else(|| self.wrong(key, format!("allowed: {least} to {most}, without quotes")))
    }

    fn lifecycle(self) -> Result<Lifecycle, Problem> {
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
