//! What a worker tells of its probes: fixed-size reports, many to a batch, buffers recycled.

use crate::check::tls::Presented;
use crate::health::{Observed, Transition};
use crate::outcome::Outcome;
use crate::stats::Stats;
use crate::time::Instant;
use std::sync::Arc;

/// A target's place in the state table: dense, reused only when no report of the former owner can
/// be on its way any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub u32);

impl TargetId {
    /// The id as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Times of one probe, in microseconds from its start; none where the phase was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// The connection stood.
    pub connect_us: Option<u32>,
    /// The TLS handshake was done.
    pub tls_us: Option<u32>,
    /// The first byte of the response came.
    pub first_byte_us: Option<u32>,
    /// The probe was over.
    pub total_us: u32,
}

/// One finished probe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Whose.
    pub target: TargetId,
    /// When it was over.
    pub at: Instant,
    /// What came of it.
    pub outcome: Outcome,
    /// How long its phases took.
    pub phases: Phases,
    /// The observed state after it.
    pub observed: Observed,
    /// Consecutive passes (positive) or failures (negative) after it.
    pub streak: i16,
    /// The change of state that it brought.
    pub transition: Option<Transition>,
}

/// Reports on their way from one worker to the collector. The vector is recycled.
#[derive(Debug, Default)]
pub struct Batch {
    /// Which worker.
    pub worker: usize,
    /// The last registry revision whose commands the worker had carried out before these reports.
    pub revision: u64,
    /// In the order in which the probes ended.
    pub reports: Vec<Report>,
    /// What targets presented of themselves that had not presented it before.
    pub presented: Vec<(TargetId, Arc<Presented>)>,
    /// The worker's figures since it last sent them, once a second.
    pub stats: Option<Box<Stats>>,
}
