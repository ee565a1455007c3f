//! When each target of a shard is due (DESIGN 3.4): a timer wheel with the rules around it.
//!
//! Time is counted in ticks of one millisecond since the worker's origin; intervals are whole
//! milliseconds, so a due time is exact and never drifts. A target is in the wheel while it waits
//! and out of it while its probe runs, so there are never two probes of one target. What is overdue
//! stays on the wheel's ready list in the order in which it was due: that list *is* the backlog,
//! together with those set aside, who may not start as long as others of their kind run.

use crate::limits::NEW_TARGET_DELAY;
use crate::time::Instant;
use crate::wheel::{ASIDES, Wheel};
use std::time::Duration;

/// How the first probe of a target is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Anywhere in its interval, by hash: many targets at the start of a daemon.
    Spread,
    /// Within a second, or longer where so many come at once that a second would be a burst: new
    /// targets of a running daemon. The number is how many come together in this shard.
    Soon(usize),
    /// At once: a one-shot run, whose order is that of its list.
    Now,
}

/// New targets that a shard starts per second beyond its schedule; more are spread over longer.
const NEW_TARGETS_PER_SECOND: u64 = 10_000;

/// The due times of one shard, by the target's index in the shard.
#[derive(Debug)]
pub struct Schedule {
    origin: Instant,
    wheel: Wheel,
}

/// Why a target is set aside: those of one sort wait behind each other, and behind no other sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// Its probe failed last, and too many such run.
    Failing,
    /// Too many of its group run.
    Group,
    /// Too many TLS probes run.
    Tls,
}

impl Aside {
    /// All of them.
    pub const ALL: [Self; ASIDES] = [Self::Failing, Self::Group, Self::Tls];
}

/// A target that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its index in the shard.
    pub target: u32,
    /// The tick at which it was due.
    pub tick: u64,
}

impl Schedule {
    /// An empty schedule whose tick 0 is `origin`.
    #[must_use]
    pub fn new(origin: Instant) -> Self {
        Self { origin, wheel: Wheel::new(0) }
    }

    /// Makes indices below `targets` valid.
    pub fn grow(&mut self, targets: u32) {
        self.wheel.grow(targets);
    }

    /// The last whole tick at or before `now`.
    #[must_use]
    pub const fn tick(&self, now: Instant) -> u64 {
        millis(now.since(self.origin))
    }

    /// The instant at which `tick` begins.
    #[must_use]
    pub fn instant(&self, tick: u64) -> Instant {
        self.origin + Duration::from_millis(tick)
    }

    /// Places the first probe of `target`.
    pub fn add(&mut self, target: u32, first: First, interval: Duration, hash: u64, now: Instant) {
        let interval = millis(interval);
        let window = match first {
            First::Spread => interval,
            First::Soon(count) => {
                let patient = count as u64 * 1_000 / NEW_TARGETS_PER_SECOND;
                interval.min(millis(NEW_TARGET_DELAY).max(patient))
            }
            First::Now => 0,
        };
        let offset = if window == 0 { 0 } else { hash % window };
        self.wheel.insert(target, self.tick(now) + offset);
    }

    /// Takes `target` out; false where its probe is running.
    pub fn remove(&mut self, target: u32) -> bool {
        self.wheel.remove(target)
    }

    /// Places the next probe of a target that was due at `tick`: one interval later, without drift.
    /// Starts that would fall into the past, because the probe ran or started late, are left out;
    /// returns how many.
    pub fn next(&mut self, target: u32, tick: u64, interval: Duration, now: Instant) -> u64 {
        let (interval, now) = (millis(interval), self.tick(now));
        let (due, skipped) = next_due(tick, interval, interval, now);
        self.wheel.insert(target, due);
        skipped
    }

    /// Places the second probe of a target that came to a running daemon and was first due at
    /// `tick`: half an interval to one and a half later, by hash. Its first probe came soon,
    /// together with those of all who came with it; from here on it has a phase of its own. Else as
    /// [`Schedule::next`].
    pub fn second(
        &mut self,
        target: u32,
        tick: u64,
        interval: Duration,
        hash: u64,
        now: Instant,
    ) -> u64 {
        let (interval, now) = (millis(interval), self.tick(now));
        let gap = second_gap(interval, now.saturating_sub(tick), hash);
        let (due, skipped) = next_due(tick, gap, interval, now);
        self.wheel.insert(target, due);
        skipped
    }

