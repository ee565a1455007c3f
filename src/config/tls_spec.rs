//! `tls` of a health check as somebody gave it: the settings of HTTPS, TLS and GRPCS checks.

use super::error::{ConfigError, quoted};
use super::pem_files;
use super::protocol::CheckProtocol;
use super::spec::HealthCheckSpec;
use super::spec_json::{known_key, put};
use super::tls::{Files, Tls};
use super::value::Value;
use super::violation::{Violation, Wrong};
use crate::check::tls::{Client, Error, Settings};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::path::{Path, PathBuf};

/// What is offered to a gRPC server.
const H2: &str = "h2";
const ALPN_MAX: usize = 8;
const ALPN_CHARS_MAX: usize = 255;
const FULL_HANDSHAKE_DEFAULT: i64 = 10;

/// Settings of TLS; none: the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSpec {
    /// Whether the certificate is verified.
    pub verify: Option<bool>,
    /// PEM file with the roots to verify by; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file with our certificate and its chain.
    pub client_cert: Option<PathBuf>,
    /// PEM file with our key.
    pub client_key: Option<PathBuf>,
    /// What is asked for by SNI, and verified.
    pub server_name: Option<String>,
    /// Protocols that are offered by ALPN.
    pub alpn: Option<Vec<String>>,
    /// Every so many probes of a target no session is resumed.
    pub full_handshake_every: Option<i64>,
}

/// Keys of the table, with the name of each setting in an error.
pub(super) const KEYS: [(&str, &str); 7] = [
    ("verify", "tls.verify"),
    ("ca_file", "tls.ca_file"),
    ("client_cert", "tls.client_cert"),
    ("client_key", "tls.client_key"),
    ("server_name", "tls.server_name"),
    ("alpn", "tls.alpn"),
    ("full_handshake_every", "tls.full_handshake_every"),
];

impl TlsSpec {
    /// Whether no setting is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes over every setting that `newer` has. Who stops to verify needs no roots.
    pub(super) fn overlay(&mut self, newer: Self) {
        if newer.verify == Some(false) {
            self.ca_file = None;
        }
        let older = std::mem::take(self);
        *self = Self {
            verify: newer.verify.or(older.verify),
            ca_file: newer.ca_file.or(older.ca_file),
            client_cert: newer.client_cert.or(older.client_cert),
            client_key: newer.client_key.or(older.client_key),
            server_name: newer.server_name.or(older.server_name),
            alpn: newer.alpn.or(older.alpn),
            full_handshake_every: newer.full_handshake_every.or(older.full_handshake_every),
        };
    }

    /// The first setting that is given, and its value.
    pub(super) fn first(&self) -> Option<(&'static str, String)> {
        let path = |path: &Option<PathBuf>| path.as_deref().map(shown);
        let settings = [
            ("tls.verify", self.verify.map(|verify| verify.to_string())),
            ("tls.ca_file", path(&self.ca_file)),
            ("tls.client_cert", path(&self.client_cert)),
            ("tls.client_key", path(&self.client_key)),
            ("tls.server_name", self.server_name.as_deref().map(quoted)),
            ("tls.alpn", self.alpn.as_ref().map(|_| "a list".to_owned())),
            ("tls.full_handshake_every", self.full_handshake_every.map(|every| every.to_string())),
        ];
        settings.into_iter().find_map(|(setting, value)| Some((setting, value?)))
    }

    fn full_handshake_every(&self) -> Result<u16, Violation> {
        let every = self.full_handshake_every.unwrap_or(FULL_HANDSHAKE_DEFAULT);
        let fits = u16::try_from(every).ok().filter(|every| (1..=1_000).contains(every));
        fits.ok_or_else(|| {
            let (setting, value) = ("tls.full_handshake_every", every.to_string());
            Violation::malformed(setting, value, "is out of range", "allowed: 1 to 1000")
        })
    }

    /// Nothing is offered that the check could not speak.
    fn alpn(&self, protocol: CheckProtocol) -> Result<Vec<String>, Violation> {
        let h2 = || vec![H2.to_owned()];
        let Some(alpn) = &self.alpn else {
            return Ok(if protocol == CheckProtocol::Grpcs { h2() } else { Vec::new() });
        };
        let part = |what: String, cure: &str| {
            let wrong = Wrong::Part { what, cure: cure.to_owned() };
            Err(Violation { setting: "tls.alpn", value: "a list".to_owned(), wrong })
        };
        let fits = |name: &String| (1..=ALPN_CHARS_MAX).contains(&name.len());
        if let Some(name) = alpn.iter().find(|name| !fits(name)) {
            return part(format!("has {}", quoted(name)), "allowed: names of 1 to 255 bytes");
        }
        if alpn.len() > ALPN_MAX {
            return part(format!("has {} names", alpn.len()), "allowed: up to 8");
        }
        let is_h2 = |name: &String| name == H2;
        match protocol {
            CheckProtocol::Grpcs if !alpn.iter().any(is_h2) => {
                part("has no \"h2\", which gRPC needs".to_owned(), "add \"h2\"")
            }
            CheckProtocol::Https if alpn.iter().any(is_h2) => {
                let what = "has \"h2\", which an HTTPS check does not speak";
                part(what.to_owned(), "use \"http/1.1\"")
            }
            CheckProtocol::Tcp
            | CheckProtocol::Http
            | CheckProtocol::Https
            | CheckProtocol::Tls
            | CheckProtocol::Udp
            | CheckProtocol::Grpc
            | CheckProtocol::Grpcs => Ok(alpn.clone()),
        }
    }

