//! Who is a member of a group after a reload, and in which order: the order of registration.
//!
//! Who stays keeps its place behind whom it was, whatever the order in the file is now, and who is
//! new comes last, in file order. So a listing that is read page by page neither misses nor repeats
//! a target that stays, however often the files change between two pages. Who left the file keeps
//! its place too, until its draining is over (DESIGN 3.2, 5.5).

use super::matching;
use super::members::{Entry, Members, position_u32};
use crate::config::{GroupConfig, TargetConfig};
use crate::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// The members of the next group in their order.
#[derive(Debug, Default)]
pub(super) struct Seating {
    /// Those with a past first.
    pub(super) seats: Vec<Seat>,
    /// Positions in the group before of those that are members no longer.
    pub(super) gone: Vec<usize>,
    /// Targets that are registered now and were not.
    pub(super) registered: usize,
    /// Targets that were registered and are no longer.
    pub(super) deregistered: usize,
}

/// One member of the next group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    /// Its place in the configuration's list; `NOWHERE`: the group before knows it.
    configured: u32,
    /// Its position in the group before; `NOWHERE`: it is new.
    before: u32,
    /// When it is gone, where it drains.
    drains_until: Option<Instant>,
}

const NOWHERE: u32 = u32::MAX;

impl Seating {
    /// Of a group that was not there before.
    pub(super) fn first(config: &GroupConfig) -> Self {
        let mut seating = Self::default();
        seating.add((0..config.targets.len()).collect());
        seating
    }

    /// Of a group that was there before with the members `old`.
    pub(super) fn next(old: &Members, config: &GroupConfig, now: Instant) -> Self {
        let mut seating = Self::default();
        let mut fresh = Vec::new();
        let mut configured = vec![NOWHERE; old.len()];
        let mut is_named = vec![false; old.len()];
        let found = matching::positions(old, &config.targets);
        for ((place, target), position) in config.targets.iter().enumerate().zip(found) {
            let position = position.map(|position| position as usize);
            match position {
                Some(position) if old.endpoints[position] == target.endpoint => {
                    configured[position] = position_u32(place);
                }
                // Another address under an old name is another target.
                Some(_) | None => fresh.push(place),
            }
            if let Some(position) = position {
                is_named[position] = true;
            }
        }
        let drain_end = Some(now + config.deregistration_delay).filter(|&end| end > now);
        for (position, configured) in configured.into_iter().enumerate() {
            let drain_end = drain_end.filter(|_| !is_named[position]);
            seating.keep(old, position, configured, drain_end, now);
        }
        seating.add(fresh);
        seating
    }

    /// Of a group whose members stay as they are.
    pub(super) fn unchanged(old: &Members) -> Self {
        Self::edited(old, &[], &[], Duration::ZERO, Instant::ZERO)
    }

    /// Of a group out of the store: nobody is new, and some drain.
    pub(super) fn restored(drains_until: &[Option<Instant>]) -> Self {
        let seat = |(place, &drains_until): (usize, _)| Seat {
            configured: position_u32(place),
            before: NOWHERE,
            drains_until,
        };
        let registered = drains_until.iter().filter(|end| end.is_none()).count();
        let seats = drains_until.iter().enumerate().map(seat).collect();
        Self { seats, registered, ..Self::default() }
    }

    /// Of the group with the members `old`, to which `register` come and from which those at the
    /// positions `deregister` (ascending) go; everybody else stays as they are.
    pub(super) fn edited(
        old: &Members,
        register: &[TargetConfig],
        deregister: &[u32],
        delay: Duration,
        now: Instant,
    ) -> Self {
        let mut fresh = Vec::new();
        // Of each member that does not stay as it is: its place in `register`, if it has one.
        let mut changed: BTreeMap<usize, u32> =
            deregister.iter().map(|&position| (position as usize, NOWHERE)).collect();
        let found = matching::positions(old, register);
        for ((place, target), position) in register.iter().enumerate().zip(found) {
            let Some(position) = position.map(|position| position as usize) else {
                fresh.push(place);
                continue;
            };
            let is_same = old.endpoints[position] == target.endpoint;
            changed.insert(position, if is_same { position_u32(place) } else { NOWHERE });
            // Another address under an old name is another target.
            fresh.extend((!is_same).then_some(place));
        }
        let mut seating =
            Self { seats: Vec::with_capacity(old.len() + fresh.len()), ..Self::default() };
        let drain_end = Some(now + delay).filter(|&end| end > now);
        let mut changed = changed.into_iter().peekable();
        for position in 0..old.len() {
            if let Some((_, configured)) = changed.next_if(|&(at, _)| at == position) {
                // Who was replaced is gone at once: its name is another's.
                let leaves = deregister.binary_search(&position_u32(position)).is_ok();
                seating.keep(old, position, configured, drain_end.filter(|_| leaves), now);
            } else {
                let (before, drains_until) = (position_u32(position), old.drains_until(position));
                seating.seats.push(Seat { configured: NOWHERE, before, drains_until });
            }
        }
        seating.add(fresh);
        seating
    }

    /// Of a group whose configuration did not change, without those whose draining is over.
    pub(super) fn expired(old: &Members, now: Instant) -> Self {
        let mut seating = Self::default();
        for position in 0..old.len() {
            match old.drains_until(position) {
                Some(end) if end <= now => seating.gone.push(position),
                drains_until => {
                    let before = position_u32(position);
                    seating.seats.push(Seat { configured: NOWHERE, before, drains_until });
                }
            }
        }
        seating
    }

    /// Decides on one old member: `configured` is its place in the file, if it has one, `drain_end`
    /// when it is gone if it leaves now; none: at once.
    fn keep(
        &mut self,
        old: &Members,
        position: usize,
        configured: u32,
        drain_end: Option<Instant>,
        now: Instant,
    ) {
        let before = position_u32(position);
        let drained_until = old.drains_until(position);
        if configured != NOWHERE {
            self.registered += usize::from(drained_until.is_some());
            self.seats.push(Seat { configured, before, drains_until: None });
            return;
        }
        self.deregistered += usize::from(drained_until.is_none());
        let end = drain_end.map(|end| drained_until.unwrap_or(end));
        match end.filter(|&end| end > now) {
            None => self.gone.push(position),
            drains_until => self.seats.push(Seat { configured, before, drains_until }),
        }
    }

    /// Whether everybody stays, and nobody comes.
    pub(super) fn is_as_before(&self) -> bool {
        let stays = |(position, seat): (usize, &Seat)| seat.before() == Some(position);
        self.gone.is_empty() && self.seats.iter().enumerate().all(stays)
    }

    fn add(&mut self, fresh: Vec<usize>) {
        self.registered += fresh.len();
        let seat =
            |place| Seat { configured: position_u32(place), before: NOWHERE, drains_until: None };
        self.seats.extend(fresh.into_iter().map(seat));
    }
}

impl Seat {
    /// Its position in the group before, if it was there.
    pub(super) fn before(self) -> Option<usize> {
        Some(self.before as usize).filter(|_| self.before != NOWHERE)
    }

    /// All that is known of it; `targets` are the configured ones, `old` the members before.
    pub(super) fn entry<'a>(self, targets: &'a [TargetConfig], old: &'a Members) -> Entry<'a> {
        let mut entry = match targets.get(self.configured as usize) {
            Some(target) => Entry::of(target),
            None => old.entry(self.before as usize),
        };
        entry.drains_until = self.drains_until;
        entry
    }
}
