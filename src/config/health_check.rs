//! A valid health check: settings with their defaults, checked against a rule set (DESIGN 3.1), and
//! the recipe that workers make of it.

use super::error::{ConfigError, Problem, quoted};
use super::file::Section;
use super::rules::Rules;
use super::spec::{CheckPort, HealthCheckSpec, KEYS, TLS, close_name, handshake_name, proxy_name};
use super::tls::{Files, Tls};
use super::violation::{Violation, Wrong};
use super::{
    CheckProtocol, GrpcSettings, HealthCheck, HttpSettings, Payload, Protocol, UdpSettings,
    duration, tls_spec,
};
use crate::check::Check;
use crate::check::{grpc, http, tls, udp};
use crate::health::Thresholds;
use crate::recipe::{Handshake, ProxyProtocol, Recipe, Reuse};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The setting by this name.
const FRESH: &str = "fresh_connection_every";
/// What it is where nobody says.
const FRESH_DEFAULT: i64 = 10;

impl HealthCheck {
    /// Probes in flight of this many targets where none of them answers. Those of one target never
    /// overlap, so it has one at most.
    #[must_use]
    pub fn in_flight_worst(&self, targets: u64) -> u64 {
        let timeout = self.timeout.min(self.interval).as_nanos();
        let in_flight = (u128::from(targets) * timeout).div_ceil(self.interval.as_nanos().max(1));
        u64::try_from(in_flight).unwrap_or(u64::MAX)
    }

    /// Whether it asks for a connection and no more.
    #[must_use]
    pub const fn is_tcp(&self) -> bool {
        matches!(self.protocol, Protocol::Tcp)
    }

    /// Whether its targets are probed: it is enabled, and what it needs is there.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.enabled && self.held_back().is_none()
    }

    /// Why its targets are not probed although it is enabled.
    #[must_use]
    pub fn held_back(&self) -> Option<&Violation> {
        match self.protocol.tls()? {
            Tls::Ready(_) => None,
            Tls::HeldBack { why, .. } => Some(why),
        }
    }

    /// Whether its probes shake hands by TLS.
    #[must_use]
    pub const fn has_tls(&self) -> bool {
        self.protocol.tls().is_some()
    }

    /// Whether it depends on files besides the configuration.
    #[must_use]
    pub fn has_files(&self) -> bool {
        let Some(tls) = self.protocol.tls().map(Tls::settings) else { return false };
        // Whose certificates the system trusts is read once; but who had none may have some now.
        tls.ca_file.is_some() || tls.client_cert.is_some() || self.held_back().is_some()
    }

    /// Whether its probes need no socket: then they are not among those of `max_in_flight`.
    #[must_use]
    pub const fn is_raw(&self) -> bool {
        self.is_tcp() && matches!(self.handshake, Handshake::Raw)
    }

    fn check(&self) -> Check {
        match &self.protocol {
            Protocol::Tcp => Check::Tcp,
            Protocol::Http(http) => Check::Http(self.http_check(http)),
            Protocol::Https(http, tls) => {
                over_tls(tls, || tls::Inner::Http(self.http_check(http).over_tls()))
            }
            Protocol::Tls(tls) => over_tls(tls, || tls::Inner::Handshake),
            Protocol::Udp(UdpSettings { send, expect }) => Check::Udp(udp::Check {
                send: send.bytes().into(),
                expect: expect.as_ref().map(|expect| expect.bytes().into()),
            }),
            Protocol::Grpc(grpc) => Check::Grpc(self.grpc_check(grpc)),
            Protocol::Grpcs(grpc, tls) => {
                over_tls(tls, || tls::Inner::Grpc(self.grpc_check(grpc).over_tls()))
            }
        }
    }

    fn http_check(&self, settings: &HttpSettings) -> http::Check {
        let HttpSettings { request, matcher, body_match } = settings;
        let check = match self.reuse {
            Some(_) => http::Check::reusing(request, *matcher),
            None => http::Check::asking(request, *matcher),
        };
        match body_match {
            Some(body_match) => check.matching(body_match.clone()),
            None => check,
        }
    }

    fn grpc_check(&self, settings: &GrpcSettings) -> grpc::Check {
        let GrpcSettings { service, host } = settings;
        // Whoever made the settings made a check of them to see whether it can be done.
        grpc::Check::new(service, host.as_deref(), self.timeout).expect("judged before")
    }

    /// The health check as a worker uses it, the request rendered once.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        let check = self.check();
        Recipe {
            port: self.port,
            interval: self.interval,
            timeout: self.timeout,
            thresholds: Thresholds {
                healthy: self.healthy_threshold,
                unhealthy: self.unhealthy_threshold,
            },
            check,
            close: self.close,
            handshake: self.handshake,
            proxy_protocol: self.proxy_protocol,
            reuse: self.reuse,
        }
    }
}

