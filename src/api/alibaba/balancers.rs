//! Load balancers: `CreateLoadBalancer`, `DeleteLoadBalancer`, `ListLoadBalancers`,
//! `GetLoadBalancerAttribute`.
//!
//! A load balancer takes no traffic here: its zones decide which targets are in use.

use super::answer::{Content, content};
use super::error::AlibabaError;
use super::objects::{
    self, IN_ATTRIBUTES, IN_LISTINGS, attribute, attribute_or, is_asked_for, keep,
};
use super::page::{self, Asked};
use super::request::Request;
use super::{Call, ids};
use crate::config::LoadBalancerConfig;
use crate::edit::{Edit, EditError};
use crate::wall::Rfc3339;
use serde_json::{Value, json};

const PREFIX: &str = "nlb-";
/// Zones of a load balancer at most.
const ZONES_MAX: usize = 32;
const ADDRESS_TYPES: [&str; 2] = ["Internet", "Intranet"];
const IP_VERSIONS: [&str; 2] = ["Ipv4", "DualStack"];

pub(super) async fn create(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let mut origin = objects::origin(call.now_ms());
    let address_type = request.word("AddressType", &ADDRESS_TYPES)?;
    let address_type = address_type.ok_or_else(|| request.missing("AddressType"))?;
    keep(&mut origin, "AddressType", Some(address_type));
    let vpc = request.text_within("VpcId", 1..=64)?;
    keep(&mut origin, "VpcId", Some(vpc.ok_or_else(|| request.missing("VpcId"))?));
    keep(&mut origin, "AddressIpVersion", request.word("AddressIpVersion", &IP_VERSIONS)?);
    keep(&mut origin, "ResourceGroupId", request.text_within("ResourceGroupId", 1..=64)?);
    request.word("LoadBalancerType", &["Network"])?;
    let name = request.name("LoadBalancerName")?;
    objects::keep_name(&mut origin, name.clone());
    objects::keep_tags(&mut origin, &mut request)?;
    let mut zones: Vec<String> = Vec::new();
    for mut mapping in request.required_list("ZoneMappings")? {
        let zone = mapping.text_within("ZoneId", 1..=64)?;
        let zone = zone.ok_or_else(|| mapping.missing("ZoneId"))?;
        let switch = mapping.text_within("VSwitchId", 1..=64)?;
        let switch = switch.ok_or_else(|| mapping.missing("VSwitchId"))?;
        if zones.contains(&zone) {
            let message = "The param of ZoneId is duplicated.";
            return Err(AlibabaError::bad("DuplicatedParam.ZoneId", message));
        }
        keep(&mut origin, &format!("VSwitchId.{zone}"), Some(switch));
        zones.push(zone);
        if zones.len() > ZONES_MAX {
            return Err(request.illegal("ZoneMappings", format!("allowed are {ZONES_MAX} zones")));
        }
    }
    let id = ids::fresh(PREFIX)?;
    let mut balancer =
        LoadBalancerConfig { name: name.unwrap_or_else(|| id.clone()), id, zones, origin };
    if call.view().registry.load_balancer(&balancer.name).is_some() {
        balancer.name.clone_from(&balancer.id);
    }
    let id = balancer.id.clone();
    let edit = Edit::CreateLoadBalancer(Box::new(balancer.clone()));
    match call.apply(edit, &id).await? {
        // Taken since it was looked at.
        Err(EditError::Exists { .. }) if balancer.name != id => {
            balancer.name.clone_from(&id);
            call.apply(Edit::CreateLoadBalancer(Box::new(balancer)), &id).await??
        }
        done => done?,
    };
    // Spelt so in Alibaba's answer.
    Ok(content(json!({ "LoadbalancerId": id })))
}

pub(super) async fn delete(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let id = request.required("LoadBalancerId")?;
    let view = call.view();
    let load_balancer = objects::load_balancer(&view, &id)?.id.clone();
    call.apply(Edit::DeleteLoadBalancer { load_balancer }, &id).await??;
    Ok(content(json!({ "JobId": ids::job()? })))
}

