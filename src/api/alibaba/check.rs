//! `HealthCheckConfig`: settings of a health check in Alibaba's words, and back.
//!
//! What they may be is judged by the rule set of the group, as for every dialect; here they are
//! only translated, and the violation back into the parameter's name.

use super::error::AlibabaError;
use super::request::Request;
use crate::check::http::{Matcher, Method, Version};
use crate::config::{
    CheckPort, CheckProtocol, HealthCheck, HealthCheckSpec, Protocol, UdpSettings, Violation, Wrong,
};
use serde_json::{Value, json};
use std::time::Duration;

const CONFIG: &str = "HealthCheckConfig";
/// Stands for the server's own address in the Host header.
const SERVER_IP: &str = "$SERVER_IP";
const CLASSES: [&str; 4] = ["http_2xx", "http_3xx", "http_4xx", "http_5xx"];
/// The digit that statuses of `CLASSES[0]` begin with.
const FIRST_CLASS: u8 = 2;
const VERSIONS: [(&str, Version); 2] = [("HTTP1.0", Version::Http10), ("HTTP1.1", Version::Http11)];

/// The settings that the request gives. As there, those of UDP checks are ignored for others.
pub(super) fn spec(request: &mut Request) -> Result<HealthCheckSpec, AlibabaError> {
    let name = |name: &str| format!("{CONFIG}.{name}");
    let mut number = |key: &str| request.integer(&name(key), 0..=u32::from(u16::MAX));
    let interval = number("HealthCheckInterval")?;
    let timeout = number("HealthCheckConnectTimeout")?;
    let healthy_threshold = number("HealthyThreshold")?;
    let unhealthy_threshold = number("UnhealthyThreshold")?;
    let port = number("HealthCheckConnectPort")?.map(|port| match u16::try_from(port) {
        Ok(0) | Err(_) => CheckPort::Traffic,
        Ok(port) => CheckPort::Number(port),
    });
    let version = VERSIONS.map(|(word, _)| word);
    let version = request.word(&name("HealthCheckHttpVersion"), &version)?;
    let method = request.word(&name("HttpCheckMethod"), &["GET", "HEAD"])?;
    let protocol = protocol(request)?;
    let is_udp = protocol.is_none_or(|protocol| protocol == CheckProtocol::Udp);
    let mut payload =
        |key: &str| request.text(&name(key)).filter(|text| is_udp && !text.is_empty());
    let (send, expect) = (payload("HealthCheckReq"), payload("HealthCheckExp"));
    let seconds = |number: Option<u32>| number.map(|n| Duration::from_secs(n.into()));
    Ok(HealthCheckSpec {
        enabled: request.boolean(&name("HealthCheckEnabled"))?,
        protocol,
        port,
        path: request.text(&name("HealthCheckUrl")),
        host: request.text(&name("HealthCheckDomain")).filter(|host| host != SERVER_IP),
        interval: seconds(interval),
        timeout: seconds(timeout),
        healthy_threshold: healthy_threshold.map(i64::from),
        unhealthy_threshold: unhealthy_threshold.map(i64::from),
        matcher: matcher(request)?,
        method: method.map(|word| if word == "HEAD" { Method::Head } else { Method::Get }),
        http_version: version
            .and_then(|word| VERSIONS.into_iter().find(|(known, _)| *known == word))
            .map(|(_, version)| version),
        send,
        expect,
        ..HealthCheckSpec::default()
    })
}

fn protocol(request: &mut Request) -> Result<Option<CheckProtocol>, AlibabaError> {
    let name = format!("{CONFIG}.HealthCheckType");
    let word = request.word(&name, &["TCP", "HTTP", "HTTPS", "UDP"])?;
    match word {
        None => Ok(None),
        Some("TCP") => Ok(Some(CheckProtocol::Tcp)),
        Some("HTTP") => Ok(Some(CheckProtocol::Http)),
        Some("UDP") => Ok(Some(CheckProtocol::Udp)),
        Some(word) => {
            let why = format!("{word}; allowed: TCP, HTTP, UDP");
            Err(request.illegal(&name, why))
        }
    }
}