/// What is asked over `tls`. Of a health check that is held back nobody asks anything.
fn over_tls(tls: &Tls, inner: impl FnOnce() -> tls::Inner) -> Check {
    match tls {
        Tls::Ready(client) => {
            Check::Tls(Arc::new(tls::Check { client: Arc::clone(client), inner: inner() }))
        }
        Tls::HeldBack { .. } => Check::Tcp,
    }
}

/// The health check of `section` under `rules`; files are relative to `directory`.
pub(super) fn read(
    section: &Section<'_>,
    rules: Rules,
    directory: &Path,
) -> Result<HealthCheck, ConfigError> {
    let mut spec = HealthCheckSpec::default();
    for key in KEYS.into_iter().filter(|&key| key != TLS) {
        let Some(setting) = section.get(key) else { continue };
        spec.set(key, &setting.to_value()).map_err(|violation| setting.violation(&violation))?;
    }
    section.section(TLS, "group.health_check.tls", &tls_spec::KEYS.map(|(key, _)| key))?;
    for (_, key) in tls_spec::KEYS {
        let Some(setting) = section.find(key) else { continue };
        let set = spec.tls.set(key, &setting.to_value(), Some(directory));
        set.map_err(|violation| setting.violation(&violation))?;
    }
    spec.build(rules).map_err(|violation| section.violation(&violation))
}

impl HealthCheckSpec {
    /// The health check that these settings and the defaults of `rules` make.
    ///
    /// # Errors
    /// The first setting that `rules` do not allow, that is malformed, or that has no meaning for
    /// the protocol.
    pub fn build(&self, rules: Rules) -> Result<HealthCheck, Violation> {
        self.build_with(rules, Files::Needed)
    }

    /// As [`HealthCheckSpec::build`]; `files` says what becomes of it where those of TLS cannot be
    /// read.
    pub(super) fn build_with(&self, rules: Rules, files: Files) -> Result<HealthCheck, Violation> {
        let protocol = self.protocol(rules, files)?;
        let (interval, timeout) = self.times(rules, &protocol)?;
        let (healthy_threshold, unhealthy_threshold) = self.thresholds(rules)?;
        let port = match self.port {
            None | Some(CheckPort::Traffic) => None,
            Some(CheckPort::Number(0)) => {
                let (what, cure) = ("is out of range", "allowed: 1 to 65535");
                return Err(Violation::malformed("port", "0".to_owned(), what, cure));
            }
            Some(CheckPort::Number(port)) => Some(port),
        };
        Ok(HealthCheck {
            enabled: self.enabled.unwrap_or(true),
            handshake: self.handshake(&protocol)?,
            protocol,
            port,
            interval,
            timeout,
            healthy_threshold,
            unhealthy_threshold,
            close: self.close.unwrap_or_default(),
            proxy_protocol: self.proxy_protocol(rules)?,
            reuse: self.reuse(rules)?,
        })
    }

