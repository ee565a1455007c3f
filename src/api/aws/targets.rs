//! `RegisterTargets` and `DeregisterTargets`: all or nothing.
//!
//! An id that is an address is that address. An instance's id has no address in these calls, and
//! there is no EC2 to ask: it means the address that a target with this id has in any group, be it
//! of a file or made natively.

use super::error::AwsError;
use super::groups::READ_ONLY_OTHER;
use super::request::Members;
use super::{Call, Content, crop, find};
use crate::config::{Lifecycle, TargetConfig, TargetName};
use crate::edit::{Edit, Unknown};
use crate::endpoint::Endpoint;
use crate::limits::TARGET_ID_CHARS_MAX;
use crate::registry::{Group, Registry};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The zone that stands for every zone.
const ZONE_CHARS_MAX: usize = 255;

/// A target as a request names it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Never empty.
    pub(super) id: String,
    /// None: the group's, or every port.
    pub(super) port: Option<u16>,
    /// `AvailabilityZone`
    pub(super) zone: Option<String>,
}

impl Asked {
    /// The targets of `list`.
    pub(super) fn all(list: Vec<Members>) -> Result<Vec<Self>, AwsError> {
        list.into_iter().map(Self::one).collect()
    }

    fn one(mut members: Members) -> Result<Self, AwsError> {
        let id = members.required("Id")?;
        if id.is_empty() || id.len() > TARGET_ID_CHARS_MAX || id.contains(char::is_control) {
            let message = format!(
                "Target id '{}' must have 1 to {TARGET_ID_CHARS_MAX} characters and no control \
                 characters",
                crop(&id)
            );
            return Err(AwsError::validation(message));
        }
        let port = members.port("Port")?;
        let zone = members.text_within("AvailabilityZone", 1..=ZONE_CHARS_MAX)?;
        if zone.as_ref().is_some_and(|zone| zone.contains(char::is_control)) {
            let message = "An Availability Zone must have no control characters";
            return Err(AwsError::validation(message));
        }
        Ok(Self { id, port, zone })
    }
}

/// `RegisterTargets`
pub(super) async fn register(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arn = members.required("TargetGroupArn")?;
    let asked = Asked::all(members.required_list("Targets")?)?;
    let (name, targets) = {
        let view = call.view();
        let group = find::group(&view.registry, &arn)?;
        (group.config.name.clone(), resolve(&view.registry, group, asked)?)
    };
    let edit = Edit::Register { group: name.clone(), targets };
    let done = call.apply(edit, &name).await;
    done.map_err(|error| AwsError::of_edit(&error, READ_ONLY_OTHER))?;
    Ok(Content::empty())
}

/// `DeregisterTargets`. Targets that are not there are deregistered already.
pub(super) async fn deregister(call: &Call, mut members: Members) -> Result<Content, AwsError> {
    let arn = members.required("TargetGroupArn")?;
    let asked = Asked::all(members.required_list("Targets")?)?;
    let (name, targets) = {
        let view = call.view();
        let config = &find::group(&view.registry, &arn)?.config;
        // AWS: a port that was given at registration must be given here too.
        let name =
            |asked: Asked| TargetName { id: asked.id.into(), port: asked.port.or(config.port) };
        (config.name.clone(), asked.into_iter().map(name).collect())
    };
    let edit = Edit::Deregister { group: name.clone(), targets, unknown: Unknown::Ignore };
    let done = call.apply(edit, &name).await;
    done.map_err(|error| AwsError::of_edit(&error, READ_ONLY_OTHER))?;
    Ok(Content::empty())
}

/// The targets to register, each once: the last one of several with the same id and port counts.
fn resolve(
    registry: &Registry,
    group: &Group,
    asked: Vec<Asked>,
) -> Result<Vec<TargetConfig>, AwsError> {
    let mut addresses = Addresses { registry, group, last: 0 };
    let mut zones: HashMap<String, Arc<str>> = HashMap::new();
    let mut places: HashMap<(String, u16), usize> = HashMap::new();
    let mut targets: Vec<TargetConfig> = Vec::with_capacity(asked.len());
    for Asked { id, port, zone } in asked {
        let Some(port) = port.or(group.config.port) else {
            let message = format!(
                "A port must be specified for target '{}': the target group has none",
                crop(&id)
            );
            return Err(AwsError::validation(message));
        };
        let (id, address) = match id.parse::<IpAddr>() {
            Ok(address) => (None, address.to_canonical()),
            Err(_) => {
                let address = addresses.of(&id).ok_or_else(|| no_address(&id))?;
                (Some(id), address)
            }
        };
        let shared = |zone: String| {
            Arc::clone(zones.entry(zone).or_insert_with_key(|zone| zone.as_str().into()))
        };
        let key = (id.clone().unwrap_or_else(|| address.to_string()), port);
        // These calls cannot say weight and lifecycle, so a target that is there keeps its own.
        let members = &group.members;
        let there = members.find(&key.0, Some(port));
        let there = there.filter(|&position| members.drains_until(position).is_none());
        let there = there.map(|position| members.get(position));
        let target = TargetConfig {
            id: id.map(Into::into),
            endpoint: Endpoint::new(address, port),
            zone: zone.map(shared),
            weight: there.as_ref().map(|there| there.weight),
            lifecycle: there.map_or(Lifecycle::Running, |there| there.lifecycle),
        };
        let place = *places.entry(key).or_insert(targets.len());
        match targets.get_mut(place) {
            Some(earlier) => *earlier = target,
            None => targets.push(target),
        }
    }
    Ok(targets)
}

/// AWS's words for an instance that is not there, and the cure.
fn no_address(id: &str) -> AwsError {
    let id = crop(id);
    let message = format!(
        "The following targets are not in a running state and cannot be registered: '{id}'; no \
         target group has a target with this id, so its address is not known: register it by its \
         address, or name id and address in a targets file or POST /v1/groups/{{group}}/targets"
    );
    AwsError::new("InvalidTarget", message)
}

/// Addresses of ids, from targets that are there.
struct Addresses<'r> {
    registry: &'r Registry,
    group: &'r Group,
    /// The group where the last one was found: the next one is likely to be there as well.
    last: usize,
}

impl Addresses<'_> {
    fn of(&mut self, id: &str) -> Option<IpAddr> {
        let within = |group: &Group| {
            let position = group.members.find(id, None)?;
            Some(group.members.endpoints[position].ip())
        };
        let groups = &self.registry.groups;
        let near = groups.get(self.last).and_then(|group| within(group));
        if let Some(address) = within(self.group).or(near) {
            return Some(address);
        }
        let mut all = groups.iter().enumerate();
        let (index, address) = all.find_map(|(at, group)| Some((at, within(group)?)))?;
        self.last = index;
        Some(address)
    }
}
