//! Servers of a server group: `AddServersToServerGroup`, `UpdateServerGroupServersAttribute`,
//! `RemoveServersFromServerGroup`, `ListServerGroupServers`.
//!
//! A server is a target. Its address is `ServerIp`, or `ServerId` where that is one; an instance
//! whose address is not given has that of a target with this id in any group.

use super::answer::{Content, content};
use super::error::AlibabaError;
use super::page::{Asked, Progress};
use super::request::Request;
use super::{Call, groups, objects};
use crate::api::query::crop;
use crate::config::{Lifecycle, TargetConfig, TargetName};
use crate::edit::{Edit, Mark, Unknown};
use crate::endpoint::Endpoint;
use crate::limits::TARGET_ID_CHARS_MAX;
use crate::registry::Group;
use crate::table::View;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

const KINDS: [&str; 4] = ["Ecs", "Eni", "Eci", "Ip"];
/// Weight of a server that is given none.
const WEIGHT: u16 = 100;
const WEIGHT_MAX: u32 = 100;
/// Looks into groups for the addresses of one request's servers.
const LOOKS_MAX: usize = 1_000_000;

/// A server as a request names it.
struct Server {
    /// None: its id is its address.
    id: Option<Box<str>>,
    /// None where an instance is named without.
    address: Option<IpAddr>,
    port: Option<u16>,
    weight: Option<u16>,
}

impl Server {
    fn of(request: &mut Request) -> Result<Self, AlibabaError> {
        let kind = request.word("ServerType", &KINDS)?;
        let kind = kind.ok_or_else(|| request.missing("ServerType"))?;
        let id = request.text_within("ServerId", 1..=TARGET_ID_CHARS_MAX)?;
        let id = id.ok_or_else(|| request.missing("ServerId"))?;
        if id.len() > TARGET_ID_CHARS_MAX {
            return Err(request.illegal("ServerId", "it is longer than 255 bytes"));
        }
        let ip = request.text("ServerIp").map(|text| {
            let address = text.parse::<IpAddr>().map(|address| address.to_canonical());
            let why = || format!("'{}' is not an address", crop(&text));
            address.map_err(|_| request.illegal("ServerIp", why()))
        });
        let ip = ip.transpose()?;
        let id_ip = id.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        if kind == "Ip" && id_ip.is_none() {
            let why = format!("'{}'; with ServerType Ip it is an address", crop(&id));
            return Err(request.illegal("ServerId", why));
        }
        if id_ip.is_some() && ip.is_some() && ip != id_ip {
            return Err(request.illegal("ServerIp", "ServerId is another address"));
        }
        let weight = request.integer("Weight", 0..=WEIGHT_MAX)?;
        // It is checked, and not kept.
        request.text_within("Description", 1..=256)?;
        Ok(Self {
            id: id_ip.is_none().then(|| id.into()),
            address: ip.or(id_ip),
            port: request.port("Port")?,
            // At most 100.
            weight: weight.and_then(|weight| u16::try_from(weight).ok()),
        })
    }

    fn name(&self) -> Result<TargetName, AlibabaError> {
        let id = match (&self.id, self.address) {
            (Some(id), _) => id.clone(),
            (None, Some(address)) => address.to_string().into(),
            // An id that is no address is kept; this cannot be.
            (None, None) => return Err(AlibabaError::missing("ServerId")),
        };
        Ok(TargetName { id, port: self.port })
    }
}

/// Finds the addresses of instances.
struct Directory<'a> {
    view: &'a View,
    /// The group that is looked in first.
    first: &'a Group,
    looks: usize,
}

impl Directory<'_> {
    fn address(&mut self, id: &str) -> Result<IpAddr, String> {
        let groups = self.view.registry.groups.iter().map(|group| &**group);
        for group in std::iter::once(self.first).chain(groups) {
            if self.looks == LOOKS_MAX {
                return Err("there are too many servers without an address; give them one".into());
            }
            self.looks += 1;
            if let Some(position) = group.members.find(id, None) {
                return Ok(group.members.endpoints[position].ip());
            }
        }
        Err("the address of this instance is not known; give it".into())
    }
}

pub(super) async fn add(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let id = request.required("ServerGroupId")?;
    let mut list = request.required_list("Servers")?;
    let view = call.view();
    let (group, _) = objects::group(&view, &id)?;
    let mut directory = Directory { view: &view, first: group, looks: 0 };
    let mut targets = Vec::with_capacity(list.len());
    let mut seen = HashSet::with_capacity(list.len());
    for element in &mut list {
        let server = Server::of(element)?;
        let port = server.port.ok_or_else(|| element.missing("Port"))?;
        let address = match (server.address, &server.id) {
            (Some(address), _) => address,
            (None, id) => directory
                .address(id.as_deref().unwrap_or_default())
                .map_err(|why| element.illegal("ServerIp", why))?,
        };
        if !seen.insert((server.id.clone().ok_or(address), port)) {
            return Err(duplicated());
        }
        // The call cannot say zone and lifecycle, so a server that is there keeps its own.
        let members = &group.members;
        let name = server.id.as_deref().map_or_else(|| address.to_string(), Into::into);
        let there = members.find(&name, Some(port));
        let there = there.filter(|&position| members.drains_until(position).is_none());
        let there = there.map(|position| members.config(position));
        targets.push(TargetConfig {
            id: server.id,
            endpoint: Endpoint::new(address, port),
            zone: there.as_ref().and_then(|there| there.zone.clone()),
            weight: Some(server.weight.unwrap_or(WEIGHT)),
            lifecycle: there.map_or(Lifecycle::Running, |there| there.lifecycle),
        });
    }
    let group = group.config.id.clone();
    call.apply(Edit::Register { group: group.clone(), targets }, &group).await??;
    groups::changed(&group)
}

