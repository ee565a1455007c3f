//! From a configuration and the registry before it to the next registry and what the workers must
//! do.
//!
//! A target is the same one as before if its group's name, its id, its port and its address are; it
//! then keeps its state table id.

use super::members::position_u32;
use super::seating::{Seat, Seating};
use super::{Addition, Change, Group, GroupKey, Home, IdAllocator, Members, Registry};
use crate::config::{Config, GroupConfig, TargetConfig};
use crate::health::Health;
use crate::report::TargetId;
use crate::rng::hash_target;
use crate::time::Instant;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl Registry {
    /// The registry of `config`, and what the workers must do to get there from `previous` (none:
    /// from nothing). `ids` are those that `previous` was built with; what is freed is quarantined
    /// until [`IdAllocator::release`] is told of this revision.
    #[must_use]
    pub fn build(
        config: &Config,
        previous: Option<&Self>,
        ids: &mut IdAllocator,
        now: Instant,
    ) -> (Self, Change) {
        let empty = Self::default();
        let uses = Uses::of(config);
        let mut builder = Builder::new(previous.unwrap_or(&empty), ids);
        for group in &config.groups {
            builder.group(group, &uses, now);
        }
        builder.finish()
    }

    /// The registry without the targets whose draining is over at `now`, as [`Registry::build`].
    #[must_use]
    pub fn expire(&self, ids: &mut IdAllocator, now: Instant) -> (Self, Change) {
        let mut builder = Builder::new(self, ids);
        for group in &self.groups {
            if group.members.first_drain_end().is_some_and(|end| end <= now) {
                builder.expire(group, now);
            } else {
                builder.take(Arc::clone(group));
            }
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

impl<'a> Builder<'a> {
    fn new(previous: &'a Registry, ids: &'a mut IdAllocator) -> Self {
        let next = Registry { revision: previous.revision + 1, ..Registry::default() };
        Self { previous, ids, change: Change::default(), next, freed: Vec::new() }
    }

    fn group(&mut self, config: &GroupConfig, uses: &Uses<'_>, now: Instant) {
        let old = self.previous.group(&config.name).map(Arc::clone);
        let key = old.as_ref().map_or_else(|| self.ids.group(), |old| old.key);
        self.recipe(key, old.as_deref(), config);
        let (in_use, zones) = uses.of_group(&config.name);
        let seating = match &old {
            Some(old) => Seating::next(&old.members, config, now),
            None => Seating::first(config),
        };
        let nobody = Members::default();
        let before = old.as_ref().map_or(&nobody, |old| &old.members);
        let members = pack(&seating.seats, &config.targets, before, zones.as_deref());
        let group = Group { key, config: settings_of(config), in_use, zones, members };
        self.seat(group, old.as_deref(), &seating);
    }

    /// Takes over a group without those of its members whose draining is over.
    fn expire(&mut self, old: &Group, now: Instant) {
        let seating = Seating::expired(&old.members, now);
        let zones = old.zones.clone();
        let members = pack(&seating.seats, &[], &old.members, zones.as_deref());
        let (key, in_use, config) = (old.key, old.in_use, settings_of(&old.config));
        self.seat(Group { key, config, in_use, zones, members }, Some(old), &seating);
    }

    /// Gives every member its id, and the workers what they must know.
    fn seat(&mut self, mut group: Group, old: Option<&Group>, seating: &Seating) {
        self.change.registered += seating.registered;
        self.change.deregistered += seating.deregistered;
        if let Some(old) = old {
            seating.gone.iter().for_each(|&position| self.forget(old, position));
        }
        let mut targets = Vec::with_capacity(seating.seats.len());
        for (position, seat) in seating.seats.iter().enumerate() {
            let before = old.zip(seat.before());
            let target = match before {
                Some((old, before)) => old.members.targets[before],
                None => self.ids.target(),
            };
            let was_probed = before.is_some_and(|(old, before)| old.is_probed(before));
            match (was_probed, group.is_probed(position)) {
                (false, true) => self.change.add.push(addition(&group, position, target)),
                (true, false) => self.change.remove.push(target),
                (false, false) | (true, true) => {}
            }
            targets.push(target);
        }
        group.members.targets = targets.into();
        self.take(Arc::new(group));
    }

    /// Appends a group whose members have their ids.
    fn take(&mut self, group: Arc<Group>) {
        let index = position_u32(self.next.groups.len());
        for (position, &target) in group.members.targets.iter().enumerate() {
            self.settle(target, Home { group: index, position: position_u32(position) });
        }
        let drain_end = group.members.first_drain_end();
        self.next.drain_end = self.next.drain_end.into_iter().chain(drain_end).min();
        self.next.by_name.insert(group.config.name.as_str().into(), self.next.groups.len());
        self.next.groups.push(group);
    }

    fn recipe(&mut self, key: GroupKey, old: Option<&Group>, config: &GroupConfig) {
        let recipe = config.health_check.recipe();
        if old.is_none_or(|old| old.config.health_check.recipe() != recipe) {
            self.change.recipes.push((key, Arc::new(recipe)));
        }
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
                self.change.deregistered += old.members.registered();
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
        origin: config.origin.clone(),
    }
}

/// The members on `seats`; `targets` are the configured ones, `old` the members before.
fn pack(
    seats: &[Seat],
    targets: &[TargetConfig],
    old: &Members,
    zones: Option<&[Box<str>]>,
) -> Members {
    let serials = seats.iter().map_while(|seat| seat.before()).map(|at| old.serial(at)).collect();
    let entry = |position: usize| seats[position].entry(targets, old);
    Members::pack(seats.len(), entry, serials, old.next_serial(), zones)
}

fn addition(group: &Group, position: usize, target: TargetId) -> Addition {
    let endpoint = group.members.endpoints[position];
    let hash = hash_target(&group.config.name, endpoint.socket_addr());
    // Who knows better is the keeper, which has the state table.
    let health = Health::default();
    Addition { target, group: group.key, endpoint, hash, health }
}
