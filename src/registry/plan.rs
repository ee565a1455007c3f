//! What the next registry shall be, group by group: the input of [`Registry::next`].

use super::{Group, Registry};
use crate::config::{
    Config, GroupConfig, ListenerConfig, LoadBalancerConfig, Source, TargetConfig,
};
use crate::time::Instant;
use std::sync::Arc;

/// The next registry, as somebody wants it. Whoever makes one has checked it: names and ids are
/// unique, and what listeners name is there.
#[derive(Debug)]
pub struct Plan<'a> {
    /// In the order of listings.
    pub load_balancers: Arc<[LoadBalancerConfig]>,
    /// In the order of listings.
    pub listeners: Arc<[ListenerConfig]>,
    /// In the order of listings.
    pub groups: Vec<Next<'a>>,
}

/// What becomes of one group.
#[derive(Debug)]
pub enum Next<'a> {
    /// It stays as it is (but may come into use, or get other zones).
    Keep(&'a Arc<Group>),
    /// These settings, and exactly these targets: who is not among them drains.
    Whole(&'a GroupConfig),
    /// The group before with other settings, other targets, or both.
    Edited {
        /// The group before.
        group: &'a Group,
        /// Other settings, without targets; none: as they are.
        settings: Option<&'a GroupConfig>,
        /// Targets to register, unique by id and port; those that are members get new facts.
        register: &'a [TargetConfig],
        /// Positions of members to deregister, ascending; none of them is in `register`.
        deregister: &'a [u32],
    },
    /// A group as the store remembers it.
    Restored(&'a Restored),
}

/// A group out of the store.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Settings and targets, those included that drain, in registration order.
    pub config: GroupConfig,
    /// Number of each target in the order of registration, ascending.
    pub serials: Vec<u64>,
    /// When each target is gone, where it drains.
    pub drains_until: Vec<Option<Instant>>,
    /// The number of the next target that is registered.
    pub next_serial: u64,
}

impl<'a> Plan<'a> {
    /// The same again.
    #[must_use]
    pub fn keep(registry: &'a Registry) -> Self {
        Self {
            load_balancers: Arc::clone(&registry.load_balancers),
            listeners: Arc::clone(&registry.listeners),
            groups: registry.groups.iter().map(Next::Keep).collect(),
        }
    }

    /// What the file says, and behind it what the API made of `previous`.
    #[must_use]
    pub fn reload(config: &'a Config, previous: &'a Registry) -> Self {
        let of_api = previous.groups.iter().filter(|group| !group.is_of_file());
        let whole = config.groups.iter().map(Next::Whole);
        let (balancers, listeners) = (&previous.load_balancers, &previous.listeners);
        let is_of_api = |source| source != Source::File;
        let balancers = balancers.iter().filter(|lb| is_of_api(lb.origin.source));
        let listeners = listeners.iter().filter(|listener| is_of_api(listener.origin.source));
        Self {
            load_balancers: config.load_balancers.iter().chain(balancers).cloned().collect(),
            listeners: config.listeners.iter().chain(listeners).cloned().collect(),
            groups: whole.chain(of_api.map(Next::Keep)).collect(),
        }
    }
}
