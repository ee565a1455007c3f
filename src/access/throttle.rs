//! Slows down who guesses: a bucket of failures for each known key, and one for all others.
//!
//! Somebody who guesses the secret of one key holds up the users of that key only, and those only
//! while it goes on.

use crate::limits::{KEYS_MAX, SIGNATURE_FAILURES_PER_SECOND};
use std::collections::HashMap;

/// Thousandths of a failure that a bucket has room for: as many as come back in a second.
const FULL: u64 = SIGNATURE_FAILURES_PER_SECOND * 1_000;

/// What is left of the failures that are allowed; it fills again with time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at_ms: u64,
}

impl Bucket {
    const fn new(now_ms: u64) -> Self {
        Self { left: FULL, at_ms: now_ms }
    }

    fn refill(&mut self, now_ms: u64) {
        // A clock that was set back gives nothing, and counts from there.
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        let more = passed_ms.saturating_mul(SIGNATURE_FAILURES_PER_SECOND);
        self.left = self.left.saturating_add(more).min(FULL);
        self.at_ms = now_ms;
    }
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// Of keys that somebody has failed with; full ones go when there are many.
    known: HashMap<String, Bucket>,
    unknown: Option<Bucket>,
}

impl Throttle {
    /// Whether there were too many failures with this key, or with keys that nobody knows.
    pub(super) fn is_exhausted(&mut self, key_id: Option<&str>, now_ms: u64) -> bool {
        let bucket = match key_id {
            Some(key_id) => self.known.get_mut(key_id),
            None => self.unknown.as_mut(),
        };
        bucket.is_some_and(|bucket| {
            bucket.refill(now_ms);
            bucket.left < 1_000
        })
    }

    /// Counts a failure.
    pub(super) fn failed(&mut self, key_id: Option<&str>, now_ms: u64) {
        let bucket = match key_id {
            Some(key_id) => {
                if self.known.len() >= KEYS_MAX && !self.known.contains_key(key_id) {
                    self.known.retain(|_, bucket| {
                        bucket.refill(now_ms);
                        bucket.left < FULL
                    });
                }
                self.known.entry(key_id.to_owned()).or_insert_with(|| Bucket::new(now_ms))
            }
            None => self.unknown.get_or_insert_with(|| Bucket::new(now_ms)),
        };
        bucket.refill(now_ms);
        bucket.left = bucket.left.saturating_sub(1_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    #[test]
    fn so_many_failures_a_second_and_no_more() {
        let mut throttle = Throttle::default();
        let mut failures = 0;
        for ms in 0..10_000 {
            if !throttle.is_exhausted(Some("a"), NOW + ms) {
                throttle.failed(Some("a"), NOW + ms);
                failures += 1;
            }
        }
        let (full, per_second) = (FULL / 1_000, SIGNATURE_FAILURES_PER_SECOND);
        assert!((full + 9 * per_second..=full + 10 * per_second).contains(&failures), "{failures}");
        assert!(!throttle.is_exhausted(Some("b"), NOW + 9_999), "others are not held up");
        assert!(!throttle.is_exhausted(None, NOW + 9_999));
    }

    #[test]
    fn unknown_keys_share_one_bucket_and_a_clock_set_back_gives_nothing() {
        let mut throttle = Throttle::default();
        (0..SIGNATURE_FAILURES_PER_SECOND).for_each(|_| throttle.failed(None, NOW));
        assert!(throttle.is_exhausted(None, NOW));
        assert!(throttle.is_exhausted(None, NOW - 500_000));
        assert!(throttle.is_exhausted(None, NOW - 500_000));
        assert!(!throttle.is_exhausted(None, NOW - 499_000));
    }
}
