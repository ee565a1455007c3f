//! Keeps a one-shot run from drowning its targets: so many probes at most may be young and
//! unanswered.
//!
//! A run without a rate starts as fast as it can. Where one host stands behind many addresses, it
//! may answer more slowly than that; its backlog overflows, and healthy targets time out by our
//! doing. So starts wait while [`YOUNG_MAX`] probes of the last 100 ms have no outcome. Targets
//! that answer at once never feel it; silent ones grow old and count no more, so they hold nothing
//! up for long.

use crate::time::Instant;

/// Probes in flight that started within the last 100 ms, per worker.
pub(super) const YOUNG_MAX: u32 = 256;
/// How many stretches of [`BUCKET_MS`] a probe is young for: 100 ms in all, give or take one.
const BUCKETS: usize = 10;
const BUCKET_MS: u64 = 10;

/// Counts the young. Invariant: `young` is the sum of `buckets`, each of which holds the probes in
/// flight that started in one stretch of [`BUCKET_MS`], the newest stretch being `newest`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    buckets: [u32; BUCKETS],
    newest: u64,
    young: u32,
}

impl Window {
    /// The instant until which no probe should start unless one ends before; none: start.
    pub(super) fn blocked(&mut self, now: Instant) -> Option<Instant> {
        self.advance(now);
        let next_bucket = Instant::from_millis((stretch(now) + 1) * BUCKET_MS);
        (self.young >= YOUNG_MAX).then_some(next_bucket)
    }

    /// Counts a start.
    pub(super) fn started(&mut self, now: Instant) {
        self.advance(now);
        self.buckets[place(self.newest)] += 1;
        self.young += 1;
    }

    /// Counts the end of a probe that began at `started`.
    pub(super) fn ended(&mut self, started: Instant, now: Instant) {
        self.advance(now);
        let began = stretch(started);
        if began + BUCKETS as u64 > self.newest {
            let bucket = &mut self.buckets[place(began)];
            let counted = (*bucket).min(1);
            *bucket -= counted;
            self.young -= counted;
        }
    }

    /// Forgets the stretches that have become old.
    fn advance(&mut self, now: Instant) {
        let newest = stretch(now).max(self.newest);
        for passed in (self.newest + 1..=newest).take(self.buckets.len()) {
            self.young -= std::mem::take(&mut self.buckets[place(passed)]);
        }
        self.newest = newest;
    }
}

const fn stretch(at: Instant) -> u64 {
    at.as_millis() / BUCKET_MS
}

/// The bucket of a stretch.
fn place(stretch: u64) -> usize {
    // The remainder is below ten.
    usize::try_from(stretch % BUCKETS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn targets_that_answer_never_block() {
        let mut window = Window::default();
        for ms in 0..1_000 {
            let now = Instant::from_millis(ms);
            for _ in 0..200 {
                assert_eq!(window.blocked(now), None);
                window.started(now);
            }
            for _ in 0..200 {
                window.ended(now, now + Duration::from_millis(1));
            }
        }
    }

    #[test]
    fn silent_ones_block_until_they_are_old() {
        let mut window = Window::default();
        let start = |window: &mut Window, ms: u64| {
            let now = Instant::from_millis(ms);
            let mut started = 0;
            while window.blocked(now).is_none() {
                window.started(now);
                started += 1;
            }
            started
        };
        assert_eq!(start(&mut window, 1_005), YOUNG_MAX);
        assert_eq!(window.blocked(Instant::from_millis(1_005)), Some(Instant::from_millis(1_010)));
        assert_eq!(start(&mut window, 1_099), 0);
        assert_eq!(start(&mut window, 1_100), YOUNG_MAX, "the first ones are old");
        let old = Instant::from_millis(1_005);
        window.ended(old, Instant::from_millis(1_101));
        assert_eq!(start(&mut window, 1_101), 0, "an old one makes no room");
        window.ended(Instant::from_millis(1_100), Instant::from_millis(1_102));
        assert_eq!(start(&mut window, 1_102), 1);
        assert_eq!(start(&mut window, 90_000), YOUNG_MAX, "a long pause forgets all");
    }

    #[test]
    fn the_count_is_that_of_a_list() {
        let mut rng = crate::rng::Rng::new(7);
        let (mut window, mut list) = (Window::default(), Vec::new());
        let mut ms = 5_000;
        for _ in 0..50_000 {
            ms += rng.below(7);
            let now = Instant::from_millis(ms);
            if rng.chance(1, 2) {
                window.started(now);
                list.push(now);
            } else if !list.is_empty() {
                let which = usize::try_from(rng.below(list.len() as u64)).unwrap();
                window.ended(list.swap_remove(which), now);
            }
            window.advance(now);
            let young = |&&at: &&Instant| stretch(at) + BUCKETS as u64 > stretch(now);
            assert_eq!(window.young as usize, list.iter().filter(young).count());
        }
    }
}
