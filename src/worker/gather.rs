//! How long due targets gather before a busy worker starts them.
//!
//! A wake-up costs some tens of microseconds of its own (the switch, cold caches, an enter), shared
//! by all that it starts. So a worker to which a target or more is due every millisecond lets them
//! gather, until about [`WANTED`] are due. More together would save next to nothing, make all of
//! them later, and keep whoever else needs the core waiting for longer. The price is lateness,
//! which is bounded: by [`GAP_MAX`], and by a fiftieth of the shortest interval.

use super::recipes::Least;
use crate::time::{Instant, nanos};
use std::time::Duration;

/// Probes that are worth a wake-up.
const WANTED: u64 = 128;
/// The longest gap.
const GAP_MAX: Duration = Duration::from_millis(10);
/// How much of the shortest interval a gap takes at most: one part in so many.
const INTERVAL_PART: u32 = 50;
/// One batch tells so much of the rate: one part in so many.
const MEMORY: u64 = 8;
/// At fewer due targets than one in this time, none waits for the next.
const BUSY_FROM: Duration = Duration::from_millis(1);

/// See the module's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gather {
    /// No probe is started before this.
    until: Instant,
    /// When the last batch was started.
    last: Instant,
    /// Probes started since then.
    started: u64,
    /// Nanoseconds from one due target to the next, as far as is known.
    spacing: u64,
}

impl Gather {
    /// Nothing is due yet.
    pub(super) const fn new(now: Instant) -> Self {
        // An idle second between two targets, until more is known.
        Self { until: now, last: now, started: 0, spacing: 1_000_000_000 }
    }

    /// The instant until which targets gather; one that is over: they need not.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    /// Counts one start.
    pub(super) const fn count(&mut self) {
        self.started += 1;
    }

    /// Nothing more is due: how long to gather follows from how much was, in what time, and from
    /// what the recipes ask for.
    pub(super) fn rest(&mut self, now: Instant, least: Least) {
        let started = std::mem::take(&mut self.started);
        if started == 0 {
            return;
        }
        let spacing = nanos(now.since(self.last)) / started;
        self.last = now;
        self.spacing = (self.spacing * (MEMORY - 1) + spacing) / MEMORY;
        if self.spacing <= nanos(BUSY_FROM) {
            let most = GAP_MAX.min(least.interval / INTERVAL_PART);
            self.until = now + Duration::from_nanos(self.spacing * WANTED).min(most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// How many times a second a worker wakes to which `rate` targets are due a second, a share of
    /// them each millisecond; it looks every millisecond, as its wheel does.
    fn wakes(gather: &mut Gather, rate: u64, interval: Duration) -> u64 {
        let least = Least { interval, ..Least::default() };
        let (mut wakes, mut taken) = (0, 0);
        for ms in 0..3_000 {
            let (now, due) = (Instant::from_millis(ms), ms * rate / 1_000);
            if now >= gather.until() && due > taken {
                wakes += u64::from(ms >= 2_000);
                (taken..due).for_each(|_| gather.count());
                taken = due;
                gather.rest(now, least);
            }
        }
        wakes
    }

    #[test]
    fn targets_gather_for_as_long_as_it_takes_and_ten_milliseconds_at_most() {
        // In whole milliseconds of a wheel: a gap of 2.6 ms ends with the third.
        for (rate, expected) in [(2_000, 100), (20_000, 143), (50_000, 334), (400_000, 1_000)] {
            let found = wakes(&mut Gather::new(Instant::ZERO), rate, LONG);
            assert!(found.abs_diff(expected) <= expected / 20, "{rate}/s: {found}, not {expected}");
        }
    }

    #[test]
    fn a_worker_with_little_to_do_starts_at_once() {
        assert_eq!(wakes(&mut Gather::new(Instant::ZERO), 900, LONG), 900);
    }

    #[test]
    fn no_gap_is_long_beside_the_shortest_interval() {
        let mut gather = Gather::new(Instant::ZERO);
        assert_eq!(wakes(&mut gather, 20_000, Duration::from_millis(100)), 500);
        let found = wakes(&mut Gather { until: Instant::ZERO, ..gather }, 20_000, LONG);
        assert!((135..155).contains(&found), "{found}");
    }
}
