//! All targets of one configuration, dense and immutable: what the table, the workers and the API
//! agree on. A reload builds a new registry from the old one, so that a target keeps its id, and says
//! what the workers must add, remove and change.

use crate::config::{GroupConfig, Lifecycle};
use crate::endpoint::Endpoint;
use crate::recipe::Recipe;
use crate::report::TargetId;
use std::collections::HashMap;
use std::sync::Arc;

/// Stable number of a group while the daemon runs: the worker's name for its recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey(pub u32);

/// Where a target stands: its group's place in [`Registry::groups`] and its place among the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// Index into [`Registry::groups`]; `u32::MAX`: the id is not in use.
    pub group: u32,
    /// Index into [`Group::members`].
    pub position: u32,
}

/// All groups and targets at one moment.
#[derive(Debug, Default)]
pub struct Registry {
    /// Counts registries; the first one is 1.
    pub revision: u64,
    /// In file order.
    pub groups: Vec<Arc<Group>>,
    /// Place in `groups` by name.
    pub by_name: HashMap<Box<str>, usize>,
    /// By [`TargetId`].
    pub homes: Vec<Home>,
}

/// One group with its members.
#[derive(Debug)]
pub struct Group {
    /// Its key for the workers.
    pub key: GroupKey,
    /// Settings, without the targets (that list is empty here: members hold them).
    pub config: GroupConfig,
    /// Whether a listener forwards to it, or the file mentions none at all.
    pub in_use: bool,
    /// Zones that its load balancers enable; none: all.
    pub zones: Option<Vec<Box<str>>>,
    /// Its targets in registration order.
    pub members: Members,
}

/// The targets of a group as a structure of arrays, all of one length, in registration order.
#[derive(Debug, Default)]
pub struct Members {
    /// State table ids.
    pub targets: Box<[TargetId]>,
    /// Address and traffic port.
    pub endpoints: Box<[Endpoint]>,
    /// Weight; 100 where none was given.
    pub weights: Box<[u16]>,
    // ids, zones, lifecycles, and the index by id are private: see the accessors.
}

/// One member, assembled for the API.
#[derive(Debug)]
pub struct Member<'a> {
    /// State table id.
    pub target: TargetId,
    /// Its id: as given, or its address.
    pub id: std::borrow::Cow<'a, str>,
    /// Address and traffic port.
    pub endpoint: Endpoint,
    /// Zone, where one was given.
    pub zone: Option<&'a str>,
    /// Weight.
    pub weight: u16,
    /// Whether it runs.
    pub lifecycle: Lifecycle,
}

/// What the workers must do to get from one registry to the next. Order: recipes, remove, add.
#[derive(Debug, Default)]
pub struct Change {
    /// New and changed recipes.
    pub recipes: Vec<(GroupKey, Arc<Recipe>)>,
    /// Targets that are no longer probed.
    pub remove: Vec<TargetId>,
    /// Targets to probe from now on.
    pub add: Vec<Addition>,
}

/// One target to probe from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addition {
    /// Its id in the state table.
    pub target: TargetId,
    /// Its recipe.
    pub group: GroupKey,
    /// Where the probe goes: the target's address, and the port of the health check.
    pub endpoint: Endpoint,
    /// [`crate::rng::hash_target`] of its group and traffic endpoint: shard and phase.
    pub hash: u64,
}
