//! Objects by their ids, whoever made them, and the attributes that are kept for them.
//!
//! What Alibaba's clients give and read back but the product does not act on (a VPC, a scheduler,
//! tags) is kept in [`Origin::attributes`] under `alibaba.` and the parameter's own name.

use super::error::AlibabaError;
use super::request::{Request, Tag};
use crate::config::{ListenerConfig, LoadBalancerConfig, Origin, Source};
use crate::edit::Kind;
use crate::registry::Group;
use crate::table::{GroupSets, View};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const PREFIX: &str = "alibaba.";
const TAG: &str = "alibaba.tag.";
/// The name that people gave, where names of all objects leave it free or not.
const NAME: &str = "name";

/// The listener with this id (or name).
pub(super) fn listener<'a>(view: &'a View, id: &str) -> Result<&'a ListenerConfig, AlibabaError> {
    let found = view.registry.listener(id);
    found.ok_or_else(|| AlibabaError::not_found(Kind::Listener, id))
}

/// The load balancer with this id (or name).
pub(super) fn load_balancer<'a>(
    view: &'a View,
    id: &str,
) -> Result<&'a LoadBalancerConfig, AlibabaError> {
    let found = view.registry.load_balancer(id);
    found.ok_or_else(|| AlibabaError::not_found(Kind::LoadBalancer, id))
}

/// The server group with this id (or name), with its sets.
pub(super) fn group<'a>(
    view: &'a View,
    id: &str,
) -> Result<(&'a Arc<Group>, &'a Arc<GroupSets>), AlibabaError> {
    view.group(id).ok_or_else(|| AlibabaError::not_found(Kind::Group, id))
}

/// An object that this API makes at `created_ms`, so far without attributes.
pub(super) fn origin(created_ms: u64) -> Origin {
    Origin { source: Source::Alibaba, created_ms, ..Origin::default() }
}

/// The attribute of the parameter `name`; empty where it was not given.
pub(super) fn attribute<'a>(origin: &'a Origin, name: &str) -> &'a str {
    origin.attributes.get(&format!("{PREFIX}{name}")).map_or("", String::as_str)
}

/// The attribute of the parameter `name`, or `default`.
pub(super) fn attribute_or<'a>(origin: &'a Origin, name: &str, default: &'a str) -> &'a str {
    match attribute(origin, name) {
        "" => default,
        text => text,
    }
}

/// Keeps the parameter `name`, if it is given.
pub(super) fn keep(origin: &mut Origin, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        origin.attributes.insert(format!("{PREFIX}{name}"), value.to_string());
    }
}

/// The name to show: that which was given, or the object's own.
pub(super) fn shown_name<'a>(origin: &'a Origin, own: &'a str) -> &'a str {
    attribute_or(origin, NAME, own)
}

/// Keeps the name that was given.
pub(super) fn keep_name(origin: &mut Origin, name: Option<String>) {
    keep(origin, NAME, name);
}

/// Keeps the tags of the request.
pub(super) fn keep_tags(origin: &mut Origin, request: &mut Request) -> Result<(), AlibabaError> {
    for tag in request.tags()? {
        origin.attributes.insert(format!("{TAG}{}", tag.key), tag.value.unwrap_or_default());
    }
    Ok(())
}

/// The tags as answers have them; `key` and `value` are what they call those.
pub(super) fn tags(origin: &Origin, [key, value]: [&str; 2]) -> Value {
    let tags = origin.attributes.iter().filter_map(|(name, text)| {
        let name = name.strip_prefix(TAG)?;
        Some(json!({ key: name, value: text }))
    });
    tags.collect()
}

/// What tags are called in listings, and in answers about one object.
pub(super) const IN_LISTINGS: [&str; 2] = ["Key", "Value"];
/// See [`IN_LISTINGS`].
pub(super) const IN_ATTRIBUTES: [&str; 2] = ["TagKey", "TagValue"];

/// Whether an object has all of these tags; one without a value stands for every value.
pub(super) fn has_tags(origin: &Origin, tags: &[Tag]) -> bool {
    tags.iter().all(|tag| {
        let found = origin.attributes.get(&format!("{TAG}{}", tag.key));
        found.is_some_and(|value| tag.value.as_ref().is_none_or(|asked| asked == value))
    })
}

/// Whether `value` is one of those that are asked for, or none are.
pub(super) fn is_asked_for(asked: &HashSet<String>, value: &str) -> bool {
    asked.is_empty() || asked.contains(value)
}

/// The ids of the load balancers by name, which is what listeners know of them.
pub(super) fn balancer_ids(view: &View) -> HashMap<&str, &str> {
    view.registry.load_balancers.iter().map(|balancer| (&*balancer.name, &*balancer.id)).collect()
}
