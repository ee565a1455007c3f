//! The settings of a health check as somebody gave them, each of them or none: what the file, the
//! native API, the vendors' dialects and the store have in common. Nothing is judged here;
//! [`HealthCheckSpec::build`] does that, for a rule set.

use super::scalar::Scalar;
use super::violation::Violation;
use super::{HealthCheck, Protocol};
use crate::check::http::{Method, Version};
use crate::recipe::{Close, Handshake};
use std::time::Duration;

/// Settings of a health check; none: its default. As JSON an object with the keys of the file
/// (DESIGN 5.1), where null is as good as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheckSpec {
    /// Whether targets are probed at all.
    pub enabled: Option<bool>,
    /// What a probe does.
    pub protocol: Option<CheckProtocol>,
    /// Where it goes.
    pub port: Option<CheckPort>,
    /// HTTP: what is asked for.
    pub path: Option<String>,
    /// HTTP: the Host header.
    pub host: Option<String>,
    /// Gap between probe starts.
    pub interval: Option<Duration>,
    /// Longest time of a probe.
    pub timeout: Option<Duration>,
    /// Passes that make an unhealthy target healthy.
    pub healthy_threshold: Option<i64>,
    /// Failures that make a target unhealthy.
    pub unhealthy_threshold: Option<i64>,
    /// HTTP: statuses that pass, as `200,204` or `200-399`.
    pub matcher: Option<String>,
    /// How a connection ends.
    pub close: Option<Close>,
    /// TCP: how far the handshake goes.
    pub handshake: Option<Handshake>,
    /// HTTP: method of the request.
    pub method: Option<Method>,
    /// HTTP: version of the request.
    pub http_version: Option<Version>,
}

/// Protocol of a health check, whether it can be checked or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the configuration")]
pub enum CheckProtocol {
    #[default]
    Tcp,
    Http,
    Https,
    Tls,
    Udp,
}

/// Port of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckPort {
    /// `traffic-port`: each target's own.
    Traffic,
    /// The same for all targets; 0 is refused later.
    Number(u16),
}

/// Keys of the table.
pub(super) const KEYS: [&str; 14] = [
    "enabled",
    "protocol",
    "port",
    "path",
    "host",
    "interval",
    "timeout",
    "healthy_threshold",
    "unhealthy_threshold",
    "matcher",
    "close",
    "handshake",
    "method",
    "http_version",
];

const PROTOCOLS: [(&str, CheckProtocol); 5] = [
    ("TCP", CheckProtocol::Tcp),
    ("HTTP", CheckProtocol::Http),
    ("HTTPS", CheckProtocol::Https),
    ("TLS", CheckProtocol::Tls),
    ("UDP", CheckProtocol::Udp),
];
pub(super) const TRAFFIC_PORT: &str = "traffic-port";
const CLOSES: [(&str, Close); 2] = [("reset", Close::Reset), ("graceful", Close::Graceful)];
const HANDSHAKES: [(&str, Handshake); 3] =
    [("half", Handshake::Half), ("full", Handshake::Full), ("raw", Handshake::Raw)];

impl HealthCheckSpec {
    /// All settings of `check`, the defaults among them.
    #[must_use]
    pub fn of(check: &HealthCheck) -> Self {
        let common = Self {
            enabled: Some(check.enabled),
            port: Some(check.port.map_or(CheckPort::Traffic, CheckPort::Number)),
            interval: Some(check.interval),
            timeout: Some(check.timeout),
            healthy_threshold: Some(check.healthy_threshold.into()),
            unhealthy_threshold: Some(check.unhealthy_threshold.into()),
            close: Some(check.close),
            ..Self::default()
        };
        match &check.protocol {
            Protocol::Tcp => Self {
                protocol: Some(CheckProtocol::Tcp),
                handshake: Some(check.handshake),
                ..common
            },
            Protocol::Http { path, host, matcher, method, version } => Self {
                protocol: Some(CheckProtocol::Http),
                path: Some(path.clone()),
                host: host.clone(),
                matcher: Some(matcher.to_string()),
                method: Some(*method),
                http_version: Some(*version),
                ..common
            },
        }
    }

