//! Listeners: `CreateListener`, `DeleteListener`, `ListListeners`, `GetListenerAttribute`.
//!
//! A listener takes no traffic here: it makes its server group one that is in use. Certificates and
//! limits are kept and shown, and do nothing.

use super::answer::{Content, content};
use super::error::AlibabaError;
use super::objects::{self, IN_ATTRIBUTES, IN_LISTINGS, attribute, is_asked_for, keep};
use super::page::{self, Asked};
use super::request::Request;
use super::{Call, ids};
use crate::config::{ListenerConfig, ListenerProtocol};
use crate::edit::Edit;
use crate::table::View;
use serde_json::{Value, json};

const PREFIX: &str = "lsn-";
const IDLE_SECONDS: u32 = 900;

pub(super) async fn create(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let port = request.port("ListenerPort")?;
    let port = port.ok_or_else(|| request.missing("ListenerPort"))?;
    let names = ListenerProtocol::ALL.map(ListenerProtocol::name);
    let word = request.word("ListenerProtocol", &names)?;
    let word = word.ok_or_else(|| request.missing("ListenerProtocol"))?;
    let protocol = ListenerProtocol::ALL.into_iter().find(|protocol| protocol.name() == word);
    let balancer = request.required("LoadBalancerId")?;
    let group = request.required("ServerGroupId")?;
    let mut origin = objects::origin(call.now_ms());
    let description = request.text_within("ListenerDescription", 2..=256)?;
    keep(&mut origin, "ListenerDescription", description);
    keep(&mut origin, "IdleTimeout", request.integer("IdleTimeout", 1..=IDLE_SECONDS)?);
    keep(&mut origin, "Cps", request.integer("Cps", 0..=1_000_000)?);
    keep(&mut origin, "Mss", request.integer("Mss", 0..=1_500)?);
    for name in ["ProxyProtocolEnabled", "SecSensorEnabled", "AlpnEnabled", "CaEnabled"] {
        keep(&mut origin, name, request.boolean(name)?);
    }
    for name in ["AlpnPolicy", "SecurityPolicyId"] {
        keep(&mut origin, name, request.text_within(name, 1..=128)?);
    }
    for name in ["CertificateIds", "CaCertificateIds"] {
        let certificates = request.texts(name)?;
        if certificates.len() > 32 || certificates.iter().any(|id| id.len() > 128) {
            return Err(request.illegal(name, "allowed are 32 ids of 128 characters"));
        }
        keep(&mut origin, name, Some(certificates.join(",")).filter(|ids| !ids.is_empty()));
    }
    objects::keep_tags(&mut origin, &mut request)?;
    let view = call.view();
    let balancer = objects::load_balancer(&view, &balancer)?;
    let (group, _) = objects::group(&view, &group)?;
    let taken = view
        .registry
        .listeners
        .iter()
        .any(|other| other.load_balancer == balancer.name && other.port == port);
    if taken {
        let (load_balancer, port) = (balancer.name.clone(), port);
        return Err(crate::edit::EditError::PortTaken { load_balancer, port }.into());
    }
    let id = format!("{}@{port}", ids::fresh(PREFIX)?);
    let listener = ListenerConfig {
        name: id.clone(),
        id: id.clone(),
        load_balancer: balancer.name.clone(),
        port,
        // The word is one of theirs.
        protocol: protocol.unwrap_or_default(),
        groups: vec![group.config.name.clone()],
        origin,
    };
    call.apply(Edit::CreateListener(Box::new(listener)), &id).await??;
    Ok(content(json!({ "ListenerId": id, "JobId": ids::job()? })))
}

pub(super) async fn delete(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let id = request.required("ListenerId")?;
    let view = call.view();
    let listener = objects::listener(&view, &id)?.id.clone();
    call.apply(Edit::DeleteListener { listener }, &id).await??;
    Ok(content(json!({ "JobId": ids::job()? })))
}

pub(super) fn list(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let asked = Asked::of(&mut request)?;
    let ids = request.set("ListenerIds")?;
    let balancers = request.set("LoadBalancerIds")?;
    let names = ListenerProtocol::ALL.map(ListenerProtocol::name);
    let protocol = request.word("ListenerProtocol", &names)?;
    let tags = request.tags()?;
    let view = call.view();
    let balancer_ids = objects::balancer_ids(&view);
    let balancer_of = |listener: &ListenerConfig| {
        balancer_ids.get(&*listener.load_balancer).copied().unwrap_or_default()
    };
    let is_listed = |listener: &ListenerConfig| {
        is_asked_for(&ids, &listener.id)
            && is_asked_for(&balancers, balancer_of(listener))
            && protocol.is_none_or(|protocol| protocol == listener.protocol.name())
            && objects::has_tags(&listener.origin, &tags)
    };
    let listed: Vec<_> = view
        .registry
        .listeners
        .iter()
        .filter(|listener| is_listed(listener))
        .map(|listener| ((listener.origin.created_ms, &*listener.id), listener))
        .collect();
    let total = listed.len();
    let (page, next_token) = page::objects(listed, &asked, "Listeners")?;
    let forms: Value =
        page.into_iter().map(|listener| form(call, &view, listener, IN_LISTINGS)).collect();
    Ok(content(json!({
        "Listeners": forms,
        "TotalCount": total,
        "MaxResults": asked.max_results,
        "NextToken": next_token,
    })))
}

pub(super) fn get(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let id = request.required("ListenerId")?;
    let view = call.view();
    let listener = objects::listener(&view, &id)?;
    Ok(content(form(call, &view, listener, IN_ATTRIBUTES)))
}

/// The id of a listener's load balancer.
fn balancer_id<'a>(view: &'a View, listener: &'a ListenerConfig) -> &'a str {
    let found = view.registry.load_balancer(&listener.load_balancer);
    found.map_or(&*listener.load_balancer, |balancer| &*balancer.id)
}

fn form(call: &Call, view: &View, listener: &ListenerConfig, tags: [&str; 2]) -> Value {
    let origin = &listener.origin;
    let number = |name: &str, default: u32| attribute(origin, name).parse().unwrap_or(default);
    let is_on = |name: &str| attribute(origin, name) == "true";
    let texts = |name: &str| -> Value {
        attribute(origin, name).split(',').filter(|text| !text.is_empty()).collect()
    };
    // The API knows one group of a listener; one from a file can have more.
    let group = listener.groups.first().and_then(|name| view.group(name));
    json!({
        "ListenerId": listener.id,
        "ListenerPort": listener.port,
        "ListenerProtocol": listener.protocol.name(),
        "ListenerStatus": "Running",
        "ListenerDescription": attribute(origin, "ListenerDescription"),
        "LoadBalancerId": balancer_id(view, listener),
        "ServerGroupId": group.map_or("", |(group, _)| &*group.config.id),
        "RegionId": call.region,
        "IdleTimeout": number("IdleTimeout", IDLE_SECONDS),
        "Cps": number("Cps", 0),
        "Mss": number("Mss", 0),
        "ProxyProtocolEnabled": is_on("ProxyProtocolEnabled"),
        "SecSensorEnabled": is_on("SecSensorEnabled"),
        "AlpnEnabled": is_on("AlpnEnabled"),
        "AlpnPolicy": attribute(origin, "AlpnPolicy"),
        "CaEnabled": is_on("CaEnabled"),
        "CaCertificateIds": texts("CaCertificateIds"),
        "CertificateIds": texts("CertificateIds"),
        "SecurityPolicyId": attribute(origin, "SecurityPolicyId"),
        "Tags": objects::tags(origin, tags),
    })
}
