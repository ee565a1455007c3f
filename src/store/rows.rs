//! What the store keeps, as plain rows, and how they are changed.
//!
//! Times are milliseconds since 1970 (UTC): a row outlives the clock of the run that wrote it.

use crate::config::{ListenerConfig, LoadBalancerConfig, Origin, TargetConfig};
use crate::endpoint::Endpoint;
use crate::health::Transition;
use crate::outcome::Outcome;
use std::net::IpAddr;

/// A group that was made through the API, without its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// Unique id; what the other rows and ops name it by.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// Who made it and when, and what a vendor's API must repeat.
    pub origin: Origin,
    /// All other settings, as JSON; the store does not look into it.
    pub settings_json: String,
}

/// One target of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRow {
    /// Its number in the order of registration, below 2^63; never given twice in a group.
    pub serial: u64,
    /// The target.
    pub target: TargetConfig,
    /// When its draining is over, where it drains.
    pub drains_until_ms: Option<i64>,
}

/// What a target is known by within its group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetKey {
    /// Its id: as given, or its address in any spelling.
    pub id: Box<str>,
    /// Its traffic port.
    pub port: u16,
}

/// One change. Whatever is put replaces what has the same id, or the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Keeps a load balancer.
    PutLoadBalancer(LoadBalancerConfig),
    /// Forgets the load balancer with this id; not its listeners.
    DeleteLoadBalancer(String),
    /// Keeps a listener.
    PutListener(ListenerConfig),
    /// Forgets the listener with this id.
    DeleteListener(String),
    /// Keeps a group's settings; its targets stay.
    PutGroup(GroupRow),
    /// Forgets the group with this id and its targets.
    DeleteGroup(String),
    /// Keeps targets of a group that is kept; they take the place of those with the same key.
    PutTargets {
        /// The group's id.
        group_id: String,
        /// The targets, with the serials of the registry.
        rows: Vec<TargetRow>,
    },
    /// Forgets targets; one that is not kept is no error.
    RemoveTargets {
        /// The group's id.
        group_id: String,
        /// The targets.
        keys: Vec<TargetKey>,
    },
    /// Forgets all targets whose draining is over.
    ExpireTargets {
        /// The time now.
        now_ms: i64,
    },
}

/// All that was kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// In the order in which they were made.
    pub load_balancers: Vec<LoadBalancerConfig>,
    /// In the order in which they were made.
    pub listeners: Vec<ListenerConfig>,
    /// In the order in which they were made.
    pub groups: Vec<LoadedGroup>,
    /// The last transitions, by seq.
    pub events: Vec<EventRow>,
    /// No event that anybody has seen has a higher seq.
    pub newest_seq: u64,
    /// Whether the daemon before ended without closing the store.
    pub was_killed: bool,
}

/// One group with its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedGroup {
    /// Its settings.
    pub row: GroupRow,
    /// The serial of the next target that is registered: above all that were ever given.
    pub next_serial: u64,
    /// By serial.
    pub targets: Vec<TargetRow>,
}

/// One transition.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// What clients know it by.
    pub seq: u64,
    /// When.
    pub at_ms: i64,
    /// Name of its group.
    pub group: Box<str>,
    /// The target's id, where that is not its address.
    pub id: Option<Box<str>>,
    /// The target's address and traffic port.
    pub endpoint: Endpoint,
    /// From which state to which.
    pub transition: Transition,
    /// The outcome that brought it.
    pub outcome: Outcome,
}

impl TargetKey {
    /// The key of a target.
    #[must_use]
    pub fn of(target: &TargetConfig) -> Self {
        let (ip, port) = (target.endpoint.ip(), target.endpoint.port());
        let id = target.id.clone().unwrap_or_else(|| ip.to_string().into());
        Self { id, port }
    }

    /// The id as it is kept: an address in one spelling.
    pub(super) fn kept_id(&self) -> std::borrow::Cow<'_, str> {
        match self.id.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().to_string().into(),
            Err(_) => (&*self.id).into(),
        }
    }
}
