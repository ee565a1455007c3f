//! Which groups are in use, and in which zones (DESIGN 3.2, 5.5).
//!
//! A listener puts its groups to use in the zones that its load balancer enables. Besides, groups
//! that were made natively are in use at once, and so are those of a file without any listener: a
//! user with no load balancer in mind must not have to invent one.

use crate::config::{GroupConfig, ListenerConfig, LoadBalancerConfig, Source};
use std::collections::{BTreeSet, HashMap};

/// See the module's head.
pub(super) struct Uses<'a> {
    /// Groups that a listener forwards to, by name.
    forwarded: HashMap<&'a str, Zones<'a>>,
    /// Whether groups of the file need a listener.
    file_has_listeners: bool,
}

/// The zones that the load balancers of one group enable.
enum Zones<'a> {
    All,
    Some(BTreeSet<&'a str>),
}

impl<'a> Uses<'a> {
    pub(super) fn of(
        load_balancers: &'a [LoadBalancerConfig],
        listeners: &'a [ListenerConfig],
    ) -> Self {
        let balancers: HashMap<&str, &[String]> =
            load_balancers.iter().map(|lb| (lb.name.as_str(), &*lb.zones)).collect();
        let mut forwarded: HashMap<&str, Zones<'_>> = HashMap::new();
        for listener in listeners {
            // Whoever made the listener has checked that the load balancer exists. One without
            // zones enables all.
            let enabled = balancers.get(listener.load_balancer.as_str()).copied().unwrap_or(&[]);
            for group in &listener.groups {
                let none = || Zones::Some(BTreeSet::new());
                forwarded.entry(group).or_insert_with(none).enable(enabled);
            }
        }
        let is_file = |listener: &ListenerConfig| listener.origin.source == Source::File;
        Self { forwarded, file_has_listeners: listeners.iter().any(is_file) }
    }

    /// Whether the group is in use, and the zones enabled for it, ascending (none: all).
    pub(super) fn of_group(&self, group: &GroupConfig) -> (bool, Option<Vec<Box<str>>>) {
        match self.forwarded.get(group.name.as_str()) {
            Some(Zones::All) => (true, None),
            Some(Zones::Some(zones)) => {
                (true, Some(zones.iter().map(|&zone| zone.into()).collect()))
            }
            None => match group.origin.source {
                Source::Native => (true, None),
                Source::File => (!self.file_has_listeners, None),
                Source::Aws | Source::Alibaba => (false, None),
            },
        }
    }
}

impl<'a> Zones<'a> {
    fn enable(&mut self, enabled: &'a [String]) {
        match self {
            Self::All => {}
            Self::Some(_) if enabled.is_empty() => *self = Self::All,
            Self::Some(zones) => zones.extend(enabled.iter().map(String::as_str)),
        }
    }
}
