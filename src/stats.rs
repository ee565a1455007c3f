//! The figures of one worker: counters and histograms, sent to the collector once a second and
//! merged there, so that no probe takes a lock and no reader stops a worker.

use crate::outcome::{Class, FaultCounts, Outcome};
use hdrhistogram::Histogram;
use std::time::Duration;

/// Figures of one worker over a stretch of time. Gauges (from `in_flight` on) are of its end;
/// counters and histograms are of the whole stretch.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Probes started.
    pub started: u64,
    /// Probes that passed.
    pub passed: u64,
    /// Probes that failed.
    pub failed: u64,
    /// Probes that came to a local fault.
    pub local_faults: u64,
    /// The same by cause, by place in [`crate::outcome::FAULTS`].
    pub faults: FaultCounts,
    /// Starts that fell into a running probe and were left out.
    pub skipped: u64,
    /// Reports merged into a newer one of the same target because the collector was behind.
    pub merged: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Time that the worker lost by not being run, in microseconds.
    pub lost_us: u64,
    /// Longest time from the end of one wait to the next turn, in microseconds.
    pub turn_max_us: u64,
    /// Start of a probe minus the time it was due, in microseconds.
    pub lateness_us: Histogram<u32>,
    /// Duration of passed probes, in microseconds.
    pub latency_us: Histogram<u32>,
    /// Probes in flight.
    pub in_flight: u32,
    /// Most probes in flight that are possible.
    pub in_flight_capacity: u32,
    /// Those of them that need no socket.
    pub raw_in_flight: u32,
    /// Most of those that are possible; 0 as long as there were none.
    pub raw_in_flight_capacity: u32,
    /// Slots whose operations do not come back although they were cancelled: lost to probes.
    pub slots_stuck: u32,
    /// Targets that are due and wait for a slot.
    pub backlog: u32,
    /// Whether some of them wait because there is none that they may have.
    pub slots_full: bool,
    /// Targets of the shard.
    pub targets: u32,
}

/// Highest value of the histograms: ten minutes in microseconds; what is above counts as that.
const HISTOGRAM_MAX_US: u64 = 600_000_000;

fn histogram() -> Histogram<u32> {
    // The bounds are constants that hdrhistogram documents as valid (1 <= low, high >= 2 low,
    // 0..=5).
    Histogram::new_with_bounds(1, HISTOGRAM_MAX_US, 2).expect("constant bounds are valid")
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            started: 0,
            passed: 0,
            failed: 0,
            local_faults: 0,
            faults: FaultCounts::default(),
            skipped: 0,
            merged: 0,
            turns: 0,
            lost_us: 0,
            turn_max_us: 0,
            lateness_us: histogram(),
            latency_us: histogram(),
            in_flight: 0,
            in_flight_capacity: 0,
            raw_in_flight: 0,
            raw_in_flight_capacity: 0,
            slots_stuck: 0,
            backlog: 0,
            slots_full: false,
            targets: 0,
        }
    }
}

impl Stats {
    /// Counts one start that was `lateness` late.
    pub fn start(&mut self, lateness: Duration) {
        self.started += 1;
        self.lateness_us.saturating_record(micros(lateness));
    }

    /// Counts one finished probe that took `total`.
    pub fn finish(&mut self, outcome: Outcome, total: Duration) {
        match outcome.class() {
            Class::Pass => {
                self.passed += 1;
                self.latency_us.saturating_record(micros(total));
            }
            Class::Fail => self.failed += 1,
            Class::LocalFault => self.local_faults += 1,
        }
        if let Some(fault) = outcome.fault() {
            self.faults[fault] += 1;
        }
    }

    /// Adds a later stretch of the same worker, or the same stretch of another.
    pub fn merge(&mut self, other: &Self) {
        self.started += other.started;
        self.passed += other.passed;
        self.failed += other.failed;
        self.local_faults += other.local_faults;
        self.skipped += other.skipped;
        self.merged += other.merged;
        self.turns += other.turns;
        self.lost_us += other.lost_us;
        self.turn_max_us = self.turn_max_us.max(other.turn_max_us);
        for (count, more) in self.faults.iter_mut().zip(other.faults) {
            *count += more;
        }
        // Both histograms have the same bounds, so nothing can fall outside.
        self.lateness_us.add(&other.lateness_us).expect("equal bounds");
        self.latency_us.add(&other.latency_us).expect("equal bounds");
        self.in_flight = other.in_flight;
        self.in_flight_capacity = other.in_flight_capacity;
        self.raw_in_flight = other.raw_in_flight;
        self.raw_in_flight_capacity = other.raw_in_flight_capacity;
        self.slots_stuck = other.slots_stuck;
        self.backlog = other.backlog;
        self.slots_full = other.slots_full;
        self.targets = other.targets;
    }

    /// Sets every figure back to zero, keeping memory.
    pub fn clear(&mut self) {
        self.lateness_us.reset();
        self.latency_us.reset();
        for counter in [
            &mut self.started,
            &mut self.passed,
            &mut self.failed,
            &mut self.local_faults,
            &mut self.skipped,
            &mut self.merged,
            &mut self.turns,
            &mut self.lost_us,
            &mut self.turn_max_us,
        ] {
            *counter = 0;
        }
        self.faults = FaultCounts::default();
    }
}

/// A duration in whole microseconds.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
