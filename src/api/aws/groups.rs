//! `CreateTargetGroup`, `ModifyTargetGroup`, `DescribeTargetGroups`, `DeleteTargetGroup`.

use super::error::AwsError;
use super::group_form::{self, IP_ADDRESS_TYPE, PROTOCOL, TARGET_TYPE, VPC_ID, VPC_ID_DEFAULT};
use super::page::{Page, write_marker};
use super::request::Members;
use super::{Attributes, Call, Content, check, crop, find, fresh_hex, names, tags};
use crate::config::{AwsConfig, GroupConfig, HealthCheckSpec, ListenerConfig, Origin, Source};
use crate::edit::{Edit, EditError};
use crate::limits::API_CHANGE_TRIES;
use crate::registry::{Group, Registry};
use std::sync::Arc;
use std::time::Duration;

/// Protocols of groups of a network load balancer.
const PROTOCOLS: [&str; 4] = ["TCP", "TLS", "UDP", "TCP_UDP"];
const TARGET_TYPES: [&str; 4] = ["instance", "ip", "lambda", "alb"];
const DEREGISTRATION_DELAY: Duration = Duration::from_secs(300);
/// Characters of a VPC's id, which is only repeated.
const VPC_CHARS_MAX: usize = 255;
/// The code for a group of a file where the call's model has it, and where it has not.
pub(super) const READ_ONLY: &str = "InvalidConfigurationRequest";
/// As above.
pub(super) const READ_ONLY_OTHER: &str = "OperationNotPermitted";

/// `CreateTargetGroup`. The same settings again: the group that is there.
pub(super) async fn create(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let group = wanted(call, &mut members)?;
    // AWS says so too where the group is there already: it changes nothing.
    if let Some(there) = call.view().registry.group(&group.name) {
        return same(call, &there.config, &group);
    }
    let (name, settings) = (group.name.clone(), group.clone());
    match call.apply(Edit::CreateGroup(Box::new(group)), &name).await {
        Ok(_) => {}
        // Somebody made it meanwhile.
        Err(EditError::Exists { .. }) => {
            let view = call.view();
            let there = view.registry.group(&name).ok_or_else(|| duplicate(&name))?;
            return same(call, &there.config, &settings);
        }
        Err(error) => return Err(AwsError::of_edit(&error, READ_ONLY)),
    }
    Ok(answer(call, &settings))
}

/// `ModifyTargetGroup`. Members that are not given keep their settings.
pub(super) async fn modify(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arn = members.required("TargetGroupArn")?;
    let protocol = {
        let view = call.view();
        group_form::protocol(&find::group(&view.registry, &arn)?.config).to_owned()
    };
    let newer = check::read(&mut members, &protocol)?;
    let change = |group: &mut GroupConfig| {
        let mut spec = HealthCheckSpec::of(&group.health_check);
        spec.overlay(newer.clone());
        group.health_check = check::build(&spec, group.rules, &protocol)?;
        Ok(())
    };
    let group = change_group(call, &arn, change).await?;
    Ok(answer(call, &group))
}

/// Carries out `change` on the group with this ARN, again where somebody else changed it meanwhile,
/// and gives its settings now.
pub(super) async fn change_group(
    call: &Call,
    arn: &str,
    change: impl Fn(&mut GroupConfig) -> Result<(), AwsError>,
) -> Result<GroupConfig, AwsError> {
    let mut stale = EditError::Stale;
    for _ in 0..API_CHANGE_TRIES {
        let (mut group, based_on) = settings(&call.view().registry, arn)?;
        change(&mut group)?;
        let (name, next) = (group.name.clone(), group.clone());
        match call.apply(Edit::ChangeGroup { group: Box::new(next), based_on }, &name).await {
            Ok(_) => return Ok(group),
            Err(error @ EditError::Stale) => stale = error,
            Err(error) => return Err(AwsError::of_edit(&error, READ_ONLY)),
        }
    }
    Err(AwsError::of_edit(&stale, READ_ONLY))
}

fn settings(registry: &Registry, arn: &str) -> Result<(GroupConfig, u64), AwsError> {
    let group = find::group(registry, arn)?;
    Ok((group.config.clone(), group.changed))
}

/// `DescribeTargetGroups`: by load balancer, by ARN, by name, or all.
pub(super) fn describe(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let page = Page::of(&mut members)?;
    let of = members.text("LoadBalancerArn");
    let (arns, names) = (members.texts("TargetGroupArns")?, members.texts("Names")?);
    let given = [of.is_some(), !arns.is_empty(), !names.is_empty()];
    if given.iter().filter(|&&given| given).count() > 1 {
        let message = "Target group names, target group ARNs and a load balancer ARN cannot be \
            specified at the same time";
        return Err(AwsError::validation(message));
    }
    let view = call.view();
    let registry = &*view.registry;
    let chosen: Vec<&Arc<Group>> = if let Some(of) = of {
        of_load_balancer(registry, &of)?
    } else if !arns.is_empty() {
        arns.iter().map(|arn| find::group(registry, arn)).collect::<Result<_, _>>()?
    } else if !names.is_empty() {
        let named = |name: &String| registry.group(name).ok_or_else(AwsError::group_not_found);
        names.iter().map(named).collect::<Result<_, _>>()?
    } else {
        registry.groups.iter().collect()
    };
    let (shown, marker) = page.of_all(unique(chosen), |group| group.config.name.clone());
    let shown: Vec<&GroupConfig> = shown.into_iter().map(|group| &group.config).collect();
    Ok(Content::of(|xml| {
        group_form::write_list(xml, call.aws(), registry, &shown);
        write_marker(xml, marker.as_deref());
    }))
}

