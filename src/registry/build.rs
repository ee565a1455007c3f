//! From a configuration and the registry before it to the next registry and what the workers must
//! do.
//!
//! A target is the same one as before if its group's name, its id, its port and its address are; it
//! then keeps its state table id. What did not change is not touched: the cost of a change is that
//! of the groups that it changes, and a few bytes to copy for each 256 targets besides.

use super::members::position_u32;
use super::seating::{Seat, Seating};
use super::twins::Pairing;
use super::uses::Uses;
use super::{
    Addition, Change, Group, GroupKey, Home, IdAllocator, Members, Next, Places, Plan, Registry,
    Restored,
};
use crate::config::{Config, GroupConfig, TargetConfig};
use crate::health::Health;
use crate::recipe::Recipe;
use crate::report::TargetId;
use crate::rng::hash_target;
use crate::time::Instant;
use std::collections::HashSet;
use std::sync::Arc;

impl Registry {
    /// The registry of `config`, with what the API made of `previous` behind it, and what the
    /// workers must do to get there from `previous` (none: from nothing). `ids` are those that
    /// `previous` was built with; what is freed is quarantined until [`IdAllocator::release`] is
    /// told of this revision.
    #[must_use]
    pub fn build(
        config: &Config,
        previous: Option<&Self>,
        ids: &mut IdAllocator,
        now: Instant,
    ) -> (Self, Change) {
        let empty = Self::default();
        let previous = previous.unwrap_or(&empty);
        previous.next(&Plan::reload(config, previous), ids, now)
    }

    /// The registry after this one that `plan` wants, as [`Registry::build`].
    #[must_use]
    pub fn next(&self, plan: &Plan<'_>, ids: &mut IdAllocator, now: Instant) -> (Self, Change) {
        let mut builder = Builder::new(self, ids);
        builder.next.load_balancers = Arc::clone(&plan.load_balancers);
        builder.next.listeners = Arc::clone(&plan.listeners);
        let uses = Uses::of(&plan.load_balancers, &plan.listeners);
        for group in &plan.groups {
            match group {
                Next::Keep(group) => builder.keep(group, &uses),
                Next::Whole(config) => builder.whole(config, &uses, now),
                Next::Edited { group, settings, register, deregister } => {
                    let settings = settings.unwrap_or(&group.config);
                    let delay = settings.deregistration_delay;
                    let old = &group.members;
                    let seating = Seating::edited(old, register, deregister, delay, now);
                    builder.group(settings, Some(group), &uses, &seating, register);
                }
                Next::Restored(restored) => builder.restored(restored, &uses),
            }
        }
        builder.finish()
    }

    /// The registry without the targets whose draining is over at `now`, as [`Registry::build`].
    #[must_use]
    pub fn expire(&self, ids: &mut IdAllocator, now: Instant) -> (Self, Change) {
        let mut builder = Builder::new(self, ids);
        builder.next.load_balancers = Arc::clone(&self.load_balancers);
        builder.next.listeners = Arc::clone(&self.listeners);
        let uses = Uses::of(&self.load_balancers, &self.listeners);
        for group in &self.groups {
            if group.members.first_drain_end().is_some_and(|end| end <= now) {
                let seating = Seating::expired(&group.members, now);
                builder.group(&group.config, Some(group), &uses, &seating, &[]);
            } else {
                builder.take(Arc::clone(group));
            }
        }
        builder.finish()
    }
}

struct Builder<'a> {
    previous: &'a Registry,
    ids: &'a mut IdAllocator,
    change: Change,
    next: Registry,
    freed: Vec<u32>,
    /// Places in `next.groups` of those that are not the very ones of before.
    rebuilt: Vec<usize>,
}

impl<'a> Builder<'a> {
    fn new(previous: &'a Registry, ids: &'a mut IdAllocator) -> Self {
        let next = Registry {
            revision: previous.revision + 1,
            homes: previous.homes.clone(),
            ..Registry::default()
        };
        let (change, freed, rebuilt) = (Change::default(), Vec::new(), Vec::new());
        Self { previous, ids, change, next, freed, rebuilt }
    }