fn matcher(request: &mut Request) -> Result<Option<String>, AlibabaError> {
    let name = format!("{CONFIG}.HealthCheckHttpCode");
    let mut classes = Vec::new();
    for word in request.texts(&name)? {
        let digit = (FIRST_CLASS..).zip(CLASSES).find(|(_, class)| *class == word);
        let (digit, _) = digit.ok_or_else(|| {
            let word = crate::api::query::crop(&word);
            request.illegal(&name, format!("'{word}'; allowed are {}", CLASSES.join(", ")))
        })?;
        classes.push(digit);
    }
    let matcher = Matcher::of_classes(classes.iter().copied());
    Ok((!classes.is_empty()).then(|| matcher.to_string()))
}

impl From<Violation> for AlibabaError {
    fn from(violation: Violation) -> Self {
        let parameter = match violation.setting {
            "enabled" => "HealthCheckEnabled",
            "protocol" => "HealthCheckType",
            "port" => "HealthCheckConnectPort",
            "path" => "HealthCheckUrl",
            "host" => "HealthCheckDomain",
            "interval" => "HealthCheckInterval",
            "timeout" => "HealthCheckConnectTimeout",
            "healthy_threshold" => "HealthyThreshold",
            "unhealthy_threshold" => "UnhealthyThreshold",
            "matcher" => "HealthCheckHttpCode",
            "method" => "HttpCheckMethod",
            "http_version" => "HealthCheckHttpVersion",
            "send" => "HealthCheckReq",
            "expect" => "HealthCheckExp",
            other => other,
        };
        let why = match &violation.wrong {
            Wrong::Outside { allowed, .. } => {
                format!("{}; allowed: {allowed}", violation.value)
            }
            Wrong::NoMeaning { protocol } => {
                let near = protocol.nearest_with(violation.setting).name();
                let is = protocol.check();
                format!("it is for HealthCheckType {near}, and this is {is}")
            }
            Wrong::AboveInterval { .. }
            | Wrong::ThresholdsDiffer { .. }
            | Wrong::Malformed { .. }
            | Wrong::Part { .. } => violation.to_string(),
        };
        Self::illegal(&format!("{CONFIG}.{parameter}"), why)
    }
}

/// A health check as answers have it.
pub(super) fn form(check: &HealthCheck) -> Value {
    let mut form = json!({
        "HealthCheckEnabled": check.enabled,
        "HealthCheckType": check.protocol.word().name(),
        "HealthCheckConnectPort": check.port.unwrap_or(0),
        "HealthCheckConnectTimeout": whole_seconds(check.timeout),
        "HealthCheckInterval": whole_seconds(check.interval),
        "HealthyThreshold": check.healthy_threshold,
        "UnhealthyThreshold": check.unhealthy_threshold,
        "HealthCheckHttpCode": [],
    });
    if let Some(http) = check.protocol.http() {
        let version = VERSIONS.into_iter().find(|(_, known)| *known == http.request.version);
        form["HealthCheckUrl"] = json!(http.request.path);
        form["HealthCheckDomain"] = json!(http.request.host.as_deref().unwrap_or(SERVER_IP));
        form["HealthCheckHttpCode"] = codes(&http.matcher);
        form["HttpCheckMethod"] = json!(http.request.method.name());
        form["HealthCheckHttpVersion"] = json!(version.map(|(word, _)| word));
    }
    if let Protocol::Udp(UdpSettings { send, expect }) = &check.protocol {
        form["HealthCheckReq"] = json!(send.written());
        form["HealthCheckExp"] = json!(expect.as_ref().map_or("", |expect| expect.written()));
    }
    form
}

/// The classes of statuses that pass. A group of another dialect can have a matcher that is none of
/// whole classes: then those classes are shown of which a status passes.
fn codes(matcher: &Matcher) -> Value {
    let passes = |class: u8| {
        let first = u16::from(class) * 100;
        (first..first + 100).any(|status| matcher.matches(status))
    };
    let classes = (FIRST_CLASS..).zip(CLASSES).filter(|(digit, _)| passes(*digit));
    classes.map(|(_, class)| class).collect()
}

/// Whole seconds, as all that Alibaba knows; groups of other rule sets can have finer settings,
/// which are rounded up.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_finer_than_seconds_is_rounded_up() {
        let shown = [0, 1, 999, 1_000, 1_001, 1_500, 50_000].map(Duration::from_millis);
        assert_eq!(shown.map(whole_seconds), [0, 1, 1, 1, 2, 2, 50]);
    }
}
