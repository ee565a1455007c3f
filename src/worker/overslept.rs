//! How much of a stop is not given back to the deadlines of the probes in flight.
//!
//! Every turn takes some time and every sleep ends a little late, so a stop counts only beyond a
//! bound. It is [`OVERSLEPT`], or less where a timeout is so short that this would be most of it.

use super::recipes::Least;
use crate::limits::OVERSLEPT;
use std::time::Duration;

/// A stop beyond the bound may take a timeout's last part of so many.
const PARTS: u32 = 5;

/// What a turn, or the end of a sleep, may take.
pub(super) fn bound(least: Least) -> Duration {
    OVERSLEPT.min(least.timeout / PARTS)
}