    /// A waiting target has a shorter interval: it is due within that from now on, at a phase of
    /// its own, so that those whose time would have come later do not come all at once.
    pub fn hasten(&mut self, target: u32, interval: Duration, hash: u64, now: Instant) {
        let interval = millis(interval).max(1);
        let latest = self.tick(now) + hash % interval;
        if self.wheel.due(target).is_some_and(|due| due > latest) {
            self.wheel.remove(target);
            self.wheel.insert(target, latest);
        }
    }

    /// Moves time on: what is due by now becomes ready.
    pub fn advance(&mut self, now: Instant) {
        self.wheel.advance(self.tick(now));
    }

    /// The target that has been due for longest, left in place.
    #[must_use]
    pub fn peek(&self) -> Option<Due> {
        self.wheel.peek().map(|(target, tick)| Due { target, tick })
    }

    /// Takes the target that has been due for longest.
    pub fn pop(&mut self) -> Option<Due> {
        self.wheel.pop().map(|(target, tick)| Due { target, tick })
    }

    /// Sets the target that has been due for longest aside: [`Schedule::peek`], [`Schedule::pop`]
    /// and [`Schedule::wake`] pass it over from now on.
    pub fn set_aside(&mut self, aside: Aside) {
        self.wheel.set_aside(aside as usize);
    }

    /// The target that was set aside first for that reason, left in place.
    #[must_use]
    pub fn peek_aside(&self, aside: Aside) -> Option<Due> {
        self.wheel.peek_aside(aside as usize).map(|(target, tick)| Due { target, tick })
    }

    /// Takes the target that was set aside first for that reason.
    pub fn pop_aside(&mut self, aside: Aside) -> Option<Due> {
        self.wheel.pop_aside(aside as usize).map(|(target, tick)| Due { target, tick })
    }

    /// Whether any target is set aside.
    #[must_use]
    pub fn has_aside(&self) -> bool {
        Aside::ALL.into_iter().any(|aside| self.peek_aside(aside).is_some())
    }

    /// Since when `target` waits for its start; none where it is not due, or its probe runs.
    #[must_use]
    pub fn waits_since(&self, target: u32) -> Option<Instant> {
        let due = self.wheel.due(target).filter(|&due| due <= self.wheel.elapsed())?;
        Some(self.instant(due))
    }

    /// Since when the target waits that waits for longest; none where nobody does.
    #[must_use]
    pub fn waits_longest(&self) -> Option<Instant> {
        let asides = Aside::ALL.into_iter().filter_map(|aside| self.peek_aside(aside));
        asides.chain(self.peek()).map(|due| self.instant(due.tick)).min()
    }

    /// How many targets are due and not yet taken, those aside included.
    #[must_use]
    pub fn backlog(&self) -> u32 {
        self.wheel.ready_len()
    }

    /// When to look again; none where nothing is placed.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        self.wheel.next_due().map(|tick| self.instant(tick))
    }
}

/// The first of `tick + gap`, `tick + gap + interval`, … that is not before `now`, and how many
/// were left out. An interval of 0 (a one-shot run) is due at once.
const fn next_due(tick: u64, gap: u64, interval: u64, now: u64) -> (u64, u64) {
    if interval == 0 {
        return (now, 0);
    }
    let due = tick + gap;
    if due >= now {
        return (due, 0);
    }
    let skipped = (now - due).div_ceil(interval);
    (due + skipped * interval, skipped)
}

/// From the first start to the second: from half an interval to one and a half, but not before the
/// first probe is over, which took `elapsed`. Where the first probes are spread over the whole
/// interval already, it is an interval.
const fn second_gap(interval: u64, elapsed: u64, hash: u64) -> u64 {
    if interval <= millis(NEW_TARGET_DELAY) {
        return interval;
    }
    let half = interval / 2;
    let from = if elapsed < half { half } else { elapsed };
    let from = if from < interval { from } else { interval };
    from + hash % (interval + half - from)
}