    fn protocol(&self, rules: Rules, files: Files) -> Result<Protocol, Violation> {
        let protocol = self.protocol.unwrap_or_default();
        let tls = |host: Option<&String>| self.tls(host.map(String::as_str), protocol, files);
        if !rules.protocols().contains(&protocol) {
            let free_allows = Rules::Free.protocols().contains(&protocol);
            let names: Vec<_> = rules.protocols().iter().map(|known| known.name()).collect();
            let value = quoted(protocol.name());
            return Err(rules.outside("protocol", value, names.join(", "), free_allows));
        }
        self.refuse_what_has_no_meaning(protocol)?;
        Ok(match protocol {
            CheckProtocol::Tcp => Protocol::Tcp,
            CheckProtocol::Udp => Protocol::Udp(self.udp()?),
            CheckProtocol::Http => Protocol::Http(self.http(rules)?),
            CheckProtocol::Https => {
                let http = self.http(rules)?;
                let tls = tls(http.request.host.as_ref())?;
                Protocol::Https(http, tls)
            }
            CheckProtocol::Tls => Protocol::Tls(tls(None)?),
            CheckProtocol::Grpc => Protocol::Grpc(self.grpc()?),
            CheckProtocol::Grpcs => {
                let grpc = self.grpc()?;
                let tls = tls(grpc.host.as_ref())?;
                Protocol::Grpcs(grpc, tls)
            }
        })
    }

    fn refuse_what_has_no_meaning(&self, protocol: CheckProtocol) -> Result<(), Violation> {
        let text = |text: &Option<String>| text.as_deref().map(quoted);
        let given = [
            ("path", text(&self.path)),
            ("host", text(&self.host)),
            ("matcher", text(&self.matcher)),
            ("method", self.method.map(|method| quoted(method.name()))),
            ("http_version", self.http_version.map(|version| quoted(version.name()))),
            ("headers", self.headers.as_ref().map(|_| "a table".to_owned())),
            ("body", text(&self.body)),
            ("body_contains", text(&self.body_contains)),
            ("body_regex", text(&self.body_regex)),
            ("send", text(&self.send)),
            ("expect", text(&self.expect)),
            ("grpc_service", text(&self.grpc_service)),
            ("handshake", self.handshake.map(|handshake| quoted(handshake_name(handshake)))),
            ("close", self.close.map(|close| quoted(close_name(close)))),
            ("proxy_protocol", self.proxy_protocol.map(|proxy| quoted(proxy_name(proxy)))),
            ("reuse", self.reuse.map(|reuse| reuse.to_string())),
            (FRESH, self.fresh_connection_every.map(|every| every.to_string())),
        ];
        let given = given.into_iter().filter_map(|(setting, value)| Some((setting, value?)));
        match given.chain(self.tls.first()).find(|(setting, _)| !protocol.has(setting)) {
            None => Ok(()),
            Some((setting, value)) => {
                Err(Violation { setting, value, wrong: Wrong::NoMeaning { protocol } })
            }
        }
    }

    fn udp(&self) -> Result<UdpSettings, Violation> {
        let payload = |setting, written: &String| {
            Payload::parse(written).map_err(|Problem { what, cure }| {
                let wrong = Wrong::Part { what: format!("{} {what}", quoted(written)), cure };
                Violation { setting, value: quoted(written), wrong }
            })
        };
        Ok(UdpSettings {
            send: self
                .send
                .as_ref()
                .map_or_else(|| Ok(Payload::default()), |send| payload("send", send))?,
            expect: self.expect.as_ref().map(|expect| payload("expect", expect)).transpose()?,
        })
    }

