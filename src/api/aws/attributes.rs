//! `DescribeTargetGroupAttributes` and `ModifyTargetGroupAttributes`.
//!
//! Of the attributes of a network load balancer's group one acts: the deregistration delay. The
//! others are checked, kept and repeated, because clients read back what they wrote.

use super::error::AwsError;
use super::group_form;
use super::groups::change_group;
use super::request::Members;
use super::{Call, Content, crop, find};
use crate::api::xml::Xml;
use crate::config::GroupConfig;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The attribute that acts.
const DELAY: &str = "deregistration_delay.timeout_seconds";
const CLIENT_IP: &str = "preserve_client_ip.enabled";
/// Attributes of a group under this prefix are those of this file.
const PREFIX: &str = "aws.attribute.";
const DELAY_SECONDS: RangeInclusive<u32> = 0..=3_600;
const ATTRIBUTES_MAX: usize = 100;

/// What an attribute can be.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Boolean,
    Number(u32, u32),
    OneOf(&'static [&'static str]),
    /// `off`, or a number.
    OffOr(u32, u32),
}

/// Key, default and values. Source: ELBv2 API reference, TargetGroupAttribute, as of 2025.
const ATTRIBUTES: [(&str, &str, Kind); 13] = [
    ("stickiness.enabled", "false", Kind::Boolean),
    (DELAY, "300", Kind::Number(*DELAY_SECONDS.start(), *DELAY_SECONDS.end())),
    ("stickiness.type", "source_ip", Kind::OneOf(&["source_ip"])),
    ("proxy_protocol_v2.enabled", "false", Kind::Boolean),
    (CLIENT_IP, "true", Kind::Boolean),
    ("deregistration_delay.connection_termination.enabled", "false", Kind::Boolean),
    (
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
        Kind::OneOf(&["true", "false", "use_load_balancer_configuration"]),
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
        Kind::OffOr(1, u32::MAX),
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
        Kind::OffOr(1, 100),
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
        Kind::Number(1, u32::MAX),
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
        Kind::OffOr(1, 100),
    ),
    ("target_health_state.unhealthy.connection_termination.enabled", "true", Kind::Boolean),
    ("target_health_state.unhealthy.draining_interval_seconds", "0", Kind::Number(0, 360_000)),
];

/// `DescribeTargetGroupAttributes`
pub(super) fn describe(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arn = members.required("TargetGroupArn")?;
    let view = call.view();
    let group = find::group(&view.registry, &arn)?;
    Ok(Content::of(|xml| write(xml, &group.config)))
}

/// `ModifyTargetGroupAttributes`: all of them or none.
pub(super) async fn modify(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arn = members.required("TargetGroupArn")?;
    let list = members.required_list("Attributes")?;
    let protocol = {
        let view = call.view();
        group_form::protocol(&find::group(&view.registry, &arn)?.config).to_owned()
    };
    if list.len() > ATTRIBUTES_MAX {
        return Err(AwsError::validation(format!("more than {ATTRIBUTES_MAX} attributes")));
    }
    let mut changes = Vec::with_capacity(list.len());
    for mut attribute in list {
        let key = attribute.required("Key")?;
        let value = attribute.text("Value").unwrap_or_default();
        changes.push((check(&key, &value, &protocol)?, value));
    }
    let change = |group: &mut GroupConfig| {
        for (key, value) in &changes {
            set(group, key, value);
        }
        Ok(())
    };
    let group = change_group(call, &arn, change).await?;
    Ok(Content::of(|xml| write(xml, &group)))
}

/// The key, if there is such an attribute and it can have this value.
fn check(key: &str, value: &str, protocol: &str) -> Result<&'static str, AwsError> {
    let known = ATTRIBUTES.iter().find(|(known, ..)| *known == key);
    let Some(&(key, _, kind)) = known else { return Err(unknown(key, protocol)) };
    let number = value.parse::<u32>().ok();
    let (fits, allowed) = match kind {
        Kind::Boolean => (["true", "false"].contains(&value), "'true' or 'false'".to_owned()),
        Kind::OneOf(words) => (words.contains(&value), format!("one of '[{}]'", words.join(", "))),
        Kind::Number(least, most) => (
            number.is_some_and(|number| (least..=most).contains(&number)),
            format!("between '{least}' and '{most}' inclusive"),
        ),
        Kind::OffOr(least, most) => (
            value == "off" || number.is_some_and(|number| (least..=most).contains(&number)),
            format!("'off' or between '{least}' and '{most}' inclusive"),
        ),
    };
    if fits {
        return Ok(key);
    }
    let value = crop(value);
    Err(AwsError::validation(format!("'{key}' must be {allowed}, not '{value}'")))
}

fn unknown(key: &str, protocol: &str) -> AwsError {
    let others = [
        "slow_start.duration_seconds",
        "load_balancing.algorithm.type",
        "load_balancing.algorithm.anomaly_mitigation",
        "stickiness.lb_cookie.duration_seconds",
        "stickiness.app_cookie.cookie_name",
        "stickiness.app_cookie.duration_seconds",
        "lambda.multi_value_headers.enabled",
        "target_failover.on_deregistration",
        "target_failover.on_unhealthy",
    ];
    if others.contains(&key) {
        return AwsError::configuration(format!(
            "Target group attribute key '{key}' is not supported for target groups with the \
             {protocol} protocol"
        ));
    }
    let key = crop(key);
    AwsError::validation(format!("Target group attribute key '{key}' is not recognized"))
}

fn set(group: &mut GroupConfig, key: &str, value: &str) {
    if key == DELAY {
        // It was checked.
        let seconds = value.parse().unwrap_or(*DELAY_SECONDS.end());
        group.deregistration_delay = Duration::from_secs(seconds.into());
        return;
    }
    group.origin.attributes.insert(format!("{PREFIX}{key}"), value.to_owned());
}

fn write(xml: &mut Xml, group: &GroupConfig) {
    let delay = group_form::whole_seconds(group.deregistration_delay).to_string();
    xml.element("Attributes", |xml| {
        for (key, default, _) in ATTRIBUTES {
            let kept = group_form::attribute(group, &format!("{PREFIX}{key}"));
            let value = match key {
                DELAY => &delay,
                CLIENT_IP => kept.unwrap_or_else(|| client_ip(group)),
                _ => kept.unwrap_or(default),
            };
            xml.element("member", |xml| {
                xml.text("Key", key);
                xml.text("Value", value);
            });
        }
    });
}

/// Whether the client's address is kept unless the attribute says otherwise: not for addresses over
/// TCP and TLS.
fn client_ip(group: &GroupConfig) -> &'static str {
    let is_udp = group_form::protocol(group).contains("UDP");
    if is_udp || group_form::target_type(group) == "instance" { "true" } else { "false" }
}