/// A duration in whole milliseconds, rounded down.
#[must_use]
pub const fn millis(duration: Duration) -> u64 {
    crate::time::nanos(duration) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_start_neither_drifts_nor_lies_in_the_past() {
        assert_eq!(next_due(100, 10, 10, 100), (110, 0));
        assert_eq!(next_due(100, 10, 10, 109), (110, 0));
        assert_eq!(next_due(100, 10, 10, 110), (110, 0));
        assert_eq!(next_due(100, 10, 10, 111), (120, 1));
        assert_eq!(next_due(100, 10, 10, 120), (120, 1));
        assert_eq!(next_due(100, 10, 10, 121), (130, 2));
        assert_eq!(next_due(100, 0, 0, 121), (121, 0));
        for tick in 0..20 {
            for interval in 1..20 {
                for now in tick..100 {
                    let (due, skipped) = next_due(tick, interval, interval, now);
                    assert!(due >= now && due > tick && (due - tick) % interval == 0);
                    assert_eq!(due, tick + interval * (skipped + 1));
                    assert!(skipped == 0 || due - interval < now, "skips no more than it must");
                }
            }
        }
    }

    #[test]
    fn first_probes_are_spread_over_the_interval_but_new_targets_come_soon() {
        let now = Instant::from_millis(5_000);
        let mut schedule = Schedule::new(Instant::from_millis(1_000));
        schedule.grow(3_000);
        for target in 0..1_000 {
            let hash = crate::rng::mix(u64::from(target));
            schedule.add(target, First::Spread, Duration::from_secs(30), hash, now);
            schedule.add(1_000 + target, First::Soon(1), Duration::from_secs(30), hash, now);
            schedule.add(2_000 + target, First::Soon(50_000), Duration::from_secs(30), hash, now);
        }
        let due_by = |schedule: &mut Schedule, ms: u64| {
            schedule.advance(now + Duration::from_millis(ms));
            schedule.backlog()
        };
        assert!(due_by(&mut schedule, 0) < 10);
        assert!((1_200..1_300).contains(&due_by(&mut schedule, 1_000)), "soon ones, 1/5, 1/30");
        assert!((2_100..2_250).contains(&due_by(&mut schedule, 5_000)));
        assert_eq!(due_by(&mut schedule, 30_000), 3_000);
    }

    #[test]
    fn the_second_start_lies_within_half_an_interval_of_its_time_and_behind_the_first_probe() {
        let hash = |n: u64| crate::rng::mix(n);
        for interval in [1_001, 1_500, 10_000, 3_600_000] {
            for elapsed in [0, interval / 4, interval / 2, interval * 3 / 4, interval] {
                let gaps: Vec<_> =
                    (0..1_000).map(|n| second_gap(interval, elapsed, hash(n))).collect();
                let (least, most) = (*gaps.iter().min().unwrap(), *gaps.iter().max().unwrap());
                let from = elapsed.max(interval / 2);
                assert!(least >= from && most < interval + interval / 2);
                // All of that time is used.
                let slack = interval / 50;
                assert!(least < from + slack && most + slack > interval + interval / 2);
            }
            let gap = second_gap(interval, interval * 4, 7);
            let (due, skipped) = next_due(0, gap, interval, interval * 4);
            assert!(due >= interval * 4 && due < interval * 5 && skipped == 3);
        }
        assert!((1..=1_000).all(|interval| second_gap(interval, 0, hash(interval)) == interval));
        assert_eq!(next_due(5, second_gap(0, 0, 7), 0, 9), (9, 0), "a one-shot run");
    }

    #[test]
    fn who_came_together_is_bunched_once_and_spread_from_then_on() {
        let interval = Duration::from_secs(10);
        let mut schedule = Schedule::new(Instant::ZERO);
        schedule.grow(10_000);
        for target in 0..10_000 {
            let hash = crate::rng::mix(u64::from(target) << 32);
            schedule.add(target, First::Soon(1), interval, hash, Instant::ZERO);
        }
        let mut seen = vec![0; 10_000];
        for second in 0..60 {
            let mut due = 0;
            for ms in 1..=10 {
                let now = Instant::from_millis(second * 1_000 + ms * 100);
                schedule.advance(now);
                while let Some(Due { target, tick }) = schedule.pop() {
                    due += 1;
                    seen[target as usize] += 1;
                    let hash = crate::rng::mix(u64::from(target));
                    if seen[target as usize] == 1 {
                        schedule.second(target, tick, interval, hash, now);
                    } else {
                        schedule.next(target, tick, interval, now);
                    }
                }
            }
            let expected = if second == 0 { 9_900..=10_000 } else { 0..=1_150 };
            assert!(expected.contains(&due), "{due} in second {second}");
            assert!(second < 16 || due > 850, "{due} in second {second}");
        }
    }

    #[test]
    fn a_shorter_interval_pulls_a_waiting_target_in() {
        let mut schedule = Schedule::new(Instant::ZERO);
        schedule.grow(1);
        schedule.add(0, First::Spread, Duration::from_secs(3_600), 3_000_000, Instant::ZERO);
        schedule.hasten(0, Duration::from_secs(10), 12_345, Instant::ZERO);
        assert_eq!(schedule.wheel.due(0), Some(2_345));
        schedule.hasten(0, Duration::from_secs(3_600), 3_000_000, Instant::ZERO);
        assert_eq!(schedule.wheel.due(0), Some(2_345), "a longer one waits for the next probe");
    }
}
