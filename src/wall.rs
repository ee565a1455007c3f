//! Wall-clock time for display: moments of the monotonic clock as RFC 3339 in UTC.
//!
//! The offset between the two clocks is read once and kept, so that one moment is always printed as
//! the same text; only where the wall clock was stepped (by more than `STEP_MS`) is it read anew.
//! Nothing decides by these times.

use crate::time::Instant;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

/// A difference between the clocks above this is a step; below it, the slewing of NTP.
const STEP_MS: u64 = 500;

/// Milliseconds of the monotonic clock. Signed, because what is remembered from before a reboot
/// lies before the clock's origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl From<Instant> for Moment {
    fn from(at: Instant) -> Self {
        Self(i64::try_from(at.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Maps moments to wall-clock time. Shared by all that print times.
#[derive(Debug)]
pub struct WallClock {
    /// Wall clock minus monotonic clock, in milliseconds.
    offset_ms: AtomicI64,
}

impl WallClock {
    /// A clock by which it is `wall_ms` (since 1970, UTC) at `now`.
    #[must_use]
    pub fn new(now: Instant, wall_ms: u64) -> Self {
        Self { offset_ms: AtomicI64::new(offset(now, wall_ms)) }
    }

    /// A clock that agrees with the operating system's now.
    #[must_use]
    pub fn system() -> Self {
        Self::new(crate::time::monotonic(), crate::time::wall_ms())
    }

    /// Takes a new reading of both clocks; moves the offset only where the wall clock was stepped.
    pub fn observe(&self, now: Instant, wall_ms: u64) {
        let new = offset(now, wall_ms);
        let old = self.offset_ms.load(Ordering::Relaxed);
        if new.abs_diff(old) > STEP_MS {
            self.offset_ms.store(new, Ordering::Relaxed);
        }
    }

    /// Milliseconds since 1970 (UTC) at `at`.
    #[must_use]
    pub fn wall_ms(&self, at: Moment) -> i64 {
        at.0.saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// The moment that is printed as `wall_ms` milliseconds since 1970 (UTC).
    #[must_use]
    pub fn moment(&self, wall_ms: i64) -> Moment {
        Moment(wall_ms.saturating_sub(self.offset_ms.load(Ordering::Relaxed)))
    }

    /// `at` as RFC 3339 in UTC with milliseconds, as `2026-01-31T23:59:59.999Z`.
    #[must_use]
    pub fn rfc3339(&self, at: impl Into<Moment>) -> Rfc3339 {
        Rfc3339(self.wall_ms(at.into()))
    }
}

fn offset(now: Instant, wall_ms: u64) -> i64 {
    i64::try_from(wall_ms).unwrap_or(i64::MAX).saturating_sub(Moment::from(now).0)
}

/// Milliseconds since 1970 that print as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub i64);

impl Rfc3339 {
    /// Appends its text.
    pub fn append(self, out: &mut Vec<u8>) {
        self.with_text(|text| out.extend_from_slice(text.as_bytes()));
    }

    /// Hands its text to `then`. Written digit by digit: a list of a million targets has two
    /// million times in it.
    fn with_text<R>(self, then: impl FnOnce(&str) -> R) -> R {
        const DAY_MS: i64 = 86_400_000;
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
        let (second, ms) = (ms / 1_000 % 60, ms % 1_000);
        let Ok(year @ 0..=9_999) = u16::try_from(year) else {
            let date = format!("{year:04}-{month:02}-{day:02}");
            return then(&format!("{date}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"));
        };
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let date = [(0..4, year.into()), (5..7, month), (8..10, day)];
        let time = [(11..13, hour), (14..16, minute), (17..19, second), (20..23, ms)];
        for (places, mut number) in date.into_iter().chain(time) {
            for digit in text[places].iter_mut().rev() {
                // A remainder by ten is one digit.
                *digit += u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        }
        then(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl serde::Serialize for Rfc3339 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|text| serializer.serialize_str(text))
    }
}

/// Year, month (1-12) and day (1-31) of the day `days` after 1970-01-01, in the proleptic Gregorian
/// calendar. Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153; // March is 0
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as i64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_print_as_rfc_3339() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_753_920_123_456, "2025-07-31T00:02:03.456Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "10000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Rfc3339(ms).to_string(), text);
        }
    }

    #[test]
    fn days_count_through_four_hundred_years_without_a_gap() {
        let mut last = civil_from_days(-1);
        for days in 0..146_097 {
            let next = civil_from_days(days);
            let first_of_month = next.2 == 1 && (28..=31).contains(&last.2);
            assert!(next.2 == last.2 + 1 && next.1 == last.1 || first_of_month, "{next:?}");
            last = next;
        }
        assert_eq!(last, (2369, 12, 31));
    }

    #[test]
    fn the_offset_moves_with_a_step_and_not_with_slewing() {
        let clock = WallClock::new(Instant::from_millis(1_000), 50_000);
        assert_eq!(clock.wall_ms(Moment(-1_000)), 48_000);
        clock.observe(Instant::from_millis(2_000), 51_500);
        assert_eq!(clock.wall_ms(Moment(2_000)), 51_000);
        clock.observe(Instant::from_millis(2_000), 51_501);
        assert_eq!(clock.wall_ms(Moment(2_000)), 51_501);
    }
}
