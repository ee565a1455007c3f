//! A valid health check: settings with their defaults, checked against a rule set (DESIGN 3.1), and
//! the recipe that workers make of it.

use super::error::{ConfigError, quoted};
use super::file::Section;
use super::rules::Rules;
use super::spec::{CheckPort, CheckProtocol, HealthCheckSpec, KEYS};
use super::violation::{Violation, Wrong};
use super::{HealthCheck, Protocol, duration};
use crate::check::Check;
use crate::check::http::{self, Matcher, Method, Request, Version};
use crate::health::Thresholds;
use crate::limits::{HTTP_HOST_CHARS_MAX, HTTP_PATH_CHARS_MAX};
use crate::recipe::{Handshake, Recipe};
use std::time::Duration;

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

    /// Whether its probes need no socket: then they are not among those of `max_in_flight`.
    #[must_use]
    pub const fn is_raw(&self) -> bool {
        self.is_tcp() && matches!(self.handshake, Handshake::Raw)
    }

    /// The health check as a worker uses it, the request rendered once.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        let check = match &self.protocol {
            Protocol::Tcp => Check::Tcp,
            Protocol::Http { path, host, matcher, method, version } => {
                let request = Request {
                    method: *method,
                    version: *version,
                    host: host.clone(),
                    ..Request::get(path)
                };
                Check::Http(http::Check::asking(&request, *matcher))
            }
        };
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
            proxy_protocol: None,
            reuse: None,
        }
    }
}

/// The health check of `section` under `rules`.
pub(super) fn read(section: &Section<'_>, rules: Rules) -> Result<HealthCheck, ConfigError> {
    let mut spec = HealthCheckSpec::default();
    for key in KEYS {
        let Some(setting) = section.get(key) else { continue };
        spec.set(key, &setting.scalar()).map_err(|violation| setting.violation(&violation))?;
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
        let protocol = self.protocol(rules)?;
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
        })
    }

    fn protocol(&self, rules: Rules) -> Result<Protocol, Violation> {
        let protocol = self.protocol.unwrap_or_default();
        match protocol {
            CheckProtocol::Tcp => match self.http_setting() {
                Some((setting, value)) => Err(Violation { setting, value, wrong: Wrong::HttpOnly }),
                None => Ok(Protocol::Tcp),
            },
            CheckProtocol::Http => Ok(Protocol::Http {
                path: self.path(rules)?,
                host: self.host()?,
                matcher: self.matcher(rules)?,
                method: self.method(rules)?,
                version: self.version(rules)?,
            }),
            CheckProtocol::Https | CheckProtocol::Tls | CheckProtocol::Udp => {
                let value = quoted(protocol.name());
                Err(Violation { setting: "protocol", value, wrong: Wrong::NotInThisVersion })
            }
        }
    }

    /// The first setting that only an HTTP check has, and its value.
    fn http_setting(&self) -> Option<(&'static str, String)> {
        let text = |text: &Option<String>| text.as_deref().map(quoted);
        let settings = [
            ("path", text(&self.path)),
            ("host", text(&self.host)),
            ("matcher", text(&self.matcher)),
            ("method", self.method.map(|method| quoted(method.name()))),
            ("http_version", self.http_version.map(|version| quoted(version.name()))),
        ];
        settings.into_iter().find_map(|(setting, value)| Some((setting, value?)))
    }

    fn path(&self, rules: Rules) -> Result<String, Violation> {
        let Some(path) = &self.path else { return Ok("/".to_owned()) };
        if let Some(wrong) = path_wrong(path) {
            return Err(Violation::malformed("path", quoted(path), wrong, PATH_CURE));
        }
        let most = rules.path_chars_max();
        if path.len() > most {
            let allowed = format!("1 to {most} characters");
            return Err(rules.outside("path", quoted(path), allowed, true));
        }
        Ok(path.clone())
    }

    fn host(&self) -> Result<Option<String>, Violation> {
        let Some(host) = &self.host else { return Ok(None) };
        let fits = (1..=HTTP_HOST_CHARS_MAX).contains(&host.len());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if !fits || !host.bytes().all(plain) {
            let cure = "write a name or address of 1 to 253 characters, with :PORT if need be";
            return Err(Violation::malformed("host", quoted(host), "is not a Host header", cure));
        }
        Ok(Some(host.clone()))
    }

    fn matcher(&self, rules: Rules) -> Result<Matcher, Violation> {
        let Some(text) = &self.matcher else { return Ok(rules.matcher_default()) };
        let matcher: Matcher = text.parse().map_err(|message: String| {
            let (what, cure) =
                message.split_once("; ").unwrap_or((&message, "write it as 200-399"));
            let wrong = Wrong::Part { what: what.to_owned(), cure: cure.to_owned() };
            Violation { setting: "matcher", value: quoted(text), wrong }
        })?;
        match rules.matcher_allowed(&matcher) {
            Ok(()) => Ok(matcher),
            Err(allowed) => Err(rules.outside("matcher", quoted(text), allowed, true)),
        }
    }

    fn method(&self, rules: Rules) -> Result<Method, Violation> {
        let method = self.method.unwrap_or_default();
        if method != Method::default() && !rules.request_can_be_chosen() {
            return Err(rules.outside("method", quoted(method.name()), "GET only", true));
        }
        Ok(method)
    }

    fn version(&self, rules: Rules) -> Result<Version, Violation> {
        let default = rules.version_default();
        let version = self.http_version.unwrap_or(default);
        if version != default && !rules.request_can_be_chosen() {
            let allowed = format!("{} only", default.name());
            return Err(rules.outside("http_version", quoted(version.name()), allowed, true));
        }
        Ok(version)
    }

    /// Interval and timeout.
    fn times(&self, rules: Rules, protocol: &Protocol) -> Result<(Duration, Duration), Violation> {
        let shown = |value: Duration| move || quoted(&duration::text(value));
        let default = rules.timeout_default(protocol.timeout_default());
        let interval = match self.interval {
            Some(interval) => {
                rules.check("interval", interval, shown(interval), Rules::interval)?
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

    fn handshake(&self, protocol: &Protocol) -> Result<Handshake, Violation> {
        let Some(handshake) = self.handshake else { return Ok(Handshake::default()) };
        match protocol {
            Protocol::Tcp => Ok(handshake),
            Protocol::Http { .. } => {
                let value = quoted(super::spec::handshake_name(handshake));
                Err(Violation { setting: "handshake", value, wrong: Wrong::TcpOnly })
            }
        }
    }
}

/// What would be right where [`path_wrong`] finds something.
pub(crate) const PATH_CURE: &str = "write 1 to 1024 characters beginning with /, blanks as %20";

/// Why `path` is not a path of a health check, if so.
pub(crate) fn path_wrong(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("does not begin with /");
    }
    if path.len() > HTTP_PATH_CHARS_MAX {
        return Some("is too long");
    }
    let is_graphic = path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_graphic { None } else { Some("has blanks or characters that no request line may have") }
}
