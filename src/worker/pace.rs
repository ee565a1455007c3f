//! When a probe may start although its target is due: the rate that was asked for, and the window
//! of one-shot runs. A daemon's pace is that of its intervals, so nothing of this holds it up.

use super::Options;
use super::window::Window;
use crate::time::Instant;
use std::time::Duration;

/// How far a run that was held up may catch up at once.
const CATCH_UP: Duration = Duration::from_millis(50);

/// Says when the next probe may start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    gap: Duration,
    next: Instant,
    /// One-shot runs only.
    window: Option<Window>,
}

impl Pace {
    /// The pace of a run with these options that begins now.
    #[must_use]
    pub(super) fn new(options: Options, now: Instant) -> Self {
        let gap = options.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate));
        Self { gap, next: now, window: options.rounds.map(|_| Window::default()) }
    }

    /// The instant until which no probe may start, unless one ends before; none: one may start now.
    pub(super) fn blocked(&mut self, now: Instant) -> Option<Instant> {
        self.next = self.next.max(now.back(CATCH_UP));
        let paced = (!self.gap.is_zero() && self.next > now).then_some(self.next);
        paced.or_else(|| self.window.as_mut()?.blocked(now))
    }

    /// Counts one start.
    pub(super) fn started(&mut self, now: Instant) {
        self.next += self.gap;
        if let Some(window) = &mut self.window {
            window.started(now);
        }
    }

    /// Counts the end of a probe that began at `started`.
    pub(super) fn ended(&mut self, started: Instant, now: Instant) {
        if let Some(window) = &mut self.window {
            window.ended(started, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_even_and_catch_up_a_little() {
        let mut pace = Pace::new(Options { rounds: None, rate: Some(100.0) }, Instant::ZERO);
        let mut starts = |from: u64, to: u64| {
            let mut count = 0;
            for ms in from..to {
                let now = Instant::from_millis(ms);
                while pace.blocked(now).is_none() {
                    pace.started(now);
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
        let mut pace = Pace::new(Options { rounds: None, rate: None }, Instant::ZERO);
        for _ in 0..1_000 {
            assert_eq!(pace.blocked(Instant::ZERO), None);
            pace.started(Instant::ZERO);
        }
    }
}