pub(super) fn list(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let asked = Asked::of(&mut request)?;
    let ids = request.set("LoadBalancerIds")?;
    let names = request.set("LoadBalancerNames")?;
    let vpcs = request.set("VpcIds")?;
    let zone = request.text("ZoneId");
    let address_type = request.word("AddressType", &ADDRESS_TYPES)?;
    let ip_version = request.word("AddressIpVersion", &IP_VERSIONS)?;
    let status = request.text("LoadBalancerStatus");
    let tags = request.tags()?;
    let view = call.view();
    let is_listed = |balancer: &LoadBalancerConfig| {
        let origin = &balancer.origin;
        is_asked_for(&ids, &balancer.id)
            && is_asked_for(&names, objects::shown_name(origin, &balancer.name))
            && is_asked_for(&vpcs, attribute(origin, "VpcId"))
            && zone.as_ref().is_none_or(|zone| balancer.zones.contains(zone))
            && address_type.is_none_or(|word| word == address_type_of(balancer))
            && ip_version.is_none_or(|word| word == ip_version_of(balancer))
            && status.as_ref().is_none_or(|status| status == "Active")
            && objects::has_tags(origin, &tags)
    };
    let listed: Vec<_> = view
        .registry
        .load_balancers
        .iter()
        .filter(|balancer| is_listed(balancer))
        .map(|balancer| ((balancer.origin.created_ms, &*balancer.id), balancer))
        .collect();
    let total = listed.len();
    let (page, next_token) = page::objects(listed, &asked, "LoadBalancers")?;
    let forms: Value = page.into_iter().map(|balancer| form(call, balancer, IN_LISTINGS)).collect();
    Ok(content(json!({
        "LoadBalancers": forms,
        "TotalCount": total,
        "MaxResults": asked.max_results,
        "NextToken": next_token,
    })))
}

pub(super) fn get(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let id = request.required("LoadBalancerId")?;
    let view = call.view();
    Ok(content(form(call, objects::load_balancer(&view, &id)?, IN_ATTRIBUTES)))
}

fn address_type_of(balancer: &LoadBalancerConfig) -> &str {
    attribute_or(&balancer.origin, "AddressType", "Intranet")
}

fn ip_version_of(balancer: &LoadBalancerConfig) -> &str {
    attribute_or(&balancer.origin, "AddressIpVersion", "Ipv4")
}

fn form(call: &Call, balancer: &LoadBalancerConfig, tags: [&str; 2]) -> Value {
    let origin = &balancer.origin;
    let zones = balancer.zones.iter().map(|zone| {
        json!({
            "ZoneId": zone,
            "VSwitchId": attribute(origin, &format!("VSwitchId.{zone}")),
            "Status": "Active",
            "LoadBalancerAddresses": [],
        })
    });
    let zones: Value = zones.collect();
    let created = i64::try_from(origin.created_ms).unwrap_or(i64::MAX);
    json!({
        "LoadBalancerId": balancer.id,
        "LoadBalancerName": objects::shown_name(origin, &balancer.name),
        "LoadBalancerStatus": "Active",
        "LoadBalancerBusinessStatus": "Normal",
        "LoadBalancerType": "Network",
        "AddressType": address_type_of(balancer),
        "AddressIpVersion": ip_version_of(balancer),
        // A name of this host, whatever the id: RFC 6761.
        "DNSName": format!("{}.localhost", balancer.id),
        "CreateTime": Rfc3339(created),
        "CrossZoneEnabled": true,
        "RegionId": call.region,
        "ResourceGroupId": attribute(origin, "ResourceGroupId"),
        "VpcId": attribute(origin, "VpcId"),
        "ZoneMappings": zones,
        "OperationLocks": [],
        "SecurityGroupIds": [],
        "Tags": objects::tags(origin, tags),
    })
}