    /// Takes over every setting that `newer` has. Where that changes the protocol, settings that
    /// only the old one has are dropped, and a timeout that was the old one's default gives way to
    /// the new one's; those that `newer` gives stay, to be judged.
    pub fn overlay(&mut self, newer: Self) {
        let protocol = self.protocol.unwrap_or_default();
        if newer.protocol.is_some_and(|newer| newer != protocol) {
            self.forget(protocol);
        }
        let older = std::mem::take(self);
        *self = Self {
            enabled: newer.enabled.or(older.enabled),
            protocol: newer.protocol.or(older.protocol),
            port: newer.port.or(older.port),
            path: newer.path.or(older.path),
            host: newer.host.or(older.host),
            interval: newer.interval.or(older.interval),
            timeout: newer.timeout.or(older.timeout),
            healthy_threshold: newer.healthy_threshold.or(older.healthy_threshold),
            unhealthy_threshold: newer.unhealthy_threshold.or(older.unhealthy_threshold),
            matcher: newer.matcher.or(older.matcher),
            close: newer.close.or(older.close),
            handshake: newer.handshake.or(older.handshake),
            method: newer.method.or(older.method),
            http_version: newer.http_version.or(older.http_version),
        };
    }

    /// Drops what belongs to `protocol` alone.
    fn forget(&mut self, protocol: CheckProtocol) {
        self.path = None;
        self.host = None;
        self.matcher = None;
        self.method = None;
        self.http_version = None;
        self.handshake = None;
        if self.timeout == Some(protocol.timeout_default()) {
            self.timeout = None;
        }
    }

    /// Whether no setting is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Sets `key`, one of [`KEYS`], to `value`, as far as it has the form; a null changes nothing.
    pub(super) fn set(&mut self, key: &'static str, value: &Scalar) -> Result<(), Violation> {
        if *value == Scalar::Null {
            return Ok(());
        }
        let text = || value.text(key).map(str::to_owned);
        // The range depends on the rule set, and nobody has asked for that yet.
        let threshold = || value.number(key, "1 to 100");
        match key {
            "enabled" => self.enabled = Some(value.boolean(key)?),
            "protocol" => self.protocol = Some(value.word(key, &PROTOCOLS)?),
            "port" => self.port = Some(port(key, value)?),
            "path" => self.path = Some(text()?),
            "host" => self.host = Some(text()?),
            "interval" => self.interval = Some(value.duration(key)?),
            "timeout" => self.timeout = Some(value.duration(key)?),
            "healthy_threshold" => self.healthy_threshold = Some(threshold()?),
            "unhealthy_threshold" => self.unhealthy_threshold = Some(threshold()?),
            "matcher" => self.matcher = Some(text()?),
            "close" => self.close = Some(value.word(key, &CLOSES)?),
            "handshake" => self.handshake = Some(value.word(key, &HANDSHAKES)?),
            "method" => {
                let words = [Method::Get, Method::Head].map(|method| (method.name(), method));
                self.method = Some(value.word(key, &words)?);
            }
            _ => {
                debug_assert_eq!(key, "http_version");
                let words = [Version::Http10, Version::Http11].map(|v| (v.name(), v));
                self.http_version = Some(value.word(key, &words)?);
            }
        }
        Ok(())
    }
}

fn port(key: &'static str, value: &Scalar) -> Result<CheckPort, Violation> {
    match value {
        Scalar::Text(text) if text == TRAFFIC_PORT => Ok(CheckPort::Traffic),
        Scalar::Text(_) => Err(value.malformed(
            key,
            "is neither a port nor \"traffic-port\"",
            "write \"traffic-port\", or a number from 1 to 65535 without quotes",
        )),
        Scalar::Null | Scalar::Number(_) | Scalar::Bool(_) | Scalar::Other(_) => {
            value.port(key).map(CheckPort::Number)
        }
    }
}

impl CheckProtocol {
    /// The word of the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tls => "TLS",
            Self::Udp => "UDP",
        }
    }

    /// The timeout of a health check that names none (DESIGN 3.1).
    #[must_use]
    pub const fn timeout_default(self) -> Duration {
        match self {
            Self::Http => Duration::from_secs(6),
            Self::Tcp | Self::Https | Self::Tls | Self::Udp => Duration::from_secs(10),
        }
    }
}

impl Protocol {
    /// The timeout of a health check that names none, but for rule set `alibaba`.
    #[must_use]
    pub const fn timeout_default(&self) -> Duration {
        self.word().timeout_default()
    }

    /// The word of it.
    #[must_use]
    pub const fn word(&self) -> CheckProtocol {
        match self {
            Self::Tcp => CheckProtocol::Tcp,
            Self::Http { .. } => CheckProtocol::Http,
        }
    }
}

/// The word of a way to close.
pub(super) const fn close_name(close: Close) -> &'static str {
    match close {
        Close::Reset => "reset",
        Close::Graceful => "graceful",
    }
}

/// The word of a handshake.
#[must_use]
pub const fn handshake_name(handshake: Handshake) -> &'static str {
    match handshake {
        Handshake::Half => "half",
        Handshake::Full => "full",
        Handshake::Raw => "raw",
    }
}
