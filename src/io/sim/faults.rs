//! What goes wrong in the checker itself: at set times, by chance, or both.
//!
//! None of it is a target's doing, so none of it may ever show as a target's failure.

use crate::rng::Rng;
use crate::time::{Instant, nanos};
use nix::errno::Errno;
use std::time::Duration;

/// One thing that goes wrong. Durations are the longest; each time one is drawn below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A connect fails at once with this errno, before any packet leaves.
    Connect(Errno),
    /// A connect's packets never leave: the host drops them, and counts that.
    Dropped,
    /// There is room for at most this many connects until the next wait; 0: the ring is full.
    Room(usize),
    /// A wait returns late.
    Oversleep(Duration),
    /// A wait begins late: the worker is not run between its last reading of the clock and the wait
    /// that carries out what it queued.
    Held(Duration),
    /// The worker is not run between two of its own steps: a reading of the clock jumps.
    Pause(Duration),
    /// A completion comes later than what it tells.
    Late(Duration),
    /// A wait brings at most this many completions, the rest waits for the next one.
    Batch(usize),
    /// A cancel is overlooked: its operation stays in flight.
    Deaf,
    /// There is no buffer for a receive: `ENOBUFS`, and the bytes stay.
    NoBuffer,
}

/// When a fault happens.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// From this instant on.
    pub from: Instant,
    /// Before this one.
    pub to: Instant,
    /// In how many of how many cases.
    pub chance: (u64, u64),
    /// What happens.
    pub fault: Fault,
}

/// All faults of one run.
#[derive(Clone, Debug, Default)]
pub struct Faults(Vec<Window>);

impl Faults {
    /// None at all.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Adds one that happens the whole time in `numerator` of `denominator` cases.
    #[must_use]
    pub fn chance(self, fault: Fault, numerator: u64, denominator: u64) -> Self {
        let to = Instant::from_nanos(u64::MAX);
        self.window(Window { from: Instant::ZERO, to, chance: (numerator, denominator), fault })
    }

    /// Adds one that always happens between two instants.
    #[must_use]
    pub fn between(self, fault: Fault, from: Instant, to: Instant) -> Self {
        self.window(Window { from, to, chance: (1, 1), fault })
    }

    /// Adds one.
    #[must_use]
    pub fn window(mut self, window: Window) -> Self {
        self.0.push(window);
        self
    }

    /// The first of the faults that `pick` wants which happens now.
    fn roll<T>(&self, now: Instant, rng: &mut Rng, pick: impl Fn(Fault) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(|window| {
            let wanted = pick(window.fault)?;
            let open = window.from <= now && now < window.to;
            (open && rng.chance(window.chance.0, window.chance.1)).then_some(wanted)
        })
    }

    pub(super) fn connect(&self, now: Instant, rng: &mut Rng) -> Option<Errno> {
        self.roll(
            now,
            rng,
            |fault| if let Fault::Connect(errno) = fault { Some(errno) } else { None },
        )
    }

    pub(super) fn dropped(&self, now: Instant, rng: &mut Rng) -> bool {
        self.roll(now, rng, |fault| (fault == Fault::Dropped).then_some(())).is_some()
    }

    pub(super) fn room(&self, now: Instant, rng: &mut Rng) -> Option<usize> {
        self.roll(now, rng, |fault| if let Fault::Room(most) = fault { Some(most) } else { None })
    }

    pub(super) fn deaf(&self, now: Instant, rng: &mut Rng) -> bool {
        self.roll(now, rng, |fault| (fault == Fault::Deaf).then_some(())).is_some()
    }

    pub(super) fn no_buffer(&self, now: Instant, rng: &mut Rng) -> bool {
        self.roll(now, rng, |fault| (fault == Fault::NoBuffer).then_some(())).is_some()
    }

    pub(super) fn oversleep(&self, now: Instant, rng: &mut Rng) -> Option<Duration> {
        let most = self.roll(now, rng, |fault| {
            if let Fault::Oversleep(most) = fault { Some(most) } else { None }
        })?;
        Some(below(most, rng))
    }

    pub(super) fn held(&self, now: Instant, rng: &mut Rng) -> Option<Duration> {
        let most =
            self.roll(
                now,
                rng,
                |fault| {
                    if let Fault::Held(most) = fault { Some(most) } else { None }
                },
            )?;
        Some(below(most, rng))
    }

    pub(super) fn pause(&self, now: Instant, rng: &mut Rng) -> Option<Duration> {
        let most =
            self.roll(
                now,
                rng,
                |fault| if let Fault::Pause(most) = fault { Some(most) } else { None },
            )?;
        Some(below(most, rng))
    }

    pub(super) fn late(&self, now: Instant, rng: &mut Rng) -> Option<Duration> {
        let most =
            self.roll(
                now,
                rng,
                |fault| if let Fault::Late(most) = fault { Some(most) } else { None },
            )?;
        Some(below(most, rng))
    }

    pub(super) fn batch(&self, now: Instant, rng: &mut Rng) -> Option<usize> {
        self.roll(
            now,
            rng,
            |fault| if let Fault::Batch(most) = fault { Some(most.max(1)) } else { None },
        )
    }
}

const fn below(most: Duration, rng: &mut Rng) -> Duration {
    Duration::from_nanos(rng.below(nanos(most)) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_keeps_to_its_window_and_its_chance() {
        let at = Instant::from_millis;
        let faults = Faults::none().between(Fault::Connect(Errno::EMFILE), at(10), at(20)).chance(
            Fault::Room(0),
            1,
            4,
        );
        let mut rng = Rng::new(1);
        assert_eq!(faults.connect(at(9), &mut rng), None);
        assert_eq!(faults.connect(at(10), &mut rng), Some(Errno::EMFILE));
        assert_eq!(faults.connect(at(20), &mut rng), None);
        let full = (0..1_000).filter(|_| faults.room(at(0), &mut rng).is_some()).count();
        assert!((180..320).contains(&full), "{full}");
        assert!(!faults.no_buffer(at(15), &mut rng));
    }
}
