//! Objects by their ARNs, and ARNs of objects.

use super::arn;
use super::error::AwsError;
use crate::config::{AwsConfig, GroupConfig, ListenerConfig, LoadBalancerConfig};
use crate::registry::{Group, Registry};
use std::sync::Arc;

/// The group with this ARN.
pub(super) fn group<'v>(registry: &'v Registry, arn: &str) -> Result<&'v Arc<Group>, AwsError> {
    let named = arn::parse_group(arn)?;
    let group = registry.group(&named.name).filter(|group| named.is(&group.config.id));
    group.ok_or_else(AwsError::group_not_found)
}

/// The load balancer with this ARN.
pub(super) fn load_balancer<'v>(
    registry: &'v Registry,
    arn: &str,
) -> Result<&'v LoadBalancerConfig, AwsError> {
    let named = arn::parse_load_balancer(arn)?;
    let found = registry.load_balancer(&named.name).filter(|found| named.is(&found.id));
    found.ok_or_else(AwsError::load_balancer_not_found)
}

/// The listener with this ARN, and its load balancer.
pub(super) fn listener<'v>(
    registry: &'v Registry,
    arn: &str,
) -> Result<(&'v ListenerConfig, &'v LoadBalancerConfig), AwsError> {
    let named = arn::parse_listener(arn)?;
    let of = registry.load_balancer(&named.name).filter(|found| named.is(&found.id));
    let of = of.ok_or_else(AwsError::listener_not_found)?;
    let mut all = registry.listeners.iter();
    let is_it = |l: &&ListenerConfig| l.load_balancer == of.name && named.is_listener(&l.id);
    let listener = all.find(is_it).ok_or_else(AwsError::listener_not_found)?;
    Ok((listener, of))
}

/// The ARN of a group.
pub(super) fn arn_of_group(aws: &AwsConfig, group: &GroupConfig) -> String {
    arn::group(aws, &group.name, &group.id)
}

/// The ARN of a load balancer.
pub(super) fn arn_of_load_balancer(aws: &AwsConfig, found: &LoadBalancerConfig) -> String {
    arn::load_balancer(aws, &found.name, &found.id)
}

/// The ARN of a listener of `of`.
pub(super) fn arn_of_listener(
    aws: &AwsConfig,
    of: &LoadBalancerConfig,
    listener: &ListenerConfig,
) -> String {
    arn::listener(aws, &of.name, &of.id, &listener.id)
}
