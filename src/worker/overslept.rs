//! How much of a stop is not given back to the deadlines of the probes in flight.
//!
//! Every turn takes some time and every sleep ends a little late, so a stop counts only beyond a
//! bound. It is [`OVERSLEPT`], or less where a timeout is so short that this would be most of it.

use crate::limits::OVERSLEPT;
use std::time::Duration;

/// A stop beyond the bound may take a timeout's last part of so many.
const PARTS: u32 = 5;

/// The bound, by the shortest timeout so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overslept(Duration);

impl Overslept {
    /// The bound where no timeout is short.
    #[must_use]
    pub(super) const fn new() -> Self {
        Self(OVERSLEPT)
    }

    /// Probes with this timeout may come.
    pub(super) fn expect(&mut self, timeout: Duration) {
        self.0 = self.0.min(timeout / PARTS);
    }

    /// What a turn, or the end of a sleep, may take.
    #[must_use]
    pub(super) const fn most(self) -> Duration {
        self.0
    }
}