    fn keep(&mut self, old: &Arc<Group>, uses: &Uses<'_>) {
        if uses.of_group(&old.config) == (old.in_use, old.zones.clone()) {
            return self.take(Arc::clone(old));
        }
        let seating = Seating::unchanged(&old.members);
        self.group(&old.config, Some(old), uses, &seating, &[]);
    }

    fn whole(&mut self, config: &GroupConfig, uses: &Uses<'_>, now: Instant) {
        let old = self.previous.places.named(&config.name);
        let old = old.map(|place| Arc::clone(&self.previous.groups[place]));
        let seating = match &old {
            Some(old) => Seating::next(&old.members, config, now),
            None => Seating::first(config),
        };
        if let Some(old) = old.as_ref().filter(|old| is_same(old, config, &seating, uses)) {
            return self.take(Arc::clone(old));
        }
        self.group(config, old.as_deref(), uses, &seating, &config.targets);
    }

    fn restored(&mut self, restored: &Restored, uses: &Uses<'_>) {
        let Restored { config, serials, drains_until, next_serial } = restored;
        let seating = Seating::restored(drains_until);
        let nobody = Members::default();
        let entry = |position: usize| seating.seats[position].entry(&config.targets, &nobody);
        let (count, serials) = (config.targets.len(), serials.clone());
        let pack = |zones: Option<&[_]>| Members::pack(count, entry, serials, *next_serial, zones);
        self.seat(config, None, uses, &seating, pack);
    }

    /// Appends a group with the members on `seating`; `targets` are those that it names.
    fn group(
        &mut self,
        config: &GroupConfig,
        old: Option<&Group>,
        uses: &Uses<'_>,
        seating: &Seating,
        targets: &[TargetConfig],
    ) {
        let nobody = Members::default();
        let before = old.map_or(&nobody, |old| &old.members);
        let pack = |zones: Option<&[_]>| pack(&seating.seats, targets, before, zones);
        self.seat(config, old, uses, seating, pack);
    }

    /// Gives every member its id.
    fn seat(
        &mut self,
        config: &GroupConfig,
        old: Option<&Group>,
        uses: &Uses<'_>,
        seating: &Seating,
        pack: impl FnOnce(Option<&[Box<str>]>) -> Members,
    ) {
        self.change.registered += seating.registered;
        self.change.deregistered += seating.deregistered;
        if let Some(old) = old {
            seating.gone.iter().for_each(|&position| self.forget(old.members.target(position)));
        }
        let (in_use, zones) = uses.of_group(config);
        let mut members = pack(zones.as_deref());
        let target = |seat: &Seat| match old.zip(seat.before()) {
            Some((old, before)) => old.members.target(before),
            None => self.ids.target(),
        };
        members.seat(seating.seats.iter().map(target));
        let key = old.map_or_else(|| self.ids.group(), |old| old.key);
        let (recipe, changed) = self.settings(key, old, config);
        let config = config.without_targets();
        let group = Group { key, changed, config, recipe, in_use, zones, members };
        self.rebuilt.push(self.next.groups.len());
        self.take(Arc::new(group));
    }

    /// The recipe of a group, and the revision at which its settings began to hold.
    fn settings(
        &mut self,
        key: GroupKey,
        old: Option<&Group>,
        config: &GroupConfig,
    ) -> (Arc<Recipe>, u64) {
        let recipe = config.health_check.recipe();
        let changed = old.filter(|old| old.config == config.without_targets());
        let changed = changed.map_or(self.next.revision, |old| old.changed);
        if let Some(old) = old.filter(|old| *old.recipe == recipe) {
            return (Arc::clone(&old.recipe), changed);
        }
        let recipe = Arc::new(recipe);
        self.change.recipes.push((key, Arc::clone(&recipe)));
        (recipe, changed)
    }

    /// Appends a group whose members have their ids.
    fn take(&mut self, group: Arc<Group>) {
        let place = self.next.groups.len();
        if self.previous.groups.get(place).is_none_or(|old| !Arc::ptr_eq(old, &group)) {
            for (position, ids) in group.members.rows() {
                self.next.homes.settle(ids, Home { group: position_u32(place), position });
            }
        }
        let drain_end = group.members.first_drain_end();
        self.next.drain_end = self.next.drain_end.into_iter().chain(drain_end).min();
        self.next.groups.push(group);
    }