    /// Sets `setting`, the second of a pair of [`KEYS`], as far as it has the form; a null changes
    /// nothing. A path is relative to `directory`; none: it must be absolute.
    pub(super) fn set(
        &mut self,
        setting: &'static str,
        value: &Value,
        directory: Option<&Path>,
    ) -> Result<(), Violation> {
        if *value == Value::Null {
            return Ok(());
        }
        let file = || path(setting, value, directory);
        match setting {
            "tls.verify" => self.verify = Some(value.boolean(setting)?),
            "tls.ca_file" => self.ca_file = Some(file()?),
            "tls.client_cert" => self.client_cert = Some(file()?),
            "tls.client_key" => self.client_key = Some(file()?),
            "tls.server_name" => self.server_name = Some(value.text(setting)?.to_owned()),
            "tls.alpn" => self.alpn = Some(value.texts(setting)?),
            _ => {
                debug_assert_eq!(setting, "tls.full_handshake_every");
                self.full_handshake_every = Some(value.number(setting, "1 to 1000")?);
            }
        }
        Ok(())
    }

    /// The settings that the object `value` gives.
    pub(super) fn from_json(value: &Value) -> Result<Self, ConfigError> {
        let pairs = match value {
            Value::Null => return Ok(Self::default()),
            Value::Table(pairs) => pairs,
            Value::Text(_)
            | Value::Number(_)
            | Value::Bool(_)
            | Value::List(_)
            | Value::Other(_) => {
                let cure = "write it as {\"verify\":true}";
                let wrong = value.malformed("tls", "is not an object", cure);
                return Err(wrong.problem().at("health_check"));
            }
        };
        let mut spec = Self::default();
        let mut seen = Vec::with_capacity(KEYS.len());
        for (written, value) in pairs {
            let key = known_key(written, &KEYS.map(|(key, _)| key), &mut seen)
                .map_err(|problem| problem.at("health_check.tls"))?;
            let (_, setting) = KEYS.into_iter().find(|(known, _)| *known == key).unwrap_or(KEYS[0]);
            spec.set(setting, value, None)
                .map_err(|violation| violation.problem().at("health_check"))?;
        }
        Ok(spec)
    }
}

fn path(
    setting: &'static str,
    value: &Value,
    directory: Option<&Path>,
) -> Result<PathBuf, Violation> {
    let text = value.text(setting)?;
    if text.is_empty() || text.contains('\0') {
        return Err(value.malformed(setting, "is not a path", "write the path of a PEM file"));
    }
    let path = Path::new(text);
    match directory {
        Some(directory) => Ok(directory.join(path)),
        None if path.is_absolute() => Ok(path.to_owned()),
        None => Err(value.malformed(setting, "is not an absolute path", "begin it with /")),
    }
}

impl HealthCheckSpec {
    /// How handshakes of a check with `protocol` and `host` are made.
    pub(super) fn tls(
        &self,
        host: Option<&str>,
        protocol: CheckProtocol,
        files: Files,
    ) -> Result<Tls, Violation> {
        let tls = &self.tls;
        let settings = Settings {
            verify: tls.verify.unwrap_or(false),
            ca_file: tls.ca_file.clone(),
            client_cert: tls.client_cert.clone(),
            client_key: tls.client_key.clone(),
            server_name: tls.server_name.clone(),
            alpn: tls.alpn(protocol)?,
            full_handshake_every: tls.full_handshake_every()?,
        };
        let client =
            pem_files::read(&settings).and_then(|pems| Client::new(&settings, host, &pems));
        let why = match client {
            Ok(client) => return Ok(Tls::Ready(client)),
            Err(Error { key, what, cure }) => {
                let wrong = Wrong::Part { what, cure: cure.to_owned() };
                Violation { setting: key, value: String::new(), wrong }
            }
        };
        match files {
            Files::Needed => Err(why),
            Files::OnceTaken => Ok(Tls::HeldBack { settings, why: Box::new(why) }),
        }
    }
}

/// A path as it stands in an error.
pub(super) fn shown(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// Settings that are not given are left out.
impl Serialize for TlsSpec {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let mut map = json.serialize_map(None)?;
        put(&mut map, "verify", self.verify)?;
        put(&mut map, "ca_file", self.ca_file.as_ref())?;
        put(&mut map, "client_cert", self.client_cert.as_ref())?;
        put(&mut map, "client_key", self.client_key.as_ref())?;
        put(&mut map, "server_name", self.server_name.as_ref())?;
        put(&mut map, "alpn", self.alpn.as_ref())?;
        put(&mut map, "full_handshake_every", self.full_handshake_every)?;
        map.end()
    }
}
