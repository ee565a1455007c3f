//! From a configuration and the registry before it to the next registry and what the workers must
//! do.
//!
//! Both sides of a group are ordered by identity, so old and new are merged in one pass: O(n log n)
//! in all, for the ordering. A target is the same one as before if its group's name, its id and its
//! port are; it then keeps its state table id, unless its probes must go elsewhere (another
//! address, or another port of the health check): that is a new target with an old name.

use super::members::position_u32;
use super::{Addition, Change, Group, GroupKey, Home, IdAllocator, Members, Registry};
use crate::config::{Config, GroupConfig};
use crate::report::TargetId;
use crate::rng::hash_target;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl Registry {
    /// The registry of `config`, and what the workers must do to get there from `previous` (none:
    /// from nothing). `ids` are those that `previous` was built with; what is freed is in
    /// quarantine until [`IdAllocator::release`] is told of this revision.
    #[must_use]
    pub fn build(
        config: &Config,
        previous: Option<&Self>,
        ids: &mut IdAllocator,
    ) -> (Self, Change) {
        let empty = Self::default();
        let previous = previous.unwrap_or(&empty);
        let uses = Uses::of(config);
        let mut builder = Builder {
            previous,
            ids,
            change: Change::default(),
            next: Self { revision: previous.revision + 1, ..Self::default() },
            freed: Vec::new(),
        };
        for group in &config.groups {
            builder.group(group, &uses);
        }
        builder.finish()
    }
}

/// Which groups listeners forward to, and in which zones.
struct Uses<'a> {
    /// Zones by group name; none: all. `None` in all: no listener in the file.
    zones: Option<HashMap<&'a str, Zones<'a>>>,
}

/// The zones that the load balancers of one group enable.
enum Zones<'a> {
    All,
    Some(Vec<&'a str>),
}

impl<'a> Uses<'a> {
    fn of(config: &'a Config) -> Self {
        if config.listeners.is_empty() {
            return Self { zones: None };
        }
        let balancers: HashMap<&str, &[String]> =
            config.load_balancers.iter().map(|lb| (lb.name.as_str(), &*lb.zones)).collect();
        let mut zones: HashMap<&str, Zones<'_>> = HashMap::new();
        for listener in &config.listeners {
            // The configuration is checked: the load balancer exists. One without zones has all.
            let enabled = balancers.get(listener.load_balancer.as_str()).copied().unwrap_or(&[]);
            for group in &listener.groups {
                let of_group = zones.entry(group).or_insert_with(|| Zones::Some(Vec::new()));
                of_group.enable(enabled);
            }
        }
        Self { zones: Some(zones) }
    }

