//! Server groups: `CreateServerGroup`, `UpdateServerGroupAttribute`, `DeleteServerGroup` and
//! `ListServerGroups`.
//!
//! A group's name must be free over all dialects; where it is not, the group is called by its id,
//! and the name that was given is shown all the same.

use super::answer::{Content, content};
use super::error::AlibabaError;
use super::objects::{self, IN_LISTINGS, attribute, attribute_or, is_asked_for, keep};
use super::page::{self, Asked};
use super::request::Request;
use super::{Call, check, ids};
use crate::config::{GroupConfig, Origin, Rules};
use crate::edit::{Edit, EditError};
use crate::limits::API_CHANGE_TRIES;
use crate::registry::Group;
use crate::table::{GroupSets, ShownState, View};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

const PREFIX: &str = "sgp-";
/// Seconds of draining at most, and unless they are given.
const DRAIN_SECONDS_MAX: u32 = 900;
const DRAIN_SECONDS: u32 = 300;
const DRAIN_ENABLED: &str = "ConnectionDrainEnabled";
const DRAIN_TIMEOUT: &str = "ConnectionDrainTimeout";
const SCHEDULERS: [&str; 7] = ["Wrr", "Wlc", "Rr", "Sch", "Tch", "Qch", "QuicCid"];

pub(super) async fn create(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let name = request.name("ServerGroupName")?;
    let name = name.ok_or_else(|| request.missing("ServerGroupName"))?;
    let mut origin = objects::origin(call.now_ms());
    let vpc = request.text_within("VpcId", 1..=64)?;
    keep(&mut origin, "VpcId", Some(vpc.ok_or_else(|| request.missing("VpcId"))?));
    let protocols = ["TCP", "UDP", "TCPSSL", "TCP_UDP"];
    keep(&mut origin, "Protocol", request.word("Protocol", &protocols)?);
    let kinds = ["Instance", "Ip"];
    keep(&mut origin, "ServerGroupType", request.word("ServerGroupType", &kinds)?);
    let versions = ["Ipv4", "DualStack"];
    keep(&mut origin, "AddressIPVersion", request.word("AddressIPVersion", &versions)?);
    keep(&mut origin, "ResourceGroupId", request.text_within("ResourceGroupId", 1..=64)?);
    if request.boolean("AnyPortEnabled")? == Some(true) {
        let why = "groups of all ports are not in this version; give each server its port";
        return Err(request.illegal("AnyPortEnabled", why));
    }
    objects::keep_tags(&mut origin, &mut request)?;
    objects::keep_name(&mut origin, Some(name.clone()));
    settings(&mut request, &mut origin)?;
    let rules = Rules::Alibaba;
    let mut group = GroupConfig {
        name,
        id: ids::fresh(PREFIX)?,
        rules,
        deregistration_delay: delay(&origin),
        port: None,
        health_check: check::spec(&mut request)?.build(rules)?,
        targets: Vec::new(),
        targets_files: Vec::new(),
        origin,
    };
    if call.view().group(&group.name).is_some() {
        group.name.clone_from(&group.id);
    }
    let id = group.id.clone();
    let edit = Edit::CreateGroup(Box::new(group.clone()));
    match call.apply(edit, &id).await? {
        // Taken since it was looked at.
        Err(EditError::Exists { .. }) if group.name != id => {
            group.name.clone_from(&id);
            call.apply(Edit::CreateGroup(Box::new(group)), &id).await??
        }
        done => done?,
    };
    changed(&id)
}

pub(super) async fn update(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let id = request.required("ServerGroupId")?;
    let name = request.name("ServerGroupName")?;
    let spec = check::spec(&mut request)?;
    let mut given = Origin::default();
    settings(&mut request, &mut given)?;
    for _ in 0..API_CHANGE_TRIES {
        let view = call.view();
        let (group, _) = objects::group(&view, &id)?;
        let mut next = group.config.clone();
        objects::keep_name(&mut next.origin, name.clone());
        let drains = given.attributes.keys().any(|key| key.contains("ConnectionDrain"));
        if drains && attribute(&next.origin, DRAIN_TIMEOUT).is_empty() {
            // A group of another dialect: its delay is what it had so far.
            let seconds = next.deregistration_delay.as_secs();
            keep(&mut next.origin, DRAIN_ENABLED, Some(seconds > 0));
            keep(&mut next.origin, DRAIN_TIMEOUT, Some(seconds).filter(|&seconds| seconds > 0));
        }
        next.origin.attributes.extend(given.attributes.clone());
        if drains {
            next.deregistration_delay = delay(&next.origin);
        }
        if !spec.is_empty() {
            let mut merged = crate::config::HealthCheckSpec::of(&next.health_check);
            merged.overlay(spec.clone());
            next.health_check = merged.build(next.rules)?;
        }
        let (config_id, based_on) = (next.id.clone(), group.changed);
        let edit = Edit::ChangeGroup { group: Box::new(next), based_on };
        match call.apply(edit, &config_id).await? {
            Err(EditError::Stale) => {}
            done => {
                done?;
                return changed(&config_id);
            }
        }
    }
    Err(EditError::Stale.into())
}

pub(super) async fn delete(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let id = request.required("ServerGroupId")?;
    let view = call.view();
    let (group, _) = objects::group(&view, &id)?;
    let group = group.config.id.clone();
    call.apply(Edit::DeleteGroup { group }, &id).await??;
    Ok(content(json!({ "JobId": ids::job()? })))
}

