//! Groups as AWS describes them, those of the file and of the other dialects among them.

use super::find;
use crate::api::xml::Xml;
use crate::config::{AwsConfig, GroupConfig, LoadBalancerConfig, Source};
use crate::registry::Registry;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Attributes of a group made through the AWS API.
pub(super) const PROTOCOL: &str = "aws.protocol";
/// As above.
pub(super) const TARGET_TYPE: &str = "aws.target_type";
/// Also of a load balancer.
pub(super) const VPC_ID: &str = "aws.vpc_id";
/// As above.
pub(super) const IP_ADDRESS_TYPE: &str = "aws.ip_address_type";
/// The VPC of what was made without one: AWS's clients expect one.
pub(super) const VPC_ID_DEFAULT: &str = "vpc-00000000";

/// The load balancers of every group.
#[derive(Debug)]
pub(super) struct Uses<'r>(HashMap<&'r str, Vec<&'r LoadBalancerConfig>>);

impl<'r> Uses<'r> {
    /// Those of `groups`, which are few: the listeners are looked at once.
    pub(super) fn of(registry: &'r Registry, groups: &[&GroupConfig]) -> Self {
        let asked: HashSet<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        let mut uses: HashMap<&str, Vec<&LoadBalancerConfig>> = HashMap::new();
        for listener in registry.listeners.iter() {
            let forwards = listener.groups.iter().filter(|group| asked.contains(group.as_str()));
            for group in forwards {
                let Some(of) = registry.load_balancer(&listener.load_balancer) else { continue };
                let known = uses.entry(group).or_default();
                if !known.iter().any(|known| known.name == of.name) {
                    known.push(of);
                }
            }
        }
        Self(uses)
    }
}

/// Its protocol: one from elsewhere has none of its own, and is shown as TCP.
pub(super) fn protocol(group: &GroupConfig) -> &str {
    attribute(group, PROTOCOL).unwrap_or("TCP")
}

/// Its target type: what is made elsewhere knows addresses.
pub(super) fn target_type(group: &GroupConfig) -> &str {
    attribute(group, TARGET_TYPE).unwrap_or("ip")
}

/// An attribute of a group.
pub(super) fn attribute<'g>(group: &'g GroupConfig, key: &str) -> Option<&'g str> {
    group.origin.attributes.get(key).map(String::as_str)
}

/// Whether it was made through the AWS API.
pub(super) fn is_ours(group: &GroupConfig) -> bool {
    group.origin.source == Source::Aws
}

/// `TargetGroups` with these groups.
pub(super) fn write_list(
    xml: &mut Xml,
    aws: &AwsConfig,
    registry: &Registry,
    groups: &[&GroupConfig],
) {
    let uses = Uses::of(registry, groups);
    xml.element("TargetGroups", |xml| {
        for group in groups {
            xml.element("member", |xml| write(xml, aws, group, &uses));
        }
    });
}

fn write(xml: &mut Xml, aws: &AwsConfig, group: &GroupConfig, uses: &Uses<'_>) {
    let check = &group.health_check;
    xml.text("TargetGroupArn", &find::arn_of_group(aws, group));
    xml.text("TargetGroupName", &group.name);
    xml.text("Protocol", protocol(group));
    if let Some(port) = group.port {
        xml.plain("Port", port);
    }
    xml.text("VpcId", attribute(group, VPC_ID).unwrap_or(VPC_ID_DEFAULT));
    xml.plain("HealthCheckProtocol", check.protocol.word().name());
    match check.port {
        Some(port) => xml.plain("HealthCheckPort", port),
        None => xml.plain("HealthCheckPort", "traffic-port"),
    }
    xml.plain("HealthCheckEnabled", check.enabled);
    xml.plain("HealthCheckIntervalSeconds", whole_seconds(check.interval));
    xml.plain("HealthCheckTimeoutSeconds", whole_seconds(check.timeout));
    xml.plain("HealthyThresholdCount", check.healthy_threshold);
    xml.plain("UnhealthyThresholdCount", check.unhealthy_threshold);
    if let Some(http) = check.protocol.http() {
        xml.text("HealthCheckPath", &http.request.path);
        xml.element("Matcher", |xml| xml.plain("HttpCode", http.matcher));
    }
    xml.element("LoadBalancerArns", |xml| {
        for of in uses.0.get(group.name.as_str()).into_iter().flatten() {
            xml.text("member", &find::arn_of_load_balancer(aws, of));
        }
    });
    xml.text("TargetType", target_type(group));
    xml.text("IpAddressType", attribute(group, IP_ADDRESS_TYPE).unwrap_or("ipv4"));
}

/// AWS knows whole seconds only; what is finer elsewhere is rounded up.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