    /// Whether the group is in use, and the zones enabled for it (none: all).
    fn of_group(&self, name: &str) -> (bool, Option<Vec<Box<str>>>) {
        let Some(zones) = &self.zones else { return (true, None) };
        match zones.get(name) {
            None => (false, None),
            Some(Zones::All) => (true, None),
            Some(Zones::Some(zones)) => {
                let unique: HashSet<&str> = zones.iter().copied().collect();
                let mut unique: Vec<Box<str>> = unique.into_iter().map(Into::into).collect();
                unique.sort_unstable();
                (true, Some(unique))
            }
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

struct Builder<'a> {
    previous: &'a Registry,
    ids: &'a mut IdAllocator,
    change: Change,
    next: Registry,
    freed: Vec<u32>,
}

impl Builder<'_> {
    fn group(&mut self, config: &GroupConfig, uses: &Uses<'_>) {
        let old = self.previous.group(&config.name).map(Arc::clone);
        let key = old.as_ref().map_or_else(|| self.ids.group(), |old| old.key);
        self.recipe(key, old.as_deref(), config);
        let (in_use, zones) = uses.of_group(&config.name);
        let members = Members::pack(&config.targets, zones.as_deref());
        let mut group = Group { key, config: settings_of(config), in_use, zones, members };
        let same = old.as_ref().map_or_else(Vec::new, |old| self.merge(old, &group));
        self.number(&mut group, old.as_deref(), &same);
        let index = self.next.groups.len();
        self.next.by_name.insert(config.name.as_str().into(), index);
        self.next.groups.push(Arc::new(group));
    }

    fn recipe(&mut self, key: GroupKey, old: Option<&Group>, config: &GroupConfig) {
        let recipe = config.health_check.recipe();
        if old.is_none_or(|old| old.config.health_check.recipe() != recipe) {
            self.change.recipes.push((key, Arc::new(recipe)));
        }
    }

    /// For every new position that of the same target in the old group, else `u32::MAX`. Old
    /// targets that are gone, or whose probes go elsewhere now, are freed.
    fn merge(&mut self, old: &Group, new: &Group) -> Vec<u32> {
        let mut same = vec![u32::MAX; new.members.len()];
        let mut news = new.members.sorted().iter().copied().peekable();
        for &before in old.members.sorted() {
            let position = before as usize;
            let identity = old.members.identity(position);
            while news.next_if(|&p| new.members.identity(p as usize) < identity).is_some() {}
            let now = news.next_if(|&p| new.members.identity(p as usize) == identity);
            match now.map(|p| p as usize) {
                Some(now) if old.probe_endpoint(position) == new.probe_endpoint(now) => {
                    same[now] = before;
                }
                Some(_) | None => self.forget(old, position),
            }
        }
        same
    }

    /// Gives every member its id, and the workers what they must know.
    fn number(&mut self, group: &mut Group, old: Option<&Group>, same: &[u32]) {
        let index = position_u32(self.next.groups.len());
        let mut targets = Vec::with_capacity(group.members.len());
        for position in 0..group.members.len() {
            let before = same.get(position).filter(|&&before| before != u32::MAX);
            let before = old.zip(before).map(|(old, &before)| (old, before as usize));
            let target = match before {
                Some((old, before)) => old.members.targets[before],
                None => self.ids.target(),
            };
            let was_probed = before.is_some_and(|(old, before)| old.is_probed(before));
            match (was_probed, group.is_probed(position)) {
                (false, true) => self.change.add.push(addition(group, position, target)),
                (true, false) => self.change.remove.push(target),
                (false, false) | (true, true) => {}
            }
            self.settle(target, Home { group: index, position: position_u32(position) });
            targets.push(target);
        }
        group.members.targets = targets.into();
    }

    fn settle(&mut self, target: TargetId, home: Home) {
        let homes = &mut self.next.homes;
        if homes.len() <= target.index() {
            // A reload keeps most ids, so their number is a good guess for the rest.
            homes.reserve(self.previous.homes.len().saturating_sub(homes.len()));
            homes.resize(target.index() + 1, Home::NONE);
        }
        homes[target.index()] = home;
    }

    fn forget(&mut self, old: &Group, position: usize) {
        let target = old.members.targets[position];
        self.freed.push(target.0);
        if old.is_probed(position) {
            self.change.remove.push(target);
        }
    }

    fn finish(mut self) -> (Registry, Change) {
        let mut keys = Vec::new();
        for old in &self.previous.groups {
            if !self.next.by_name.contains_key(old.config.name.as_str()) {
                keys.push(old.key.0);
                (0..old.members.len()).for_each(|position| self.forget(old, position));
            }
        }
        self.next.homes.shrink_to_fit();
        self.ids.free(self.next.revision, self.freed, keys);
        (self.next, self.change)
    }
}

/// The settings of a group without its targets.
fn settings_of(config: &GroupConfig) -> GroupConfig {
    GroupConfig {
        name: config.name.clone(),
        id: config.id.clone(),
        rules: config.rules,
        deregistration_delay: config.deregistration_delay,
        port: config.port,
        health_check: config.health_check.clone(),
        targets: Vec::new(),
        targets_files: config.targets_files.clone(),
    }
}

fn addition(group: &Group, position: usize, target: TargetId) -> Addition {
    let traffic = group.members.endpoints[position].socket_addr();
    Addition {
        target,
        group: group.key,
        endpoint: group.probe_endpoint(position),
        hash: hash_target(&group.config.name, traffic),
    }
}