    /// `target` is nobody's any more. Its group comes after this, so a member that took its place
    /// in the list is not harmed.
    fn forget(&mut self, target: TargetId) {
        self.freed.push(target.0);
        self.next.homes.forget(target.0..target.0 + 1);
    }

    fn finish(mut self) -> (Registry, Change) {
        self.next.places = places(&self.next.groups, self.previous);
        let mut keys = Vec::new();
        let mut left = Vec::new();
        for old in &self.previous.groups {
            if self.next.places.named(&old.config.name).is_none() {
                keys.push(old.key.0);
                self.change.deregistered += old.members.registered();
                self.freed.extend(old.members.targets().map(|target| target.0));
                old.members.rows().for_each(|(_, ids)| self.next.homes.forget(ids));
                left.push(Arc::clone(old));
            }
        }
        self.next.homes.trim();
        let (twins, moved) = Pairing::step(&self.next, self.previous, &self.rebuilt, &left);
        self.next.twins = twins;
        self.orders(moved);
        self.ids.free(self.next.revision, self.freed, keys);
        (self.next, self.change)
    }

    /// Which targets workers must let go of, and which they must take up; `moved` are those that
    /// became twins or ceased to be.
    fn orders(&mut self, moved: Vec<TargetId>) {
        let (next, previous) = (&self.next, self.previous);
        let gone = self.freed.iter().map(|&id| TargetId(id));
        let mut remove: Vec<_> = gone.filter(|&target| previous.is_led(target)).collect();
        let mut add = Vec::new();
        let rebuilt = self.rebuilt.iter().flat_map(|&place| next.groups[place].members.targets());
        let mut seen = HashSet::new();
        // A leader's group may be one that stays as it is, and its followers' too.
        let moved = moved.into_iter();
        let moved = moved.filter(|&target| !self.rebuilt_holds(target) && seen.insert(target));
        for target in rebuilt.chain(moved) {
            match (previous.is_led(target), next.is_led(target)) {
                (false, true) => add.extend(addition(next, target)),
                (true, false) => remove.push(target),
                (false, false) | (true, true) => {}
            }
        }
        (self.change.add, self.change.remove) = (add, remove);
    }

    /// Whether `target` is a member of a group that was built anew, or of none.
    fn rebuilt_holds(&self, target: TargetId) -> bool {
        let home = self.next.homes.get(target);
        home.is_none_or(|home| self.rebuilt.binary_search(&(home.group as usize)).is_ok())
    }
}

/// Whether `config`, whose targets have the seats of `seating`, says of `old` what it is already.
fn is_same(old: &Group, config: &GroupConfig, seating: &Seating, uses: &Uses<'_>) -> bool {
    let members = &old.members;
    let stays =
        |(at, seat): (usize, &Seat)| seat.entry(&config.targets, members) == members.entry(at);
    uses.of_group(config) == (old.in_use, old.zones.clone())
        && old.config == config.without_targets()
        && seating.is_as_before()
        && seating.seats.len() == members.len()
        && seating.seats.iter().enumerate().all(stays)
}

/// Where `groups` stand; the very index of before where nothing moved.
fn places(groups: &[Arc<Group>], previous: &Registry) -> Arc<Places> {
    let same = |(a, b): (&Arc<Group>, &Arc<Group>)| {
        Arc::ptr_eq(a, b) || (a.config.name == b.config.name && a.config.id == b.config.id)
    };
    if groups.len() == previous.groups.len() && groups.iter().zip(&previous.groups).all(same) {
        return Arc::clone(&previous.places);
    }
    let place = |text: fn(&GroupConfig) -> &str| {
        let keys = groups.iter().map(move |group| text(&group.config).into());
        keys.enumerate().map(|(place, key)| (key, place)).collect()
    };
    Arc::new(Places { by_name: place(|c| &c.name), by_id: place(|c| &c.id) })
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

fn addition(registry: &Registry, target: TargetId) -> Option<Addition> {
    let (group, position) = registry.home(target)?;
    let endpoint = group.members.endpoints[position];
    let hash = hash_target(&group.config.name, endpoint.socket_addr());
    // Who knows better is the keeper, which has the state table.
    let health = Health::default();
    Some(Addition { target, group: group.key, endpoint, hash, health })
}
