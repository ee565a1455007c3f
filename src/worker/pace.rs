//! The start rate of a one-shot run: so many probes per second, evenly.

use crate::time::Instant;
use std::time::Duration;

/// How far a run that was held up may catch up at once.
const CATCH_UP: Duration = Duration::from_millis(50);

/// Says when the next probe may start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    gap: Duration,
    next: Instant,
}

impl Pace {
    /// A pace of `rate` starts per second; none: no limit.
    #[must_use]
    pub(super) fn new(rate: Option<f64>, now: Instant) -> Self {
        let gap = rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
        Self { gap, next: now }
    }

    /// The instant until which no probe may start; none where one may start now.
    pub(super) fn blocked(&mut self, now: Instant) -> Option<Instant> {
        self.next = self.next.max(now.back(CATCH_UP));
        (!self.gap.is_zero() && self.next > now).then_some(self.next)
    }

    /// Counts one start.
    pub(super) fn started(&mut self) {
        self.next += self.gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_even_and_catch_up_a_little() {
        let mut pace = Pace::new(Some(100.0), Instant::ZERO);
        let mut starts = |from: u64, to: u64| {
            let mut count = 0;
            for ms in from..to {
                while pace.blocked(Instant::from_millis(ms)).is_none() {
                    pace.started();
                    count += 1;
                }
            }
            count
        };
        assert_eq!(starts(0, 1_000), 100);
        assert_eq!(starts(1_000, 2_000), 100);
        assert_eq!(starts(9_000, 9_001), 6, "50 ms behind, and the one that is due");
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut pace = Pace::new(None, Instant::ZERO);
        for _ in 0..1_000 {
            assert_eq!(pace.blocked(Instant::ZERO), None);
            pace.started();
        }
    }
}
