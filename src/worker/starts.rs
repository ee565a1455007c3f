//! Which probe starts next, and why none does.
//!
//! Who has been due for longest is first, whoever it is: where more is due than can be done, all
//! wait alike. One rule is above that: targets that failed last, and those of one group, may hold
//! so many slots and no more ([`super::slots`]). Beyond it they are set aside, in their order, and
//! compete again, by their due time, as soon as one of theirs gives its slot back. So a dead group
//! whose probes hold their slots for a whole timeout makes itself wait, and no other. The same
//! holds for TLS probes, which may hold so many and no more, because each step of a handshake keeps
//! the worker busy for a while: too many would time each other out.

use super::Worker;
use super::probes::is_raw;
use crate::check::Check;
use crate::io::Io;
use crate::limits::{BATCH_DELAY, STARTS_PER_TURN, STARTS_PER_TURN_BUSY};
use crate::schedule::Due;
use crate::time::Instant;
use std::time::Duration;

/// How long no probe is started after the ring could take none.
const RING_FULL_PAUSE: Duration = Duration::from_millis(1);
/// Targets that are set aside in one turn at most.
const ASIDE_PER_TURN: usize = 1_024;

/// How many probes a turn may start: few, so that the first answers are seen soon, and more while
/// more is due and turns stay short.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst(usize);

impl Burst {
    /// Nothing is due yet.
    pub(super) const fn new() -> Self {
        Self(STARTS_PER_TURN)
    }

    /// A turn took so long; `more`: it would have started more probes.
    pub(super) fn adapt(&mut self, took: Duration, more: bool) {
        let next = if more && took < BURST_TURN { self.0 * 2 } else { self.0 / 2 };
        self.0 = next.clamp(STARTS_PER_TURN, STARTS_PER_TURN_BUSY);
    }
}

/// A turn that starts more probes than it must should not take longer than this.
const BURST_TURN: Duration = Duration::from_millis(1);

/// Why no more probes were started in this turn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blocked {
    /// Nothing more is due but what waits aside.
    Not,
    /// By the turn's budget: look again at once.
    Budget,
    /// By pace: look again then.
    Until(Instant),
    /// By slots: look again when something has completed.
    ForCompletions,
}

/// Who starts next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// The first of those that are ready.
    Ready(Due),
    /// The first of those aside.
    Aside(Due),
}

impl Next {
    const fn target(&self) -> u32 {
        match self {
            Self::Ready(due) | Self::Aside(due) => due.target,
        }
    }
}

impl<I: Io> Worker<I> {
    /// Starts what is due, as far as slots, ring, pace and the turn's budget allow.
    pub(super) fn start_due(&mut self, now: Instant) -> Blocked {
        if self.stop_by.is_some() {
            return Blocked::ForCompletions;
        }
        if self.reporter.is_choked() {
            return Blocked::Until(now + BATCH_DELAY);
        }
        if self.io.room() == 0 {
            return Blocked::Until(now + RING_FULL_PAUSE);
        }
        if now < self.gather.until() {
            return Blocked::Until(self.gather.until());
        }
        let (mut budget, mut aside) = (self.burst.0.min(self.io.room()), ASIDE_PER_TURN);
        while let Some(next) = self.next_start() {
            if self.slots.is_full(self.is_raw(next.target())) {
                return Blocked::ForCompletions;
            }
            if budget == 0 || aside == 0 {
                return Blocked::Budget;
            }
            if !self.may_hold(next.target()) {
                self.schedule.set_aside();
                aside -= 1;
                continue;
            }
            if let Some(instant) = self.pace.blocked(now) {
                return Blocked::Until(instant);
            }
            budget -= 1;
            self.pace.started(now);
            self.gather.count();
            let due = match next {
                Next::Ready(due) => {
                    self.schedule.pop();
                    due
                }
                Next::Aside(due) => {
                    self.schedule.pop_aside();
                    due
                }
            };
            self.start(due, now);
        }
        self.gather.rest(now, self.recipes.least());
        Blocked::Not
    }

    /// Whoever has been due for longest, but of those aside only who may have a slot.
    fn next_start(&mut self) -> Option<Next> {
        let aside = self.schedule.peek_aside();
        let aside = aside.filter(|aside| self.may_hold(aside.target));
        let Some(ready) = self.schedule.peek() else { return aside.map(Next::Aside) };
        match aside {
            Some(aside) if aside.tick <= ready.tick => Some(Next::Aside(aside)),
            Some(_) | None => Some(Next::Ready(ready)),
        }
    }

    /// Whether a target may take a slot, as far as those that failed last and those of its group
    /// hold too many already.
    pub(super) fn may_hold(&mut self, target: u32) -> bool {
        let full = self.slots.is_full_for(self.shard.group(target))
            || self.slots.is_full_for_failing() && self.shard.health(target).is_failing();
        let full_for_tls = self.slots.is_full_for_tls(true)
            && self.is_tls(target)
            && self.slots.is_full_for_tls(self.shard.health(target).is_failing());
        !full && !full_for_tls || self.is_raw(target)
    }

    fn is_tls(&self, target: u32) -> bool {
        let recipe = self.recipes.of(self.shard.group(target));
        recipe.is_some_and(|recipe| matches!(recipe.check, Check::Tls(_)))
    }

    /// Whether probes of a target need no socket: then it does not matter who has how many.
    fn is_raw(&self, target: u32) -> bool {
        self.recipes.of(self.shard.group(target)).is_some_and(|recipe| is_raw(recipe))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_grows_while_more_is_due_and_turns_stay_below_a_millisecond() {
        let mut burst = Burst::new();
        let mut after = |took_us, more| {
            burst.adapt(Duration::from_micros(took_us), more);
            burst.0
        };
        assert_eq!([after(999, true), after(999, true), after(999, true)], [64, 128, 128]);
        assert_eq!([after(1_000, true), after(10, true), after(10, false)], [64, 128, 64]);
        assert_eq!([after(10, false), after(10, false), after(1_000, true)], [32, 32, 32]);
    }
}
