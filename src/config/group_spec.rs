//! The settings of a group apart from its name and targets, as somebody gave them: what the file,
//! `PUT` and `PATCH` of the native API and the store have in common.

use super::error::{Problem, quoted};
use super::file::name_problem;
use super::rules::Rules;
use super::spec::HealthCheckSpec;
use super::spec_json::{known_key, put};
use super::tls::Files;
use super::value::Value;
use super::violation::Violation;
use super::{GroupConfig, Origin, duration};
use crate::limits::DEREGISTRATION_DELAY_MAX;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::time::Duration;

const KEYS: [&str; 4] = ["rules", "port", "deregistration_delay", "health_check"];
const DEREGISTRATION_DELAY: Duration = Duration::from_secs(300);

/// Settings of a group; none: the default. As JSON an object with the keys of the file, where null
/// is as good as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSpec {
    /// Rule set; `classic` unless given.
    pub rules: Option<Rules>,
    /// Default port of its targets.
    pub port: Option<u16>,
    /// How long a target drains; 300 s unless given.
    pub deregistration_delay: Option<Duration>,
    /// The health check.
    pub health_check: HealthCheckSpec,
}

impl GroupSpec {
    /// All settings of `group`, the defaults among them.
    #[must_use]
    pub fn of(group: &GroupConfig) -> Self {
        Self {
            rules: Some(group.rules),
            port: group.port,
            deregistration_delay: Some(group.deregistration_delay),
            health_check: HealthCheckSpec::of(&group.health_check),
        }
    }

    /// Takes over every setting that `newer` has; see [`HealthCheckSpec::overlay`].
    pub fn overlay(&mut self, newer: Self) {
        self.rules = newer.rules.or(self.rules);
        self.port = newer.port.or(self.port);
        self.deregistration_delay = newer.deregistration_delay.or(self.deregistration_delay);
        self.health_check.overlay(newer.health_check);
    }

    /// The group that these settings and the defaults make, without targets.
    ///
    /// # Errors
    /// The first setting that cannot be; `setting` is a key of the health check too.
    pub fn build(&self, name: &str, id: String, origin: Origin) -> Result<GroupConfig, Violation> {
        self.build_with(name, id, origin, Files::Needed)
    }

    /// The same of a group that was taken before. Where a file that it needs cannot be read any
    /// more, its health check is held back ([`Tls::HeldBack`](super::Tls)), and that is no error.
    ///
    /// # Errors
    /// As [`GroupSpec::build`].
    pub fn build_once_taken(
        &self,
        name: &str,
        id: String,
        origin: Origin,
    ) -> Result<GroupConfig, Violation> {
        self.build_with(name, id, origin, Files::OnceTaken)
    }

    fn build_with(
        &self,
        name: &str,
        id: String,
        origin: Origin,
        files: Files,
    ) -> Result<GroupConfig, Violation> {
        for (setting, text) in [("name", name), ("id", &id)] {
            if let Some(problem) = name_problem(text) {
                let cure = "use 1 to 255 printable characters";
                return Err(Violation::malformed(setting, quoted(text), problem, cure));
            }
        }
        let rules = self.rules.unwrap_or_default();
        Ok(GroupConfig {
            name: name.to_owned(),
            id,
            rules,
            deregistration_delay: self.delay()?,
            port: self.checked_port()?,
            health_check: self.health_check.build_with(rules, files)?,
            targets: Vec::new(),
            targets_files: Vec::new(),
            origin,
        })
    }

    fn delay(&self) -> Result<Duration, Violation> {
        let delay = self.deregistration_delay.unwrap_or(DEREGISTRATION_DELAY);
        if delay > DEREGISTRATION_DELAY_MAX {
            let value = quoted(&duration::text(delay));
            let cure = "allowed: 0s to 1h";
            let setting = "deregistration_delay";
            return Err(Violation::malformed(setting, value, "is out of range", cure));
        }
        Ok(delay)
    }

    fn checked_port(&self) -> Result<Option<u16>, Violation> {
        if self.port == Some(0) {
            let cure = "allowed: 1 to 65535";
            return Err(Violation::malformed("port", "0".to_owned(), "is out of range", cure));
        }
        Ok(self.port)
    }

    /// Sets `key`, one of [`KEYS`] but for `health_check`; a null changes nothing.
    pub(super) fn set(&mut self, key: &'static str, value: &Value) -> Result<(), Violation> {
        if *value == Value::Null {
            return Ok(());
        }
        match key {
            "rules" => {
                let words = Rules::ALL.map(|rules| (rules.name(), rules));
                self.rules = Some(value.word(key, &words)?);
            }
            "port" => self.port = Some(value.port(key)?),
            _ => {
                debug_assert_eq!(key, "deregistration_delay");
                self.deregistration_delay = Some(value.duration(key)?);
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for GroupSpec {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(SpecVisitor)
    }
}

struct SpecVisitor;

impl<'de> Visitor<'de> for SpecVisitor {
    type Value = GroupSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the settings of a group")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<GroupSpec, A::Error> {
        let error = |problem: Problem| A::Error::custom(problem.at("group"));
        let mut spec = GroupSpec::default();
        let mut seen = Vec::with_capacity(KEYS.len());
        while let Some(written) = pairs.next_key::<String>()? {
            let key = known_key(&written, &KEYS, &mut seen).map_err(error)?;
            if key == "health_check" {
                let check: Option<HealthCheckSpec> = pairs.next_value()?;
                spec.health_check = check.unwrap_or_default();
                continue;
            }
            let value: Value = pairs.next_value()?;
            spec.set(key, &value).map_err(|violation| error(violation.problem()))?;
        }
        Ok(spec)
    }
}

/// Settings that are not given are left out.
impl Serialize for GroupSpec {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let mut map = json.serialize_map(None)?;
        put(&mut map, "rules", self.rules.map(Rules::name))?;
        put(&mut map, "port", self.port)?;
        put(&mut map, "deregistration_delay", self.deregistration_delay.map(duration::text))?;
        if !self.health_check.is_empty() {
            map.serialize_entry("health_check", &self.health_check)?;
        }
        map.end()
    }
}
