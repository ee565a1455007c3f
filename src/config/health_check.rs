//! `[group.health_check]`: settings with their defaults, checked against the group's rule set
//! (DESIGN 3.1), and the recipe that workers make of them.

use super::error::{ConfigError, Problem};
use super::file::{Section, Setting};
use super::rules::Rules;
use super::{HealthCheck, Protocol};
use crate::check::Check;
use crate::check::http::{self, Matcher};
use crate::health::Thresholds;
use crate::limits::{HTTP_HOST_CHARS_MAX, HTTP_PATH_CHARS_MAX};
use crate::recipe::{Close, Handshake, Recipe};
use std::time::Duration;

/// Keys of the table.
pub(super) const KEYS: [&str; 12] = [
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
];

/// Gap between two probes unless the file says otherwise.
const INTERVAL: Duration = Duration::from_secs(30);

impl HealthCheck {
    /// The health check as a worker uses it, the request rendered once.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        let check = match &self.protocol {
            Protocol::Tcp => Check::Tcp,
            Protocol::Http { path, host, matcher } => {
                Check::Http(http::Check::new(path, host.as_deref(), *matcher))
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
        }
    }
}

/// The health check of `section` under `rules`.
pub(super) fn read(section: &Section<'_>, rules: Rules) -> Result<HealthCheck, ConfigError> {
    let protocol = protocol(section, rules)?;
    let (interval, timeout) = times(section, rules, &protocol)?;
    let (healthy_threshold, unhealthy_threshold) = thresholds(section, rules)?;
    let handshake = handshake(section, &protocol)?;
    let closes = [("reset", Close::Reset), ("graceful", Close::Graceful)];
    Ok(HealthCheck {
        enabled: section.get("enabled").map_or(Ok(true), |setting| setting.boolean())?,
        protocol,
        port: section.get("port").map_or(Ok(None), |setting| port(&setting))?,
        interval,
        timeout,
        healthy_threshold,
        unhealthy_threshold,
        close: section.get("close").map_or(Ok(Close::Reset), |setting| setting.word(&closes))?,
        handshake,
    })
}

#[derive(Clone, Copy)]
enum Word {
    Tcp,
    Http,
    NotYet,
}

fn protocol(section: &Section<'_>, rules: Rules) -> Result<Protocol, ConfigError> {
    let words = [
        ("TCP", Word::Tcp),
        ("HTTP", Word::Http),
        ("HTTPS", Word::NotYet),
        ("TLS", Word::NotYet),
        ("UDP", Word::NotYet),
    ];
    let setting = section.get("protocol");
    match setting.as_ref().map_or(Ok(Word::Tcp), |setting| setting.word(&words))? {
        Word::Tcp => {
            for key in ["path", "host", "matcher"] {
                if let Some(setting) = section.get(key) {
                    let cure = format!("remove {key}, or set protocol = \"HTTP\"");
                    return Err(setting.wrong("has no meaning for a TCP check", cure));
                }
            }
            Ok(Protocol::Tcp)
        }
        Word::Http => Ok(Protocol::Http {
            path: section
                .get("path")
                .map_or_else(|| Ok("/".to_owned()), |setting| path(&setting))?,
            host: section.get("host").map(|setting| host(&setting)).transpose()?,
            matcher: section
                .get("matcher")
                .map_or_else(|| Ok(Matcher::default()), |setting| matcher(&setting, rules))?,
        }),
        Word::NotYet => Err(section
            .require("protocol")?
            .wrong("is not checked in this version", "use \"TCP\" or \"HTTP\"")),
    }
}

