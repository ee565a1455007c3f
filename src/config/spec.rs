//! The settings of a health check as somebody gave them, each of them or none: what the file, the
//! native API, the vendors' dialects and the store have in common. Nothing is judged here;
//! [`HealthCheckSpec::build`] does that, for a rule set.

use super::error::quoted;
use super::protocol::CheckProtocol;
use super::tls_spec::TlsSpec;
use super::value::Value;
use super::violation::{Violation, Wrong};
use super::{GrpcSettings, HealthCheck, HttpSettings, Protocol, Tls, UdpSettings};
use crate::check::http::{Method, Version};
use crate::recipe::{Close, Handshake, ProxyProtocol};
use std::collections::BTreeMap;
use std::path::PathBuf;
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
    /// HTTP and gRPC: the Host header, or authority.
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
    /// HTTP: further headers of the request.
    pub headers: Option<BTreeMap<String, String>>,
    /// HTTP: what a POST sends.
    pub body: Option<String>,
    /// HTTP: what the body of the answer must contain.
    pub body_contains: Option<String>,
    /// HTTP: a regular expression that must be found there.
    pub body_regex: Option<String>,
    /// UDP: the datagram, as text or `hex:`.
    pub send: Option<String>,
    /// UDP: what must come back.
    pub expect: Option<String>,
    /// gRPC: the service that is asked about.
    pub grpc_service: Option<String>,
    /// What goes first on a connection.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// HTTP and gRPC: whether the connection is kept for the next probe.
    pub reuse: Option<bool>,
    /// The same: every so many probes of a target it is a fresh one all the same.
    pub fresh_connection_every: Option<i64>,
    /// HTTPS, TLS, GRPCS: how the handshake is made.
    pub tls: TlsSpec,
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
pub(super) const KEYS: [&str; 25] = [
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
    "headers",
    "body",
    "body_contains",
    "body_regex",
    "send",
    "expect",
    "grpc_service",
    "proxy_protocol",
    "reuse",
    "fresh_connection_every",
    TLS,
];

/// The key whose value is a table of its own.
pub(super) const TLS: &str = "tls";
pub(super) const TRAFFIC_PORT: &str = "traffic-port";
const CLOSES: [(&str, Close); 2] = [("reset", Close::Reset), ("graceful", Close::Graceful)];
const HANDSHAKES: [(&str, Handshake); 3] =
    [("half", Handshake::Half), ("full", Handshake::Full), ("raw", Handshake::Raw)];