pub(super) async fn remove(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let id = request.required("ServerGroupId")?;
    let mut list = request.required_list("Servers")?;
    let view = call.view();
    let (group, _) = objects::group(&view, &id)?;
    let targets = named(group, &mut list)?.into_iter().map(|(name, _)| name).collect();
    let group = group.config.id.clone();
    let edit = Edit::Deregister { group: group.clone(), targets, unknown: Unknown::Refuse };
    call.apply(edit, &group).await??;
    groups::changed(&group)
}

pub(super) async fn update(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let id = request.required("ServerGroupId")?;
    let mut list = request.required_list("Servers")?;
    let view = call.view();
    let (group, _) = objects::group(&view, &id)?;
    let servers = named(group, &mut list)?;
    if let Some(index) = servers.iter().position(|(name, _)| name.port.is_none()) {
        return Err(list[index].missing("Port"));
    }
    let marks: Vec<Mark> = servers
        .into_iter()
        .filter(|(_, weight)| weight.is_some())
        .map(|(target, weight)| Mark { target, lifecycle: None, weight })
        .collect();
    let group = group.config.id.clone();
    if !marks.is_empty() || call.dry_run {
        call.apply(Edit::Mark { group: group.clone(), marks }, &group).await??;
    }
    groups::changed(&group)
}

/// The targets that `list` names, all of which are in `group`, once each, and their new weights.
fn named(
    group: &Group,
    list: &mut [Request],
) -> Result<Vec<(TargetName, Option<u16>)>, AlibabaError> {
    let mut seen = HashSet::with_capacity(list.len());
    let mut named = Vec::with_capacity(list.len());
    for element in list {
        let server = Server::of(element)?;
        let name = server.name()?;
        if group.members.find(&name.id, name.port).is_none() {
            let port = name.port.map(|port| format!(":{port}")).unwrap_or_default();
            return Err(AlibabaError::server_not_found(&format!("{}{port}", name.id)));
        }
        if !seen.insert((name.id.clone(), name.port)) {
            return Err(duplicated());
        }
        named.push((name, server.weight));
    }
    Ok(named)
}

fn duplicated() -> AlibabaError {
    AlibabaError::bad("DuplicatedParam.BackendServer", "The param of BackendServer is duplicated.")
}

pub(super) fn list(call: &Call, mut request: Request) -> Result<Content, AlibabaError> {
    let id = request.required("ServerGroupId")?;
    let asked = Asked::of(&mut request)?;
    let ids = request.texts("ServerIds")?;
    let mut addresses = HashSet::new();
    for text in request.texts("ServerIps")? {
        let address: IpAddr = text.parse().map_err(|_| {
            request.illegal("ServerIps", format!("'{}' is not an address", crop(&text)))
        })?;
        addresses.insert(address.to_canonical());
    }
    let view = call.view();
    let (group, _) = objects::group(&view, &id)?;
    let listing = format!("servers of {}", group.config.id);
    let progress = match &asked.token {
        None => Progress::default(),
        Some(token) => Progress::parse(token, &listing)?,
    };
    let behind = progress.left(std::iter::once(&*group.config.id)).first().and_then(|l| l.behind);
    let from = behind.map_or(0, |number| group.members.behind(number));
    let (page, total) = if ids.is_empty() && addresses.is_empty() {
        let len = group.members.len();
        ((from..len).take(asked.max_results + 1).collect(), len)
    } else {
        let chosen = chosen(group, &ids, &addresses);
        let total = chosen.len();
        let behind = chosen.into_iter().filter(|&position| position >= from);
        (behind.take(asked.max_results + 1).collect::<Vec<_>>(), total)
    };
    let more = page.len() > asked.max_results;
    let page = &page[..page.len().min(asked.max_results)];
    let next_token = match page.last() {
        Some(&last) if more => {
            let place = (0, &*group.config.id, group.members.serial(last));
            progress.token(&listing, std::iter::empty(), place)
        }
        Some(_) | None => String::new(),
    };
    let forms: Value = page.iter().map(|&position| form(group, position)).collect();
    Ok(content(json!({
        "Servers": forms,
        "TotalCount": total,
        "MaxResults": asked.max_results,
        "NextToken": next_token,
    })))
}

/// The positions of the servers with one of these ids, if any are given, and one of these
/// addresses, if any are.
fn chosen(group: &Group, ids: &[String], addresses: &HashSet<IpAddr>) -> BTreeSet<usize> {
    let members = &group.members;
    let fits = |position: &usize| {
        addresses.is_empty() || addresses.contains(&members.endpoints[*position].ip())
    };
    if ids.is_empty() {
        return (0..members.len()).filter(fits).collect();
    }
    let named = ids.iter().flat_map(|id| members.find_all(id, None));
    named.map(|position| position as usize).filter(fits).collect()
}

fn form(group: &Group, position: usize) -> Value {
    let member = group.members.get(position);
    let address = member.endpoint.ip();
    // What kind an instance is, is not kept.
    let kind = if *member.id == address.to_string() { "Ip" } else { "Ecs" };
    let drains = group.members.drains_until(position).is_some();
    json!({
        "ServerGroupId": group.config.id,
        "ServerId": member.id,
        "ServerIp": address,
        "ServerType": kind,
        "Port": member.endpoint.port(),
        "Weight": member.weight,
        "ZoneId": member.zone.unwrap_or_default(),
        "Status": if drains { "Removing" } else { "Available" },
        "Description": "",
    })
}