fn path(setting: &Setting<'_>) -> Result<String, ConfigError> {
    let path = setting.text()?;
    match path_wrong(path) {
        Some(wrong) => Err(setting.wrong(wrong, PATH_CURE)),
        None => Ok(path.to_owned()),
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

fn host(setting: &Setting<'_>) -> Result<String, ConfigError> {
    let host = setting.text()?;
    let fits = (1..=HTTP_HOST_CHARS_MAX).contains(&host.len());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if !fits || !host.bytes().all(plain) {
        let cure = "write a name or address of 1 to 253 characters, with :PORT if need be";
        return Err(setting.wrong("is not a Host header", cure));
    }
    Ok(host.to_owned())
}

fn matcher(setting: &Setting<'_>, rules: Rules) -> Result<Matcher, ConfigError> {
    let text = setting.text()?;
    let matcher = Matcher::parse(text, Rules::Free.statuses()).map_err(|message| {
        let (what, cure) = message.split_once("; ").unwrap_or((&message, "write it as 200-399"));
        setting.problem(Problem::new(what, cure))
    })?;
    let statuses = rules.statuses();
    let allowed = format!("{}-{}", statuses.start(), statuses.end());
    if Matcher::parse(text, statuses).is_err() {
        return Err(rules.outside(setting, &allowed, true));
    }
    if rules == Rules::Classic && matcher != Matcher::default() {
        return Err(rules.outside(setting, &format!("{allowed} only"), true));
    }
    Ok(matcher)
}

fn port(setting: &Setting<'_>) -> Result<Option<u16>, ConfigError> {
    if setting.is_text() {
        return match setting.text()? {
            "traffic-port" => Ok(None),
            _ => Err(setting.wrong(
                "is neither a port nor \"traffic-port\"",
                "write \"traffic-port\", or a number from 1 to 65535 without quotes",
            )),
        };
    }
    setting.port().map(Some)
}

impl Protocol {
    /// The timeout of a health check that names none (DESIGN 3.1).
    #[must_use]
    pub const fn timeout_default(&self) -> Duration {
        match self {
            Self::Tcp => Duration::from_secs(10),
            Self::Http { .. } => Duration::from_secs(6),
        }
    }
}

/// Interval and timeout.
fn times(
    section: &Section<'_>,
    rules: Rules,
    protocol: &Protocol,
) -> Result<(Duration, Duration), ConfigError> {
    let default = protocol.timeout_default();
    let interval_setting = section.get("interval");
    let interval = interval_setting.as_ref().map_or(Ok(INTERVAL), |setting| {
        rules.check(setting, setting.duration()?, Rules::interval)
    })?;
    let timeout_setting = section.get("timeout");
    let timeout = timeout_setting.as_ref().map_or(Ok(default), |setting| {
        rules.check(setting, setting.duration()?, |rules| rules.timeout(default))
    })?;
    if timeout > interval && !rules.timeout_may_exceed_interval() {
        return Err(above_interval(section, rules, interval, timeout));
    }
    Ok((interval, timeout))
}

fn above_interval(
    section: &Section<'_>,
    rules: Rules,
    interval: Duration,
    timeout: Duration,
) -> ConfigError {
    let [interval, timeout] = [interval, timeout].map(super::duration::text);
    let cure = format!("allowed: up to the interval; rules = {:?} would allow it", "free");
    let rules = rules.name();
    let (setting, default) = match section.get("timeout") {
        Some(setting) => (Some(setting), ""),
        None => (section.get("interval"), " (the default)"),
    };
    let what = format!(
        "timeout {timeout:?}{default} is above interval {interval:?}, outside rules {rules:?}"
    );
    match setting {
        Some(setting) => setting.error(what, cure),
        None => section.error(what, cure),
    }
}

/// healthy_threshold and unhealthy_threshold.
fn thresholds(section: &Section<'_>, rules: Rules) -> Result<(u8, u8), ConfigError> {
    let threshold = |key, default| {
        let Some(setting) = section.get(key) else { return Ok(default) };
        let number = setting.integer(i64::MIN..=i64::MAX)?;
        // What does not fit is outside every rule set, as 0 is.
        let number = u8::try_from(number).unwrap_or(0);
        rules.check(&setting, number, Rules::threshold)
    };
    let defaults = rules.thresholds();
    let healthy = threshold("healthy_threshold", defaults.0)?;
    let unhealthy = threshold("unhealthy_threshold", defaults.1)?;
    if rules == Rules::Classic && healthy != unhealthy {
        let default = |key| if section.get(key).is_some() { "" } else { " (the default)" };
        let what = format!(
            "unhealthy_threshold {unhealthy}{} does not equal healthy_threshold {healthy}{}, \
             outside rules \"classic\"",
            default("unhealthy_threshold"),
            default("healthy_threshold"),
        );
        let cure = "set both to the same number from 2 to 10; rules = \"free\" would allow it";
        let setting =
            section.get("unhealthy_threshold").or_else(|| section.get("healthy_threshold"));
        return Err(match setting {
            Some(setting) => setting.error(what, cure),
            None => section.error(what, cure),
        });
    }
    Ok((healthy, unhealthy))
}

fn handshake(section: &Section<'_>, protocol: &Protocol) -> Result<Handshake, ConfigError> {
    let Some(setting) = section.get("handshake") else { return Ok(Handshake::Half) };
    let handshake = setting.word(&[("half", Handshake::Half), ("full", Handshake::Full)])?;
    match protocol {
        Protocol::Tcp => Ok(handshake),
        Protocol::Http { .. } => {
            let cure = "remove handshake, or set protocol = \"TCP\"";
            Err(setting.wrong("has a meaning for a TCP check only", cure))
        }
    }
}
