//! The marks of a target in the body of a request: `{"lifecycle","weight"}`.

use super::Lifecycle;
use super::spec_json::known_key;
use super::target_fields::WEIGHT_MAX;
use super::value::Value;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;

const KEYS: [&str; 2] = ["lifecycle", "weight"];

/// New marks; none: as it is. As JSON an object in which null is as good as absent; see
/// [`super::from_json`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkSpec {
    /// Whether the target runs.
    pub lifecycle: Option<Lifecycle>,
    /// Its weight.
    pub weight: Option<u16>,
}

impl<'de> Deserialize<'de> for MarkSpec {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(SpecVisitor)
    }
}

struct SpecVisitor;

impl<'de> Visitor<'de> for SpecVisitor {
    type Value = MarkSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the marks of a target")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<MarkSpec, A::Error> {
        let error = |problem: super::Problem| A::Error::custom(problem.at("target"));
        let mut spec = MarkSpec::default();
        let mut seen = Vec::with_capacity(KEYS.len());
        while let Some(written) = pairs.next_key::<String>()? {
            let key = known_key(&written, &KEYS, &mut seen).map_err(error)?;
            match (key, pairs.next_value::<Value>()?) {
                (_, Value::Null) => {}
                ("weight", value) => {
                    spec.weight = Some(value.number_in(key, 0, WEIGHT_MAX).map_err(error)?);
                }
                (_, value) => spec.lifecycle = Some(value.lifecycle().map_err(error)?),
            }
        }
        Ok(spec)
    }
}
