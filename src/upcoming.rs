//! When each worker means to act next: so that whoever can wait sees that a worker is behind, and
//! leaves the core to it.
//!
//! A worker writes one number a turn, without a lock; nobody waits for anybody here. What is read
//! may be a moment old, and no decision but a short wait may follow from it.

use crate::time::Instant;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// See the module's head. Without workers, nobody is ever behind.
#[derive(Debug, Default)]
pub struct Upcoming(Box<[AtomicU64]>);

/// Of a worker that has not begun.
const NEVER: u64 = u64::MAX;

impl Upcoming {
    /// For so many workers, none of which has begun.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| AtomicU64::new(NEVER)).collect())
    }

    /// `worker` means to act at `instant`, or meant to.
    pub fn set(&self, worker: usize, instant: Instant) {
        if let Some(next) = self.0.get(worker) {
            next.store(instant.as_nanos(), Ordering::Relaxed);
        }
    }

    /// By how much that worker is behind which is most.
    #[must_use]
    pub fn behind(&self, now: Instant) -> Duration {
        let instants = self.0.iter().map(|next| next.load(Ordering::Relaxed));
        let first = Instant::from_nanos(instants.min().unwrap_or(NEVER));
        now.since(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_most_behind_counts() {
        let (at, ms) = (Instant::from_millis, Duration::from_millis);
        let upcoming = Upcoming::new(2);
        assert_eq!(upcoming.behind(at(1_000)), ms(0), "before anybody has begun");
        upcoming.set(0, at(900));
        assert_eq!(upcoming.behind(at(1_000)), ms(100));
        upcoming.set(1, at(700));
        assert_eq!(upcoming.behind(at(1_000)), ms(300));
        upcoming.set(1, at(2_000));
        upcoming.set(2, at(0));
        assert_eq!(upcoming.behind(at(1_000)), ms(100));
        assert_eq!(upcoming.behind(at(800)), ms(0));
        assert_eq!(Upcoming::default().behind(at(1_000)), ms(0));
    }
}
