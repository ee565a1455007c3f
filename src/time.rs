//! Instants of the monotonic clock, and the only file that reads the operating system's clocks.
//!
//! Everything to the right of the I/O seam takes `now` as an input. Instants are nanoseconds of
//! CLOCK_MONOTONIC in 64 bits (584 years), so neither a step of the wall clock nor a wrap exists.
//! Wall-clock time is for display only.

use std::ops::{Add, AddAssign};
use std::time::Duration;

/// A point of monotonic time: nanoseconds since an origin that never moves while we run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin; with [`Instant::from_millis`] the way to write instants in tests.
    pub const ZERO: Self = Self(0);

    /// The instant `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant `millis` milliseconds after the origin.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the origin, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Time since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved back by `by`, at most to the origin.
    #[must_use]
    pub const fn back(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, by: Duration) {
        *self = *self + by;
    }
}

/// A duration in nanoseconds, at most `u64::MAX` (584 years).
#[must_use]
pub const fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 {
        return u64::MAX;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked one line above")]
    let nanos = nanos as u64;
    nanos
}

/// Reads CLOCK_MONOTONIC.
#[must_use]
pub fn monotonic() -> Instant {
    read(nix::time::ClockId::CLOCK_MONOTONIC)
}

/// Reads the wall clock: milliseconds since 1970-01-01 UTC, for display only.
#[must_use]
pub fn wall_ms() -> u64 {
    read(nix::time::ClockId::CLOCK_REALTIME).as_millis()
}

fn read(clock: nix::time::ClockId) -> Instant {
    // Linux has had both clocks since 2.6, and a clock id is the call's only argument.
    let now = nix::time::clock_gettime(clock).expect("CLOCK_MONOTONIC and CLOCK_REALTIME exist");
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec()).unwrap_or(0);
    Instant(seconds * 1_000_000_000 + nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let t = Instant::from_millis(5);
        assert_eq!((t + Duration::from_millis(7)).as_millis(), 12);
        assert_eq!(t.since(Instant::from_millis(9)), Duration::ZERO);
        assert_eq!(t.back(Duration::from_secs(1)), Instant::ZERO);
        assert_eq!((t + Duration::MAX).as_nanos(), u64::MAX);
    }

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let a = monotonic();
        assert!(monotonic() >= a);
    }
}
