//! Members that make a health check, and the words in which AWS refuses one.
//!
//! What a rule set allows is judged by [`HealthCheckSpec::build`], here as everywhere; this file
//! only reads members and translates. The texts of rule set `classic` are those that AWS gave from
//! 2017 to 2022, with the protocol of the group where it had it.

use super::error::AwsError;
use super::request::Members;
use crate::config::{CheckPort, CheckProtocol, HealthCheck, HealthCheckSpec, Rules};
use crate::config::{Violation, Wrong};
use std::time::Duration;

/// Protocols of groups, listeners and health checks in the service's model.
pub(super) const PROTOCOLS: [&str; 9] =
    ["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"];
const PATH_CHARS_MAX: usize = 1_024;

/// The health check settings that `members` give, to be judged with [`build`]. `protocol` is that
/// of the group.
pub(super) fn read(members: &mut Members, protocol: &str) -> Result<HealthCheckSpec, AwsError> {
    let check = members.word("HealthCheckProtocol", &PROTOCOLS)?;
    let port = members.text("HealthCheckPort").map(|text| port(&text)).transpose()?;
    let enabled = members.boolean("HealthCheckEnabled")?;
    let path = members.text_within("HealthCheckPath", 1..=PATH_CHARS_MAX)?;
    let interval = members.integer("HealthCheckIntervalSeconds", 5..=300)?;
    let timeout = members.integer("HealthCheckTimeoutSeconds", 2..=120)?;
    let healthy_threshold = members.integer("HealthyThresholdCount", 2..=10)?;
    let unhealthy_threshold = members.integer("UnhealthyThresholdCount", 2..=10)?;
    if members.text("Matcher.GrpcCode").is_some() {
        let message =
            format!("GRPC codes are not supported for target groups with the {protocol} protocol");
        return Err(AwsError::configuration(message));
    }
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    Ok(HealthCheckSpec {
        enabled,
        protocol: check.map(|word| check_protocol(word, protocol)).transpose()?,
        port,
        path,
        interval: interval.map(seconds),
        timeout: timeout.map(seconds),
        healthy_threshold: healthy_threshold.map(Into::into),
        unhealthy_threshold: unhealthy_threshold.map(Into::into),
        matcher: members.text("Matcher.HttpCode"),
        ..HealthCheckSpec::default()
    })
}

/// The health check of a group with `protocol` under `rules`.
pub(super) fn build(
    spec: &HealthCheckSpec,
    rules: Rules,
    protocol: &str,
) -> Result<HealthCheck, AwsError> {
    spec.build(rules).map_err(|violation| refused(&violation, protocol))
}

fn port(text: &str) -> Result<CheckPort, AwsError> {
    if text == "traffic-port" {
        return Ok(CheckPort::Traffic);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse::<u16>().ok().filter(|&port| port > 0 && digits);
    port.map(CheckPort::Number).ok_or_else(|| {
        let text = super::crop(text);
        let message =
            format!("Health check port '{text}' must be 'traffic-port' or between 1 and 65535");
        AwsError::validation(message)
    })
}

fn check_protocol(word: &str, protocol: &str) -> Result<CheckProtocol, AwsError> {
    match word {
        "TCP" => Ok(CheckProtocol::Tcp),
        "HTTP" => Ok(CheckProtocol::Http),
        "HTTPS" => Ok(CheckProtocol::Https),
        _ => Err(AwsError::configuration(format!(
            "Health check protocol '{word}' is not supported for target groups with the \
             {protocol} protocol. Must be one of the following values '[TCP, HTTP, HTTPS]'."
        ))),
    }
}

/// A violation in AWS's words; in ours where AWS has none.
fn refused(violation: &Violation, protocol: &str) -> AwsError {
    let value = &violation.value;
    let with = format!("for target groups with the {protocol} protocol");
    let text = match (violation.setting, &violation.wrong) {
        ("interval", Wrong::Outside { rules: Rules::Classic, .. }) => {
            let seconds = value.trim_matches('"').trim_end_matches('s');
            format!(
                "Health check interval '{seconds}' not supported {with}. Must be one of the \
                 following values '[10, 30]'."
            )
        }
        ("timeout", Wrong::Outside { rules: Rules::Classic, .. }) => {
            format!("Custom health check timeouts are not supported for health checks {with}")
        }
        ("matcher", Wrong::Outside { rules: Rules::Classic, .. }) => {
            format!("Custom health check matchers are not supported for health checks {with}")
        }
        ("matcher", Wrong::NoMeaning { .. }) => {
            "Health check matchers are not supported for TCP health checks".to_owned()
        }
        ("path", Wrong::NoMeaning { .. }) => {
            "Health check paths are not supported for TCP health checks".to_owned()
        }
        (_, Wrong::ThresholdsDiffer { .. }) => {
            format!(
                "Health check healthy threshold and unhealthy threshold must be the same {with}"
            )
        }
        (_, Wrong::AboveInterval { .. }) => {
            return AwsError::validation("Health check interval must be greater than the timeout.");
        }
        _ => return AwsError::validation(violation.to_string()),
    };
    AwsError::configuration(text)
}
