//! The engine's own figures as readers see them: totals since the start, and the last minute.

use crate::limits::OVERLOADED_LATENESS;
use crate::outcome::FaultCounts;
use crate::stats::micros;
use crate::time::Instant;
use hdrhistogram::Histogram;
use std::time::Duration;

/// A worker (or the collector) that was not heard of for longer than this is stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(5);

/// Percentiles in microseconds; zeros where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Percentiles {
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

impl Percentiles {
    /// The percentiles of `histogram`, as precise as its buckets.
    #[must_use]
    pub fn of(histogram: &Histogram<u32>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.50),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

/// Figures of one worker, or of all together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Probes started, since the start; so are all counters.
    pub started: u64,
    /// Probes that passed.
    pub passed: u64,
    /// Probes that failed.
    pub failed: u64,
    /// Probes that came to a local fault.
    pub local_faults: u64,
    /// The same by cause, by place in [`crate::outcome::FAULTS`].
    pub faults: FaultCounts,
    /// The same over the last minute.
    pub recent_faults: FaultCounts,
    /// Starts that fell into a running probe, or were due while one waited, and were left out.
    pub skipped: u64,
    /// Reports merged into a newer one of the same target.
    pub merged: u64,
    /// Time lost by not being run, in microseconds.
    pub lost_us: u64,
    /// Probes started per second, over the last seconds.
    pub per_second: f64,
    /// Start of a probe minus the time it was due, over the last minute.
    pub lateness_us: Percentiles,
    /// Duration of passed probes, over the last minute.
    pub latency_us: Percentiles,
    /// Longest turn of the loop over the last minute, waiting left out, in microseconds.
    pub turn_max_us: u64,
    /// The last ten to twenty seconds.
    pub lately: Lately,
    /// Probes in flight.
    pub in_flight: u64,
    /// Most probes in flight that are possible.
    pub in_flight_capacity: u64,
    /// Those of them that need no socket.
    pub raw_in_flight: u64,
    /// Most of those that are possible; 0 as long as there were none.
    pub raw_in_flight_capacity: u64,
    /// Slots whose operations do not come back although they were cancelled: lost to probes.
    pub slots_stuck: u64,
    /// Targets that are due and wait for a slot.
    pub backlog: u64,
    /// Whether some of them wait because there is no slot that they may have.
    pub slots_full: bool,
    /// Targets that are probed.
    pub targets: u64,
}

/// Figures of the last ten to twenty seconds: what is wrong now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lately {
    /// Probes started.
    pub started: u64,
    /// Starts that were left out.
    pub skipped: u64,
    /// Probes that came to a local fault.
    pub local_faults: u64,
    /// Reports merged.
    pub merged: u64,
    /// Time lost by not being run, in microseconds.
    pub lost_us: u64,
    /// Lateness that 99 % of the starts stayed below, in microseconds.
    pub lateness_p99_us: u64,
}

/// One worker.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkerView {
    /// Its figures.
    pub figures: Figures,
    /// When it was last heard of; when the collector began, before that.
    pub seen: Instant,
}

impl WorkerView {
    /// Whether it was not heard of for too long.
    #[must_use]
    pub fn is_stuck(&self, now: Instant) -> bool {
        now.since(self.seen) > STUCK_AFTER
    }
}

/// All figures at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatsView {
    /// When they were put together.
    pub at: Instant,
    /// All workers together.
    pub total: Figures,
    /// By worker.
    pub workers: Vec<WorkerView>,
}

impl StatsView {
    /// Whether probes start too late to mean what they say.
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        self.total.lately.lateness_p99_us > micros(OVERLOADED_LATENESS)
    }

    /// Whether these figures are so old that the collector itself must be stuck.
    #[must_use]
    pub fn is_stale(&self, now: Instant) -> bool {
        now.since(self.at) > STUCK_AFTER
    }
}
