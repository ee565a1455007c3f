//! Settings of a health check as JSON, read and written by hand: an unknown key is an error that
//! names the nearest one, and what is written is what the API shows and the store keeps.

use super::duration;
use super::error::{Problem, nearest, quoted, shortened};
use super::protocol::CheckProtocol;
use super::spec::{
    CheckPort, HealthCheckSpec, KEYS, TLS, TRAFFIC_PORT, close_name, handshake_name, proxy_name,
};
use super::tls_spec::TlsSpec;
use super::value::Value;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

/// Reads a JSON object with settings, as the body of a request or a row of the store.
///
/// # Errors
/// One line that says what is wrong and what would be right.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let what = text.strip_suffix(&place).unwrap_or(&text);
        // What our readers say is short and has its cure; the rest is about the JSON.
        if error.is_data() && !what.starts_with("invalid type: ") {
            return what.to_owned();
        }
        let what = shortened(what).replace("EOF while", "text ends while");
        let place = format!("line {} column {}", error.line(), error.column());
        Problem::new(what, "write a JSON object").at(place).to_string()
    })
}

impl<'de> Deserialize<'de> for HealthCheckSpec {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(SpecVisitor)
    }
}

struct SpecVisitor;

impl<'de> Visitor<'de> for SpecVisitor {
    type Value = HealthCheckSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the settings of a health check")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<HealthCheckSpec, A::Error> {
        let mut spec = HealthCheckSpec::default();
        let mut seen = Vec::with_capacity(KEYS.len());
        while let Some(written) = pairs.next_key::<String>()? {
            let key = known_key(&written, &KEYS, &mut seen)
                .map_err(|problem| A::Error::custom(problem.at("health_check")))?;
            let value: Value = pairs.next_value()?;
            if key == TLS {
                spec.tls = TlsSpec::from_json(&value).map_err(A::Error::custom)?;
                continue;
            }
            spec.set(key, &value)
                .map_err(|violation| A::Error::custom(violation.problem().at("health_check")))?;
        }
        Ok(spec)
    }
}

/// The one of `keys` that was `written`; each may come once.
pub(super) fn known_key(
    written: &str,
    keys: &[&'static str],
    seen: &mut Vec<&'static str>,
) -> Result<&'static str, Problem> {
    let Some(&key) = keys.iter().find(|&&key| key == written) else {
        return Err(Problem::new(
            format!("unknown key {}", quoted(written)),
            nearest(written, keys),
        ));
    };
    if seen.contains(&key) {
        return Err(Problem::new(format!("key {key:?} is given twice"), "remove one of them"));
    }
    seen.push(key);
    Ok(key)
}

/// Settings that are not given are left out; of a check with a request the host is there, if only
/// as null.
impl Serialize for HealthCheckSpec {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let mut map = json.serialize_map(None)?;
        put(&mut map, "enabled", self.enabled)?;
        put(&mut map, "protocol", self.protocol.map(CheckProtocol::name))?;
        match self.port {
            None => {}
            Some(CheckPort::Traffic) => map.serialize_entry("port", TRAFFIC_PORT)?,
            Some(CheckPort::Number(port)) => map.serialize_entry("port", &port)?,
        }
        put(&mut map, "interval", self.interval.map(duration::text))?;
        put(&mut map, "timeout", self.timeout.map(duration::text))?;
        put(&mut map, "healthy_threshold", self.healthy_threshold)?;
        put(&mut map, "unhealthy_threshold", self.unhealthy_threshold)?;
        put(&mut map, "close", self.close.map(close_name))?;
        put(&mut map, "handshake", self.handshake.map(handshake_name))?;
        put(&mut map, "path", self.path.as_ref())?;
        if self.host.is_some() || self.protocol.is_some_and(|protocol| protocol.has("host")) {
            map.serialize_entry("host", &self.host)?;
        }
        put(&mut map, "matcher", self.matcher.as_ref())?;
        put(&mut map, "method", self.method.map(|method| method.name()))?;
        put(&mut map, "http_version", self.http_version.map(|version| version.name()))?;
        put(&mut map, "headers", self.headers.as_ref())?;
        put(&mut map, "body", self.body.as_ref())?;
        put(&mut map, "body_contains", self.body_contains.as_ref())?;
        put(&mut map, "body_regex", self.body_regex.as_ref())?;
        put(&mut map, "send", self.send.as_ref())?;
        put(&mut map, "expect", self.expect.as_ref())?;
        put(&mut map, "grpc_service", self.grpc_service.as_ref())?;
        put(&mut map, "proxy_protocol", self.proxy_protocol.map(proxy_name))?;
        put(&mut map, "reuse", self.reuse)?;
        put(&mut map, "fresh_connection_every", self.fresh_connection_every)?;
        put(&mut map, TLS, Some(&self.tls).filter(|tls| !tls.is_empty()))?;
        map.end()
    }
}

/// The entry `key`, if there is a value for it.
pub(super) fn put<M: SerializeMap>(
    map: &mut M,
    key: &'static str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(key, &value),
        None => Ok(()),
    }
}
