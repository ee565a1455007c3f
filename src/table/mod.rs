//! The state table: what is known of every target, in 24 bytes each, read without locks.
//!
//! The collector is the only writer; the API and everybody else read. Records lie in chunks that
//! never move and are allocated when an id in them is first used. What hangs together (registry and
//! group sets) is published as one [`View`]: a reader that holds a view sees positions and sets
//! that fit. A view that was replaced stays readable, but is no longer kept up.

mod history;
mod presented;
mod record;
mod sets;
mod shown_state;
mod stats_view;
mod trouble;

pub use history::{Event, History};
pub use record::{Failure, LastProbe, Reading, Verdict};
pub use sets::{Filter, GroupSets, Positions, StateMask};
pub use shown_state::{Shown, ShownState, explain, explain_absent, shown_state};
pub use stats_view::{Figures, Lately, Percentiles, STUCK_AFTER, StatsView, WorkerView};
pub use trouble::{Trouble, troubles};

use crate::check::tls::Presented;
use crate::health::Observed;
use crate::registry::{Group, Registry};
use crate::report::{Report, TargetId};
use crate::time::Instant;
use crate::wall::Moment;
use arc_swap::ArcSwap;
use presented::PresentedByTarget;
use record::Record;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Records of one chunk: 96 KiB.
const CHUNK: usize = 4_096;

/// Registry and group sets that belong together.
#[derive(Debug, Default)]
pub struct View {
    /// All targets.
    pub registry: Arc<Registry>,
    /// By place in `registry.groups`.
    pub sets: Vec<Arc<GroupSets>>,
    /// When it was installed.
    pub installed: Instant,
}

impl View {
    /// The group called `name`, or whose id that is, with its sets.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<(&Arc<Group>, &Arc<GroupSets>)> {
        let place = self.registry.places.of(name)?;
        Some((self.registry.groups.get(place)?, self.sets.get(place)?))
    }
}

/// See the module's head.
#[derive(Debug)]
pub struct StateTable {
    epoch: Instant,
    capacity: usize,
    chunks: Box<[OnceLock<Box<[Record]>>]>,
    presented: PresentedByTarget,
    history: History,
    view: ArcSwap<View>,
    stats: ArcSwap<StatsView>,
    taken_up: AtomicU64,
}

impl StateTable {
    /// A table for ids below `capacity`, that counts time from `epoch`.
    #[must_use]
    pub fn new(capacity: usize, epoch: Instant) -> Self {
        Self {
            epoch,
            capacity,
            chunks: (0..capacity.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect(),
            presented: PresentedByTarget::new(capacity),
            history: History::default(),
            view: ArcSwap::from_pointee(View { installed: epoch, ..View::default() }),
            stats: ArcSwap::from_pointee(StatsView { at: epoch, ..StatsView::default() }),
            taken_up: AtomicU64::new(0),
        }
    }

    /// Ids that the table has places for: those below this.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// All that is known of `target`.
    #[must_use]
    pub fn read(&self, target: TargetId) -> Reading {
        self.record(target)
            .map_or_else(|| Record::default().read(self.epoch), |record| record.read(self.epoch))
    }

    /// The verdict on `target` alone; cheaper than [`StateTable::read`].
    #[must_use]
    pub fn verdict(&self, target: TargetId) -> Verdict {
        self.record(target).map_or_else(
            || Record::default().verdict(self.epoch),
            |record| record.verdict(self.epoch),
        )
    }

    /// What `target` presented of itself in its last TLS handshake; none where there was none.
    #[must_use]
    pub fn presented(&self, target: TargetId) -> Option<Arc<Presented>> {
        self.presented.get(target)
    }

    /// The last transitions.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// Registry and sets as they are now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// The engine's figures, at most a second old while the collector runs.
    #[must_use]
    pub fn stats(&self) -> Arc<StatsView> {
        self.stats.load_full()
    }

    /// The registry revision that every worker has carried out.
    #[must_use]
    pub fn taken_up_revision(&self) -> u64 {
        self.taken_up.load(Ordering::Acquire)
    }

    /// Whether the workers have taken up a target of `view` with this verdict: one that is new in a
    /// registry which not every worker has carried out has not been.
    #[must_use]
    pub fn is_taken_up(&self, view: &View, verdict: &Verdict) -> bool {
        verdict.outcome.is_some()
            || verdict.since < Moment::from(view.installed)
            || self.taken_up_revision() >= view.registry.revision
    }

    /// Allocates the chunks of all ids below `bound`; false where that is above the capacity.
    pub(crate) fn reserve(&self, bound: usize) -> bool {
        for chunk in self.chunks.iter().take(bound.div_ceil(CHUNK)) {
            chunk.get_or_init(|| (0..CHUNK).map(|_| Record::default()).collect());
        }
        bound <= self.capacity
    }

    /// Takes a report in. For the writer only, like all that follows.
    pub(crate) fn write(&self, report: &Report, since: Moment) {
        if let Some(record) = self.record(report.target) {
            record.write(report, since, self.epoch);
        }
    }

    /// Takes in what `target` presented of itself.
    pub(crate) fn present(&self, target: TargetId, presented: Arc<Presented>) {
        self.presented.set(target, Some(presented));
    }

    /// Looks at one chunk of targets, the next each time, and forgets what those presented that are
    /// gone. Returns which chunk is next.
    pub(crate) fn sweep(&self, chunk: usize, is_known: impl Fn(TargetId) -> bool) -> usize {
        self.presented.sweep(chunk, is_known)
    }

    /// Forgets all of `target` but `observed`.
    pub(crate) fn reset(&self, target: TargetId, observed: Observed, since: Moment) {
        if let Some(record) = self.record(target) {
            record.reset(observed, since, self.epoch);
        }
        self.presented.set(target, None);
    }

    /// Makes `target` known as `leader` is.
    pub(crate) fn copy(&self, leader: TargetId, target: TargetId) {
        if let Some((leader, target)) = self.record(leader).zip(self.record(target)) {
            target.copy(leader);
        }
        self.presented.set(target, self.presented.get(leader));
    }

    /// Takes over what is remembered of `target` from before this run.
    pub(crate) fn restore(&self, target: TargetId, known: &Reading) {
        if let Some(record) = self.record(target) {
            record.restore(known, self.epoch);
        }
    }

    /// What `target` shows has changed, and nothing else.
    pub(crate) fn restamp(&self, target: TargetId, since: Moment) {
        if let Some(record) = self.record(target) {
            record.restamp(since, self.epoch);
        }
    }

    pub(crate) fn publish_view(&self, view: Arc<View>) {
        self.view.store(view);
    }

    pub(crate) fn publish_stats(&self, stats: Arc<StatsView>) {
        self.stats.store(stats);
    }

    pub(crate) fn publish_taken_up(&self, revision: u64) {
        self.taken_up.store(revision, Ordering::Release);
    }

    fn record(&self, target: TargetId) -> Option<&Record> {
        self.chunks.get(target.index() / CHUNK)?.get()?.get(target.index() % CHUNK)
    }
}