pub(super) fn list(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let asked = Asked::of(&mut request)?;
    let ids = request.set("ServerGroupIds")?;
    let names = request.set("ServerGroupNames")?;
    let kind = request.word("ServerGroupType", &["Instance", "Ip"])?;
    let vpc = request.text("VpcId");
    let resource_group = request.text("ResourceGroupId");
    let tags = request.tags()?;
    let view = call.view();
    let is_listed = |group: &Group| {
        let (config, origin) = (&group.config, &group.config.origin);
        is_asked_for(&ids, &config.id)
            && is_asked_for(&names, objects::shown_name(origin, &config.name))
            && kind.is_none_or(|kind| kind == attribute_or(origin, "ServerGroupType", "Instance"))
            && vpc.as_ref().is_none_or(|vpc| vpc == attribute(origin, "VpcId"))
            && resource_group.as_ref().is_none_or(|id| id == attribute(origin, "ResourceGroupId"))
            && objects::has_tags(origin, &tags)
    };
    let listed: Vec<_> = view
        .registry
        .groups
        .iter()
        .zip(&view.sets)
        .filter(|(group, _)| is_listed(group))
        .map(|(group, sets)| {
            let place = (group.config.origin.created_ms, &*group.config.id);
            (place, (&**group, &**sets))
        })
        .collect();
    let total = listed.len();
    let (page, next_token) = page::objects(listed, &asked, "ServerGroups")?;
    let related = related(&view, page.iter().map(|(group, _)| &*group.config.name));
    let forms: Value =
        page.into_iter().map(|(group, sets)| form(call, group, sets, &related)).collect();
    Ok(content(json!({
        "ServerGroups": forms,
        "TotalCount": total,
        "MaxResults": asked.max_results,
        "NextToken": next_token,
    })))
}

/// The ids of the load balancers whose listeners forward to these groups, by group.
fn related<'a>(
    view: &'a View,
    groups: impl Iterator<Item = &'a str>,
) -> HashMap<&'a str, BTreeSet<&'a str>> {
    let mut related: HashMap<&str, BTreeSet<&str>> =
        groups.map(|name| (name, BTreeSet::new())).collect();
    let ids = objects::balancer_ids(view);
    for listener in &*view.registry.listeners {
        let Some(balancer) = ids.get(&*listener.load_balancer) else { continue };
        for group in &listener.groups {
            if let Some(balancers) = related.get_mut(&**group) {
                balancers.insert(balancer);
            }
        }
    }
    related
}

fn form(
    call: &Call,
    group: &Group,
    sets: &GroupSets,
    related: &HashMap<&str, BTreeSet<&str>>,
) -> Value {
    let (config, origin) = (&group.config, &group.config.origin);
    let delay = config.deregistration_delay.as_secs();
    let drains = sets.count(ShownState::Draining) as usize;
    json!({
        "ServerGroupId": config.id,
        "ServerGroupName": objects::shown_name(origin, &config.name),
        "ServerGroupStatus": "Available",
        "ServerGroupType": attribute_or(origin, "ServerGroupType", "Instance"),
        "Protocol": attribute_or(origin, "Protocol", "TCP"),
        "Scheduler": attribute_or(origin, "Scheduler", "Wrr"),
        "AddressIPVersion": attribute_or(origin, "AddressIPVersion", "Ipv4"),
        "VpcId": attribute(origin, "VpcId"),
        "ResourceGroupId": attribute(origin, "ResourceGroupId"),
        "RegionId": call.region,
        "AnyPortEnabled": false,
        "PreserveClientIpEnabled": attribute(origin, "PreserveClientIpEnabled") != "false",
        "ConnectionDrainEnabled": delay > 0,
        "ConnectionDrainTimeout": match attribute(origin, DRAIN_TIMEOUT).parse::<u64>() {
            Ok(seconds) => seconds,
            Err(_) if delay > 0 => delay,
            Err(_) => u64::from(DRAIN_SECONDS),
        },
        "ServerCount": sets.len().saturating_sub(drains),
        "RelatedLoadBalancerIds": related.get(&*config.name),
        "HealthCheck": check::form(&config.health_check),
        "Tags": objects::tags(origin, IN_LISTINGS),
    })
}

/// Takes what can be given at first and changed later, but for the health check.
fn settings(request: &mut Request, origin: &mut Origin) -> Result<(), AlibabaError> {
    keep(origin, "Scheduler", request.word("Scheduler", &SCHEDULERS)?);
    let preserve = "PreserveClientIpEnabled";
    keep(origin, preserve, request.boolean(preserve)?);
    keep(origin, DRAIN_ENABLED, request.boolean(DRAIN_ENABLED)?);
    keep(origin, DRAIN_TIMEOUT, request.integer(DRAIN_TIMEOUT, 0..=DRAIN_SECONDS_MAX)?);
    Ok(())
}

/// The deregistration delay that the attributes make: none where draining is off.
fn delay(origin: &Origin) -> Duration {
    if attribute(origin, DRAIN_ENABLED) != "true" {
        return Duration::ZERO;
    }
    let seconds = attribute(origin, DRAIN_TIMEOUT).parse().unwrap_or(DRAIN_SECONDS);
    Duration::from_secs(seconds.into())
}

/// The answer to a change of a server group.
pub(super) fn changed(id: &str) -> Result<Content, AlibabaError> {
    Ok(content(json!({ "ServerGroupId": id, "JobId": ids::job()? })))
}
