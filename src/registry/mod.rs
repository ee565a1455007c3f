//! All targets of one configuration, dense and immutable: what the table, the workers and the API
//! agree on. A reload builds a new registry from the old one, so that a target keeps its id, and
//! says what the workers must add, remove and change.

mod build;
mod guard;
mod homes;
mod ids;
mod matching;
mod members;
mod numbers;
mod plan;
mod seating;
mod twins;
mod uses;

pub use guard::{Refusal, mass_removal};
pub use homes::Homes;
pub use ids::IdAllocator;
pub use members::{Member, Members};
pub use plan::{Next, Plan, Restored};
pub use twins::Twins;

use crate::config::{GroupConfig, Lifecycle, ListenerConfig, LoadBalancerConfig, Source};
use crate::endpoint::Endpoint;
use crate::health::Health;
use crate::recipe::Recipe;
use crate::report::TargetId;
use crate::time::Instant;
use std::collections::HashMap;
use std::sync::Arc;

/// Stable number of a group while the daemon runs: the worker's name for its recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey(pub u32);

/// Where a target stands: its group's place in [`Registry::groups`] and its place among the
/// members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// Index into [`Registry::groups`].
    pub group: u32,
    /// Index into [`Group::members`].
    pub position: u32,
}

/// All objects at one moment.
#[derive(Debug, Default)]
pub struct Registry {
    /// Counts registries; the first one is 1.
    pub revision: u64,
    /// Those of the file in its order, then the others in the order in which they were made.
    pub load_balancers: Arc<[LoadBalancerConfig]>,
    /// In the same order.
    pub listeners: Arc<[ListenerConfig]>,
    /// In the same order.
    pub groups: Vec<Arc<Group>>,
    /// Where each group stands.
    pub places: Arc<Places>,
    /// By [`TargetId`].
    pub homes: Homes,
    /// Which targets are probed once for several groups.
    pub twins: Arc<Twins>,
    /// When the first target that drains is gone; none where none drains.
    pub drain_end: Option<Instant>,
}

/// Where groups stand in [`Registry::groups`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    by_name: HashMap<Box<str>, usize>,
    by_id: HashMap<Box<str>, usize>,
}

impl Places {
    /// The place of the group with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The place of the group with this name; else of that with this id.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).or_else(|| self.by_id.get(name)).copied()
    }
}

/// One group with its members.
#[derive(Debug)]
pub struct Group {
    /// Its key for the workers.
    pub key: GroupKey,
    /// The registry's revision at which these settings began to hold.
    pub changed: u64,
    /// Settings, without the targets (that list is empty here: members hold them).
    pub config: GroupConfig,
    /// Its health check as workers use it.
    pub recipe: Arc<Recipe>,
    /// Whether a listener forwards to it, or it needs none (DESIGN 5.5).
    pub in_use: bool,
    /// Zones that its load balancers enable; none: all.
    pub zones: Option<Vec<Box<str>>>,
    /// Its targets in registration order.
    pub members: Members,
}

impl Registry {
    /// The group with this name; else that with this id.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Arc<Group>> {
        self.places.of(name).map(|place| &self.groups[place])
    }

    /// The load balancer with this name; else that with this id.
    #[must_use]
    pub fn load_balancer(&self, name: &str) -> Option<&LoadBalancerConfig> {
        let all = &self.load_balancers;
        all.iter().find(|lb| lb.name == name).or_else(|| all.iter().find(|lb| lb.id == name))
    }

    /// The listener with this name; else that with this id.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<&ListenerConfig> {
        let all = &self.listeners;
        let by_name = all.iter().find(|listener| listener.name == name);
        by_name.or_else(|| all.iter().find(|listener| listener.id == name))
    }

    /// Whether a worker probes `target`: it may be probed, and follows nobody.
    #[must_use]
    pub fn is_led(&self, target: TargetId) -> bool {
        self.home(target).is_some_and(|(group, position)| group.is_probed(position))
            && self.twins.leader(target).is_none()
    }

    /// The group and position of the target in place `target` of the state table; none where the
    /// place is not in use.
    #[must_use]
    pub fn home(&self, target: TargetId) -> Option<(&Arc<Group>, usize)> {
        let home = self.homes.get(target)?;
        let group = self.groups.get(home.group as usize)?;
        Some((group, home.position as usize))
    }

    /// Targets of all groups together, those included that drain.
    #[must_use]
    pub fn target_count(&self) -> usize {
        self.groups.iter().map(|group| group.members.len()).sum()
    }
}

impl Group {
    /// Whether it is from the configuration file, which the API cannot change.
    #[must_use]
    pub fn is_of_file(&self) -> bool {
        self.config.origin.source == Source::File
    }

    /// Whether the member at `position` is probed: only what could show healthy, unhealthy or
    /// initial is (DESIGN 3.2).
    #[must_use]
    pub fn is_probed(&self, position: usize) -> bool {
        self.config.health_check.is_on()
            && self.in_use
            && self.members.weight(position) > 0
            && self.members.lifecycle(position) == Lifecycle::Running
            && self.members.zone_enabled(position)
            && self.members.drains_until(position).is_none()
    }
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
    /// How many targets are registered that were not, whether they are probed or not.
    pub registered: usize,
    /// How many targets were registered and are no longer.
    pub deregistered: usize,
}

/// One target to probe from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addition {
    /// Its id in the state table.
    pub target: TargetId,
    /// Its recipe.
    pub group: GroupKey,
    /// Address and traffic port; the recipe may know another port for the probes.
    pub endpoint: Endpoint,
    /// [`crate::rng::hash_target`] of its group and traffic endpoint: its phase.
    pub hash: u64,
    /// What its worker goes on from.
    pub health: Health,
}
