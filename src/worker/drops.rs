//! Whether the host may have dropped a probe's packets by itself ([`Io::dropped`]).
//!
//! The counter is read once a second and whenever a probe has run out of time, so all that is known
//! of a loss is that it was between two readings. It is held to have been at the later one: a probe
//! that started between them is excused though its packets may have left, never the other way.
//!
//! [`Io::dropped`]: crate::io::Io::dropped

use crate::time::Instant;

/// What is known of the counter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drops {
    seen: u64,
    /// The last reading that found it changed.
    found: Option<Instant>,
}

impl Drops {
    /// The counter stands at `dropped`; nothing is known of when it came to that.
    pub(super) const fn new(dropped: u64) -> Self {
        Self { seen: dropped, found: None }
    }

    /// Takes a reading in.
    pub(super) fn read(&mut self, dropped: u64, now: Instant) {
        if dropped != self.seen {
            *self = Self { seen: dropped, found: Some(now) };
        }
    }

    /// Whether packets may have been dropped after `started`.
    pub(super) fn since(&self, started: Instant) -> bool {
        self.found.is_some_and(|found| found >= started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_lost_since_the_start_counts() {
        let at = Instant::from_millis;
        let mut drops = Drops::new(7);
        assert!(!drops.since(at(0)));
        drops.read(7, at(1_000));
        assert!(!drops.since(at(0)));
        drops.read(8, at(2_000));
        drops.read(8, at(3_000));
        assert!(drops.since(at(0)) && drops.since(at(1_500)), "nobody knows when it was");
        assert!(!drops.since(at(2_001)));
        drops.read(0, at(4_000));
        assert!(drops.since(at(3_500)), "a counter that began anew has counted");
    }
}