const PROXIES: [(&str, ProxyProtocol); 2] = [("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2)];

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
            proxy_protocol: check.proxy_protocol,
            reuse: check.reuse.map(|_| true),
            fresh_connection_every: check.reuse.map(|reuse| reuse.fresh_connection_every.into()),
            ..Self::default()
        };
        let protocol = check.protocol.word();
        let common = Self {
            protocol: Some(protocol),
            close: Some(check.close).filter(|_| protocol.has("close")),
            handshake: Some(check.handshake).filter(|_| protocol.has("handshake")),
            tls: check.protocol.tls().map(tls_spec).unwrap_or_default(),
            ..common
        };
        match &check.protocol {
            Protocol::Tcp | Protocol::Tls(_) => common,
            Protocol::Udp(UdpSettings { send, expect }) => Self {
                send: Some(send.written().to_owned()),
                expect: expect.as_ref().map(|expect| expect.written().to_owned()),
                ..common
            },
            Protocol::Http(http) | Protocol::Https(http, _) => common.with_http(http),
            Protocol::Grpc(GrpcSettings { service, host })
            | Protocol::Grpcs(GrpcSettings { service, host }, _) => {
                Self { grpc_service: Some(service.clone()), host: host.clone(), ..common }
            }
        }
    }

    fn with_http(self, http: &HttpSettings) -> Self {
        let request = &http.request;
        let matched = |regex| {
            let matched = http.body_match.as_ref().filter(|matched| matched.is_regex() == regex);
            matched.map(|matched| matched.text().to_owned())
        };
        Self {
            path: Some(request.path.clone()),
            host: request.host.clone(),
            matcher: Some(http.matcher.to_string()),
            method: Some(request.method),
            http_version: Some(request.version),
            headers: Some(request.headers.iter().cloned().collect())
                .filter(|headers: &BTreeMap<_, _>| !headers.is_empty()),
            body: Some(request.body.clone()).filter(|body| !body.is_empty()),
            body_contains: matched(false),
            body_regex: matched(true),
            ..self
        }
    }

    /// Takes over every setting that `newer` has. Where that changes the protocol, settings that
    /// only the old one has are dropped, and a timeout that was the old one's default gives way to
    /// the new one's; those that `newer` gives stay, to be judged. What another setting switches
    /// off goes with it.
    pub fn overlay(&mut self, newer: Self) {
        let protocol = self.protocol.unwrap_or_default();
        if let Some(next) = newer.protocol.filter(|&next| next != protocol) {
            self.keep_those_of(next);
            if self.timeout == Some(protocol.timeout_default()) {
                self.timeout = None;
            }
        }
        self.make_way(&newer);
        let older = std::mem::take(self);
        let mut tls = older.tls;
        tls.overlay(newer.tls);
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
            headers: newer.headers.or(older.headers),
            body: newer.body.or(older.body),
            body_contains: newer.body_contains.or(older.body_contains),
            body_regex: newer.body_regex.or(older.body_regex),
            send: newer.send.or(older.send),
            expect: newer.expect.or(older.expect),
            grpc_service: newer.grpc_service.or(older.grpc_service),
            proxy_protocol: newer.proxy_protocol.or(older.proxy_protocol),
            reuse: newer.reuse.or(older.reuse),
            fresh_connection_every: newer.fresh_connection_every.or(older.fresh_connection_every),
            tls,
        };
    }

    /// Drops what has no meaning for `protocol`.
    fn keep_those_of(&mut self, protocol: CheckProtocol) {
        fn keep<T>(setting: &mut Option<T>, is_kept: bool) {
            *setting = setting.take().filter(|_| is_kept);
        }
        keep(&mut self.path, protocol.has("path"));
        keep(&mut self.host, protocol.has("host"));
        keep(&mut self.matcher, protocol.has("matcher"));
        keep(&mut self.close, protocol.has("close"));
        keep(&mut self.handshake, protocol.has("handshake"));
        keep(&mut self.method, protocol.has("method"));
        keep(&mut self.http_version, protocol.has("http_version"));
        keep(&mut self.headers, protocol.has("headers"));
        keep(&mut self.body, protocol.has("body"));
        keep(&mut self.body_contains, protocol.has("body_contains"));
        keep(&mut self.body_regex, protocol.has("body_regex"));
        keep(&mut self.send, protocol.has("send"));
        keep(&mut self.expect, protocol.has("expect"));
        keep(&mut self.grpc_service, protocol.has("grpc_service"));
        keep(&mut self.proxy_protocol, protocol.has("proxy_protocol"));
        keep(&mut self.reuse, protocol.has("reuse"));
        keep(&mut self.fresh_connection_every, protocol.has("fresh_connection_every"));
        if !protocol.has(TLS) {
            self.tls = TlsSpec::default();
        }
        // What gRPC offers goes without saying, and means nothing to others.
        if [self.protocol, Some(protocol)].contains(&Some(CheckProtocol::Grpcs)) {
            self.tls.alpn = None;
        }
    }

    /// Drops what goes without saying once `newer` holds.
    fn make_way(&mut self, newer: &Self) {
        if newer.body_contains.is_some() || newer.body_regex.is_some() {
            (self.body_contains, self.body_regex) = (None, None);
        }
        if newer.reuse == Some(false) {
            self.fresh_connection_every = None;
        }
        if newer.method.is_some_and(|method| method != Method::Post) {
            self.body = None;
        }
    }

    /// Whether no setting is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Sets `key`, one of [`KEYS`] but for `tls`, to `value`, as far as it has the form; a null
    /// changes nothing.
    pub(super) fn set(&mut self, key: &'static str, value: &Value) -> Result<(), Violation> {
        if *value == Value::Null {
            return Ok(());
        }
        let text = || value.text(key).map(str::to_owned);
        // The range depends on the rule set, and nobody has asked for that yet.
        let threshold = || value.number(key, "1 to 100");
        match key {
            "enabled" => self.enabled = Some(value.boolean(key)?),
            "protocol" => {
                let words = CheckProtocol::ALL.map(|protocol| (protocol.name(), protocol));
                self.protocol = Some(value.word(key, &words)?);
            }
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
            "headers" => self.headers = Some(headers(key, value)?),
            "body" => self.body = Some(text()?),
            "body_contains" => self.body_contains = Some(text()?),
            "body_regex" => self.body_regex = Some(text()?),
            "send" => self.send = Some(text()?),
            "expect" => self.expect = Some(text()?),
            "grpc_service" => self.grpc_service = Some(text()?),
            "proxy_protocol" => self.proxy_protocol = Some(value.word(key, &PROXIES)?),
            "reuse" => self.reuse = Some(value.boolean(key)?),
            "fresh_connection_every" => {
                self.fresh_connection_every = Some(value.number(key, "2 to 1000")?);
            }
            "method" => {
                let words = Method::ALL.map(|method| (method.name(), method));
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

fn port(key: &'static str, value: &Value) -> Result<CheckPort, Violation> {
    match value {
        Value::Text(text) if text == TRAFFIC_PORT => Ok(CheckPort::Traffic),
        Value::Text(_) => Err(value.malformed(
            key,
            "is neither a port nor \"traffic-port\"",
            "write \"traffic-port\", or a number from 1 to 65535 without quotes",
        )),
        Value::Null
        | Value::Number(_)
        | Value::Bool(_)
        | Value::List(_)
        | Value::Table(_)
        | Value::Other(_) => value.port(key).map(CheckPort::Number),
    }
}

fn headers(key: &'static str, value: &Value) -> Result<BTreeMap<String, String>, Violation> {
    let mut headers = BTreeMap::new();
    for (name, text) in value.pairs(key)? {
        if headers.keys().any(|known: &String| known.eq_ignore_ascii_case(name)) {
            let what = format!("has {} twice", quoted(name));
            let wrong = Wrong::Part { what, cure: "give each header once".to_owned() };
            return Err(Violation { setting: key, value: value.shown(), wrong });
        }
        headers.insert(name.to_owned(), text.to_owned());
    }
    Ok(headers)
}

fn tls_spec(tls: &Tls) -> TlsSpec {
    let settings = tls.settings();
    let text = |text: &Option<String>| text.clone();
    let path = |path: &Option<PathBuf>| path.clone();
    TlsSpec {
        verify: Some(settings.verify),
        ca_file: path(&settings.ca_file),
        client_cert: path(&settings.client_cert),
        client_key: path(&settings.client_key),
        server_name: text(&settings.server_name),
        alpn: Some(settings.alpn.clone()).filter(|alpn| !alpn.is_empty()),
        full_handshake_every: Some(settings.full_handshake_every.into()),
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

/// The word of a PROXY protocol.
#[must_use]
pub(super) const fn proxy_name(proxy: ProxyProtocol) -> &'static str {
    match proxy {
        ProxyProtocol::V1 => "v1",
        ProxyProtocol::V2 => "v2",
    }
}
