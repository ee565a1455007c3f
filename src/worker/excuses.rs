//! Targets that wait for a slot for so long that what is shown of them is no longer known.
//!
//! Who has waited for `unhealthy_threshold` whole intervals comes to a local fault that many times
//! over: one report, after which it is shown as unavailable. It keeps its place in the row, and its
//! next real outcome takes the excuse back. So what is shown is never older than that without
//! saying so.
//!
//! Targets wait in the order in which they were due, but how long each has patience follows from
//! its own interval. So all of a shard are looked at, a slice per turn, again and again, and only
//! while somebody has waited for longer than the least patient would.

use super::Worker;
use super::probes::is_raw;
use super::recipes::patience;
use crate::io::Io;
use crate::outcome::{Cause, Class, Code, Outcome};
use crate::report::{Phases, Report};
use crate::time::Instant;
use std::time::Duration;

/// Targets that are looked at in one turn.
const SLICE: u32 = 2_048;
/// Gap between two slices, so that looking costs a few percent of a core at most.
const SLICE_GAP: Duration = Duration::from_millis(1);
/// Gap between two rounds through the shard.
const ROUND_GAP: Duration = Duration::from_millis(100);

/// How far the look through the shard has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Excuses {
    /// The index to go on from.
    next: u32,
    /// No slice before this.
    due: Instant,
}

impl Excuses {
    /// Nobody has been looked at.
    #[must_use]
    pub(super) const fn new() -> Self {
        Self { next: 0, due: Instant::ZERO }
    }
}

impl<I: Io> Worker<I> {
    /// Excuses some of those that have waited for a slot for too long; returns when to go on.
    /// One-shot runs wait for as long as it takes.
    pub(super) fn excuse(&mut self, now: Instant) -> Option<Instant> {
        if self.options.rounds.is_some() || self.stop_by.is_some() || self.reporter.is_choked() {
            return None;
        }
        // Who waits although slots are free waits for the CPU, and is next.
        if !self.slots_are_full() {
            return None;
        }
        if now.since(self.schedule.waits_longest()?) < self.recipes.least().patience {
            self.excuses.next = 0;
            return None;
        }
        if now < self.excuses.due {
            return Some(self.excuses.due);
        }
        let from = std::mem::take(&mut self.excuses.next);
        let to = from.saturating_add(SLICE).min(self.shard.slots());
        for index in from..to {
            self.excuse_target(index, now);
        }
        let done = to == self.shard.slots();
        self.excuses.next = if done { 0 } else { to };
        self.excuses.due = now + if done { ROUND_GAP } else { SLICE_GAP };
        Some(self.excuses.due)
    }

    /// Excuses the target at `index` if it has waited for too long, and is not excused yet.
    fn excuse_target(&mut self, index: u32, now: Instant) {
        let Some(since) = self.schedule.waits_since(index) else { return };
        let Some(recipe) = self.recipe(index) else { return };
        let waits_for_cpu = !self.slots.is_full(is_raw(&recipe)) && self.may_hold(index);
        let target = self.shard.id(index);
        let health = self.shard.health(index);
        if now.since(since) < patience(&recipe) || health.is_unavailable() || waits_for_cpu {
            return;
        }
        let mut transition = None;
        for _ in 0..recipe.thresholds.unhealthy {
            let turned = health.observe(Class::LocalFault, recipe.thresholds);
            transition = transition.or(turned);
        }
        let outcome = Outcome::cause(Code::SockErr, Cause::NoFreeSlot);
        let report = Report {
            target,
            at: now,
            outcome,
            phases: Phases::default(),
            observed: health.observed(),
            streak: health.streak(),
            transition,
        };
        self.stats.finish(outcome, Duration::ZERO);
        self.stats.merged += u64::from(self.reporter.push(report, now));
    }
}