    fn reuse(&self, rules: Rules) -> Result<Option<Reuse>, Violation> {
        let malformed = |every: i64, what, cure| {
            Err(Violation::malformed(FRESH, every.to_string(), what, cure))
        };
        match (self.reuse.unwrap_or(false), self.fresh_connection_every) {
            (false, None) => Ok(None),
            (false, Some(every)) => {
                malformed(every, "has a meaning with reuse only", "add reuse = true")
            }
            (true, every) => {
                rules.free_only("reuse", || "true".to_owned())?;
                let every = every.unwrap_or(FRESH_DEFAULT);
                match u16::try_from(every) {
                    Ok(fresh_connection_every @ 2..=1_000) => {
                        Ok(Some(Reuse { fresh_connection_every }))
                    }
                    Ok(_) | Err(_) => malformed(every, "is out of range", "allowed: 2 to 1000"),
                }
            }
        }
    }

    /// Interval and timeout.
    fn times(&self, rules: Rules, protocol: &Protocol) -> Result<(Duration, Duration), Violation> {
        let shown = |value: Duration| move || quoted(&duration::text(value));
        let default = rules.timeout_default(protocol.word().timeout_default());
        let interval = match self.interval {
            Some(interval) => {
                let allowed = |rules: Rules| rules.interval(protocol.word());
                rules.check("interval", interval, shown(interval), allowed)?
            }
            None => rules.interval_default(),
        };
        let timeout = self.timeout.map_or(Ok(default), |timeout| {
            rules.check("timeout", timeout, shown(timeout), |rules| rules.timeout(default))
        })?;
        if timeout > interval && !rules.timeout_may_exceed_interval() {
            let timeout_is_default = self.timeout.is_none();
            let (setting, value) =
                if timeout_is_default { ("interval", interval) } else { ("timeout", timeout) };
            let wrong = Wrong::AboveInterval { rules, interval, timeout, timeout_is_default };
            return Err(Violation { setting, value: shown(value)(), wrong });
        }
        Ok((interval, timeout))
    }

    /// healthy_threshold and unhealthy_threshold.
    fn thresholds(&self, rules: Rules) -> Result<(u8, u8), Violation> {
        let threshold = |setting, given: Option<i64>, default| {
            let Some(number) = given else { return Ok(default) };
            // What does not fit is outside every rule set, as 0 is.
            let fits = u8::try_from(number).unwrap_or(0);
            rules.check(setting, fits, || number.to_string(), Rules::threshold)
        };
        let (given_healthy, given_unhealthy) = (self.healthy_threshold, self.unhealthy_threshold);
        let defaults = rules.thresholds();
        let healthy = threshold("healthy_threshold", given_healthy, defaults.0)?;
        let unhealthy = threshold("unhealthy_threshold", given_unhealthy, defaults.1)?;
        if rules == Rules::Classic && healthy != unhealthy {
            let (setting, value) = match given_unhealthy {
                Some(_) => ("unhealthy_threshold", unhealthy),
                None => ("healthy_threshold", healthy),
            };
            let wrong = Wrong::ThresholdsDiffer {
                healthy: (healthy, given_healthy.is_none()),
                unhealthy: (unhealthy, given_unhealthy.is_none()),
            };
            return Err(Violation { setting, value: value.to_string(), wrong });
        }
        Ok((healthy, unhealthy))
    }

    /// A header goes over a connection that stands: that of a TCP check is completed for it.
    fn handshake(&self, protocol: &Protocol) -> Result<Handshake, Violation> {
        let full = self.proxy_protocol.is_some() && *protocol == Protocol::Tcp;
        match self.handshake {
            None if full => Ok(Handshake::Full),
            Some(handshake) if full && handshake != Handshake::Full => {
                let value = quoted(handshake_name(handshake));
                let (what, cure) = ("does not go with proxy_protocol", "use handshake = \"full\"");
                Err(Violation::malformed("handshake", value, what, cure))
            }
            given => Ok(given.unwrap_or_default()),
        }
    }

    fn proxy_protocol(&self, rules: Rules) -> Result<Option<ProxyProtocol>, Violation> {
        let Some(proxy) = self.proxy_protocol else { return Ok(None) };
        rules.free_only("proxy_protocol", || quoted(proxy_name(proxy)))?;
        Ok(Some(proxy))
    }
}