/// Groups that listeners of a load balancer forward to.
fn of_load_balancer<'r>(
    registry: &'r Registry,
    arn: &str,
) -> Result<Vec<&'r Arc<Group>>, AwsError> {
    let of = find::load_balancer(registry, arn)?;
    let is_of = |listener: &&ListenerConfig| listener.load_balancer == of.name;
    let names = registry.listeners.iter().filter(is_of).flat_map(|listener| &listener.groups);
    Ok(names.filter_map(|name| registry.group(name)).collect())
}

/// Each group once.
fn unique(mut groups: Vec<&Arc<Group>>) -> Vec<&Arc<Group>> {
    groups.sort_unstable_by_key(|group| group.key);
    groups.dedup_by_key(|group| group.key);
    groups
}

/// `DeleteTargetGroup`. One that is not there is deleted already.
pub(super) async fn delete(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arn = members.required("TargetGroupArn")?;
    let name = match find::group(&call.view().registry, &arn) {
        Ok(group) => group.config.name.clone(),
        Err(error) if error == AwsError::group_not_found() => return Ok(Content::empty()),
        Err(error) => return Err(error),
    };
    match call.apply(Edit::DeleteGroup { group: name.clone() }, &name).await {
        Ok(_) | Err(EditError::Unknown { .. }) => Ok(Content::empty()),
        Err(EditError::InUse { .. }) => {
            let message =
                format!("Target group '{arn}' is currently in use by a listener or a rule");
            Err(AwsError::new("ResourceInUse", message))
        }
        Err(error) => Err(AwsError::of_edit(&error, READ_ONLY_OTHER)),
    }
}

/// The group that `CreateTargetGroup` asks for.
fn wanted(call: &Call, members: &mut Members) -> Result<GroupConfig, AwsError> {
    let name = members.required("Name")?;
    names::check("Target group", &name)?;
    let target_type = members.word("TargetType", &TARGET_TYPES)?.unwrap_or("instance");
    if !["instance", "ip"].contains(&target_type) {
        let message = format!(
            "Target groups with target type '{target_type}' are not supported here; use \
             'instance' or 'ip'"
        );
        return Err(AwsError::configuration(message));
    }
    let protocol = protocol(members)?;
    let port = members.port("Port")?;
    let port = port.ok_or_else(|| AwsError::validation("A port must be specified"))?;
    let family = members.word("IpAddressType", &["ipv4", "ipv6"])?.unwrap_or("ipv4");
    let vpc = members.text_within("VpcId", 1..=VPC_CHARS_MAX)?;
    if let Some(version) = members.text("ProtocolVersion") {
        let message = format!(
            "Protocol version '{}' is not supported for target groups with the {protocol} protocol",
            crop(&version)
        );
        return Err(AwsError::configuration(message));
    }
    let rules = call.aws().rules;
    let health_check = check::build(&check::read(members, protocol)?, rules, protocol)?;
    let mut attributes = Attributes::new();
    attributes.insert(PROTOCOL.to_owned(), protocol.to_owned());
    attributes.insert(TARGET_TYPE.to_owned(), target_type.to_owned());
    attributes.insert(IP_ADDRESS_TYPE.to_owned(), family.to_owned());
    attributes.insert(VPC_ID.to_owned(), vpc.unwrap_or_else(|| VPC_ID_DEFAULT.to_owned()));
    tags::read(members)?.store(&mut attributes);
    Ok(GroupConfig {
        name,
        id: format!("tg-{}", fresh_hex()?),
        rules,
        deregistration_delay: DEREGISTRATION_DELAY,
        port: Some(port),
        health_check,
        targets: Vec::new(),
        targets_files: Vec::new(),
        origin: Origin { source: Source::Aws, created_ms: call.state.unix_ms(), attributes },
    })
}

fn protocol(members: &mut Members) -> Result<&'static str, AwsError> {
    let protocol = members.word("Protocol", &check::PROTOCOLS)?;
    let protocol = protocol.ok_or_else(|| AwsError::validation("A protocol must be specified"))?;
    if PROTOCOLS.contains(&protocol) {
        return Ok(protocol);
    }
    Err(AwsError::configuration(format!(
        "Target groups with the {protocol} protocol are not supported for network load \
         balancers. Must be one of the following values '[{}]'.",
        PROTOCOLS.join(", ")
    )))
}

/// The answer where `there` has the name of the wanted group.
fn same(call: &Call, there: &GroupConfig, wanted: &GroupConfig) -> Result<Content, AwsError> {
    let keys = [PROTOCOL, TARGET_TYPE, VPC_ID, IP_ADDRESS_TYPE];
    let equal =
        |key: &&str| group_form::attribute(there, key) == group_form::attribute(wanted, key);
    let is_same = group_form::is_ours(there)
        && there.port == wanted.port
        && there.health_check == wanted.health_check
        && keys.iter().all(equal);
    if is_same { Ok(answer(call, there)) } else { Err(duplicate(&wanted.name)) }
}

fn duplicate(name: &str) -> AwsError {
    let message =
        format!("A target group with the same name '{name}' exists, but with different settings");
    AwsError::new("DuplicateTargetGroupName", message)
}

/// The answer that shows one group.
fn answer(call: &Call, group: &GroupConfig) -> Content {
    let aws: &AwsConfig = call.aws();
    let view = call.view();
    Content::of(|xml| group_form::write_list(xml, aws, &view.registry, &[group]))
}
