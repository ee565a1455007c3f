//! Which probe starts next, and why none does.
//!
//! Who has been due for longest is first, whoever it is: where more is due than can be done, all
//! wait alike. One rule is above that: targets that failed last, and those of one group, may hold
//! so many slots and no more ([`super::slots`]). Beyond it they are set aside, in their order, and
//! compete again, by their due time, as soon as one of theirs gives its slot back. So a dead group
//! whose probes hold their slots for a whole timeout makes itself wait, and no other. The same
//! holds for TLS probes, which may hold so many and no more, because each step of a handshake keeps
//! the worker busy for a while: too many would time each other out. Each reason has its own line to
//! wait in, so that healthy TLS targets do not stand behind silent ones.

use super::Worker;
use super::probes::is_raw;
use crate::check::Check;
use crate::io::Io;
use crate::limits::{BATCH_DELAY, STARTS_PER_TURN, STARTS_PER_TURN_BUSY};
use crate::schedule::{Aside, Due};
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
    /// The first of those aside for that reason.
    Aside(Aside, Due),
}

impl Next {
    const fn target(&self) -> u32 {
        match self {
            Self::Ready(due) | Self::Aside(_, due) => due.target,
        }
    }

    const fn tick(&self) -> u64 {
        match self {
            Self::Ready(due) | Self::Aside(_, due) => due.tick,
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
            if let Some(reason) = self.set_aside_for(next.target()) {
                self.schedule.set_aside(reason);
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
                Next::Aside(reason, due) => {
                    self.schedule.pop_aside(reason);
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
        let mut first = self.schedule.peek().map(Next::Ready);
        for reason in Aside::ALL {
            let Some(due) = self.schedule.peek_aside(reason) else { continue };
            if first.is_none_or(|first| due.tick <= first.tick()) && self.may_hold(due.target) {
                first = Some(Next::Aside(reason, due));
            }
        }
        first
    }

    /// Whether a target may take a slot, as far as others like it hold too many already.
    pub(super) fn may_hold(&mut self, target: u32) -> bool {
        self.set_aside_for(target).is_none()
    }

    /// Why a target may not take a slot, if it may not.
    fn set_aside_for(&mut self, target: u32) -> Option<Aside> {
        let slots = &self.slots;
        let full_for_group = slots.is_full_for(self.shard.group(target));
        if !full_for_group && !slots.is_full_for_failing() && !slots.is_full_for_tls(true) {
            return None;
        }
        let is_failing = self.shard.health(target).is_failing();
        let reason = if is_failing && slots.is_full_for_failing() {
            Aside::Failing
        } else if full_for_group {
            Aside::Group
        } else if slots.is_full_for_tls(is_failing) && self.is_tls(target) {
            if is_failing { Aside::Failing } else { Aside::Tls }
        } else {
            return None;
        };
        (!self.is_raw(target)).then_some(reason)
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
