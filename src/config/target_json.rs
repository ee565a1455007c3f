//! Targets as JSON: an array of objects, alone in a targets file, or as `targets` in the body of a
//! request.
//!
//! Read object by object, each handed out before the next one is read. Errors carry the line of the
//! file or the index in the body, and unknown keys the nearest one, so the objects are taken apart
//! by hand.

use super::TargetName;
use super::error::{ConfigError, Problem, nearest, quoted, shortened};
use super::target_fields::{Element, NameFields, TargetFields};
use super::target_file::{Counted, Entry, Take, cannot_read};
use super::value::Value;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;
use std::io::Read;

/// Hands out the targets of a file.
pub(super) fn read(
    file: &str,
    source: Counted<'_, impl Read>,
    line: &Cell<u32>,
    take: &mut Take<'_>,
) -> Result<(), ConfigError> {
    let mut json = serde_json::Deserializer::from_reader(source);
    let mut list = List::<TargetFields> { place: Place::Line { file, line }, take, error: None };
    let result = (&mut list).deserialize(&mut json).and_then(|()| json.end());
    match (list.error, result) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) if error.is_io() => Err(cannot_read(file, &error.into())),
        (None, Err(error)) => {
            let at = u32::try_from(error.line()).ok().filter(|&at| at > 0);
            let cure = "write a JSON array of objects as {\"address\":\"10.0.0.1\",\"port\":80}";
            let place = format!("{file}:{}", at.unwrap_or_else(|| line.get()));
            Err(Problem::new(syntax(&error, "file"), cure).at(place))
        }
    }
}

/// Hands out the targets of a body `{"targets":[…]}`, each with its index.
pub(super) fn read_targets(
    body: &[u8],
    take: &mut dyn FnMut(Entry, u32) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    read_body::<TargetFields>(body, take)
}

/// Hands out the names of targets in a body `{"targets":[…]}`, each with its index.
pub(super) fn read_names(
    body: &[u8],
    take: &mut dyn FnMut(TargetName, u32) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    read_body::<NameFields>(body, take)
}

fn read_body<E: Element>(body: &[u8], take: &mut TakeItem<'_, E::Item>) -> Result<(), ConfigError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let index = Cell::new(0);
    let mut list = List::<E> { place: Place::Index(&index), take, error: None };
    let result = Body(&mut list).deserialize(&mut json).and_then(|()| json.end());
    match (list.error, result) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => {
            let place = format!("body, line {} column {}", error.line(), error.column());
            Err(Problem::new(syntax(&error, "body"), E::BODY_CURE).at(place))
        }
    }
}

/// What serde_json says is wrong with a text that is called `source`.
fn syntax(error: &serde_json::Error, source: &str) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    shortened(what).replace("EOF while", &format!("{source} ends while"))
}

/// Who takes the elements, each with its mark.
type TakeItem<'a, I> = dyn FnMut(I, u32) -> Result<(), ConfigError> + 'a;

/// What errors call a place, by the mark that was set there.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// The mark is the line of a file.
    Line { file: &'a str, line: &'a Cell<u32> },
    /// The mark is the index of an element of the body.
    Index(&'a Cell<u32>),
}

impl Place<'_> {
    fn mark(self) -> u32 {
        match self {
            Self::Line { line: mark, .. } | Self::Index(mark) => mark.get(),
        }
    }

    /// The place of `key`, or of the element as a whole.
    fn at(self, mark: u32, key: Option<&str>) -> String {
        match (self, key) {
            (Self::Line { file, .. }, _) => format!("{file}:{mark}"),
            (Self::Index(_), Some(key)) => format!("targets[{mark}].{key}"),
            (Self::Index(_), None) => format!("targets[{mark}]"),
        }
    }
}

/// The array.
struct List<'a, E: Element> {
    place: Place<'a>,
    take: &'a mut TakeItem<'a, E::Item>,
    /// The error that ended the reading, where it is not one of the JSON syntax.
    error: Option<ConfigError>,
}

impl<E: Element> List<'_, E> {
    /// Ends the reading with `error`.
    fn stop<J: Error>(&mut self, error: ConfigError) -> J {
        self.error = Some(error);
        J::custom("stop")
    }
}

impl<'de, E: Element> DeserializeSeed<'de> for &mut List<'_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, E: Element> Visitor<'de> for &mut List<'_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Object(&mut *self))?.is_some() {
            if let Place::Index(index) = self.place {
                index.set(index.get().saturating_add(1));
            }
        }
        Ok(())
    }
}

/// The object around the array.
struct Body<'l, 'a, E: Element>(&'l mut List<'a, E>);

impl<'de, E: Element> DeserializeSeed<'de> for Body<'_, '_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, E: Element> Visitor<'de> for Body<'_, '_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with targets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        let list = self.0;
        let mut seen = false;
        while let Some(key) = pairs.next_key::<String>()? {
            if key != "targets" {
                let what = format!("unknown key {}", quoted(&key));
                let problem = Problem::new(what, nearest(&key, &["targets"]));
                return Err(list.stop(problem.at("body")));
            }
            if std::mem::replace(&mut seen, true) {
                let problem = Problem::new("key \"targets\" is given twice", "remove one of them");
                return Err(list.stop(problem.at("body")));
            }
            pairs.next_value_seed(&mut *list)?;
        }
        if !seen {
            return Err(list.stop(Problem::new("no targets", E::BODY_CURE).at("body")));
        }
        Ok(())
    }
}

/// One object of the array.
struct Object<'l, 'a, E: Element>(&'l mut List<'a, E>);

impl<'de, E: Element> DeserializeSeed<'de> for Object<'_, '_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, E: Element> Visitor<'de> for Object<'_, '_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an address")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<(), A::Error> {
        let list = self.0;
        let place = list.place;
        let first = place.mark();
        let mut fields = E::default();
        while let Some(key) = pairs.next_key::<String>()? {
            let mark = place.mark();
            let value: Value = pairs.next_value()?;
            let Some(&known) = E::KEYS.iter().find(|&&known| known == key) else {
                let what = format!("unknown key {}", quoted(&key));
                let problem = Problem::new(what, nearest(&key, E::KEYS));
                return Err(list.stop(problem.at(place.at(mark, None))));
            };
            if let Err(problem) = fields.set(known, value) {
                return Err(list.stop(problem.at(place.at(mark, Some(known)))));
            }
        }
        let item = match fields.finish() {
            Ok(item) => item,
            Err(problem) => return Err(list.stop(problem.at(place.at(first, None)))),
        };
        (list.take)(item, first).map_err(|error| list.stop(error))
    }
}
