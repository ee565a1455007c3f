//! A worker's end of the channel to the collector: reports go out in batches by size or by delay,
//! and a collector that is behind costs neither the loop a wait nor a transition.
//!
//! A full channel makes the worker hold its reports back, the newest per target (DESIGN 6), and
//! every report that carries a transition. At [`REPORTS_HELD_MAX`] the worker starts no more
//! probes.

use crate::check::tls::Presented;
use crate::limits::{BATCH_DELAY, BATCH_REPORTS, REPORTS_HELD_MAX};
use crate::report::{Batch, Report, TargetId};
use crate::stats::Stats;
use crate::time::Instant;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use foldhash::HashMap;
use std::sync::Arc;

/// Whether a report may make way for a newer one of the same target while the channel is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Only the newest counts: the state table.
    Newest,
    /// Every one counts: the rows of a one-shot run.
    All,
}

/// Batches reports and sends them.
#[derive(Debug)]
pub struct Reporter {
    keep: Keep,
    channel: Sender<Batch>,
    spares: Receiver<Batch>,
    pending: Batch,
    /// When the pending batch goes out; none where there is nothing to send.
    due: Option<Instant>,
    /// The last batch did not fit.
    full: bool,
    /// While `full` and [`Keep::Newest`]: where each target's newest report stands in `pending`.
    places: HashMap<TargetId, usize>,
    /// Emptied figures, for [`Reporter::stats`].
    spare_stats: Option<Box<Stats>>,
    /// The collector is gone.
    closed: bool,
}

impl Reporter {
    /// A reporter of worker number `worker`; emptied batches come back through `spares`.
    #[must_use]
    pub fn new(worker: usize, keep: Keep, channel: Sender<Batch>, spares: Receiver<Batch>) -> Self {
        Self {
            keep,
            channel,
            spares,
            pending: Batch { worker, ..Batch::default() },
            due: None,
            full: false,
            places: HashMap::default(),
            spare_stats: None,
            closed: false,
        }
    }

    /// Takes one report. True where it took the place of an older one.
    pub fn push(&mut self, report: Report, now: Instant) -> bool {
        self.due.get_or_insert(now + BATCH_DELAY);
        let reports = &mut self.pending.reports;
        if self.full && self.keep == Keep::Newest {
            let place = *self.places.entry(report.target).or_insert(reports.len());
            if let Some(older) = reports.get_mut(place)
                && older.transition.is_none()
            {
                *older = report;
                return true;
            }
            self.places.insert(report.target, reports.len());
        }
        reports.push(report);
        if reports.len() >= BATCH_REPORTS && !self.full {
            self.flush(now);
        }
        false
    }

    /// Takes what a target presented of itself; bounded as reports are.
    pub fn presented(&mut self, target: TargetId, presented: Arc<Presented>, now: Instant) {
        self.due.get_or_insert(now + BATCH_DELAY);
        self.pending.presented.push((target, presented));
    }

    /// Notes that the commands of this revision have been carried out; goes out with the next
    /// batch.
    pub fn revision(&mut self, revision: u64, now: Instant) {
        self.pending.revision = revision;
        self.due.get_or_insert(now + BATCH_DELAY);
    }

    /// Takes the worker's figures over and leaves zeros.
    pub fn stats(&mut self, stats: &mut Box<Stats>, now: Instant) {
        if let Some(unsent) = &mut self.pending.stats {
            unsent.merge(stats);
        } else {
            let spare = self.spare_stats.take().unwrap_or_default();
            self.pending.stats = Some(std::mem::replace(stats, spare));
        }
        stats.clear();
        self.due.get_or_insert(now + BATCH_DELAY);
    }

    /// Sends what is pending if its time has come.
    pub fn flush_due(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.flush(now);
        }
    }

    /// When [`Reporter::flush_due`] has something to do.
    #[must_use]
    pub const fn wake(&self) -> Option<Instant> {
        self.due
    }

    /// Whether so many reports are held back that no probe should start.
    #[must_use]
    pub fn is_choked(&self) -> bool {
        if self.pending.presented.len() >= REPORTS_HELD_MAX {
            return true;
        }
        match self.keep {
            Keep::Newest => self.pending.reports.len() >= REPORTS_HELD_MAX,
            Keep::All => self.full,
        }
    }

    /// Whether the collector is gone, so that there is nobody to probe for.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Sends what is pending if there is room; else tries again one delay later.
    pub fn flush(&mut self, now: Instant) {
        if self.due.take().is_none() {
            return;
        }
        let next = self.spare();
        let batch = std::mem::replace(&mut self.pending, next);
        match self.channel.try_send(batch) {
            Ok(()) => {
                self.full = false;
                self.places.clear();
            }
            Err(TrySendError::Full(batch)) => self.hold(batch, now),
            Err(TrySendError::Disconnected(_)) => self.closed = true,
        }
    }

    /// Sends what is pending and waits for room: the last act of a worker.
    pub fn finish(mut self) {
        if self.due.is_some() {
            // A collector that is gone needs no last report.
            let _ = self.channel.send(std::mem::take(&mut self.pending));
        }
    }

    /// An empty batch, with the memory of one that came back where there is one.
    fn spare(&mut self) -> Batch {
        let mut spare = self.spares.try_recv().unwrap_or_default();
        if let Some(mut stats) = spare.stats.take() {
            stats.clear();
            self.spare_stats = Some(stats);
        }
        spare.reports.clear();
        spare.presented.clear();
        spare.worker = self.pending.worker;
        spare.revision = self.pending.revision;
        spare
    }

    fn hold(&mut self, batch: Batch, now: Instant) {
        self.pending = batch;
        self.due = Some(now + BATCH_DELAY);
        if !self.full && self.keep == Keep::Newest {
            let places = self.pending.reports.iter().enumerate();
            self.places.extend(places.map(|(place, report)| (report.target, place)));
        }
        self.full = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Observed, Transition};
    use crate::outcome::{Code, Outcome};
    use crate::report::Phases;

    fn report(target: u32, streak: i16, transition: bool) -> Report {
        let change = Transition { from: Observed::Initial, to: Observed::Healthy };
        Report {
            target: TargetId(target),
            at: Instant::ZERO,
            outcome: Outcome::plain(Code::L4Ok),
            phases: Phases::default(),
            observed: Observed::Healthy,
            streak,
            transition: transition.then_some(change),
        }
    }

    fn reporter(keep: Keep) -> (Reporter, Receiver<Batch>, Sender<Batch>) {
        let (to, from) = crossbeam_channel::bounded(1);
        let (back, spares) = crossbeam_channel::bounded(4);
        (Reporter::new(3, keep, to, spares), from, back)
    }

    fn fill(reporter: &mut Reporter) {
        reporter.push(report(9, 1, false), Instant::ZERO);
        reporter.flush(Instant::ZERO);
        assert!(!reporter.full, "one batch fits");
    }

    #[test]
    fn a_batch_goes_out_by_delay_and_by_size() {
        let (mut reporter, from, back) = reporter(Keep::Newest);
        reporter.push(report(1, 1, false), Instant::ZERO);
        reporter.flush_due(Instant::from_millis(19));
        assert!(from.try_recv().is_err());
        reporter.flush_due(Instant::from_millis(20));
        let mut batch = from.try_recv().unwrap();
        assert_eq!((batch.worker, batch.reports.len()), (3, 1));
        batch.reports.reserve(4_096);
        let memory = batch.reports.as_ptr();
        back.send(batch).unwrap();
        for target in 0..512 {
            reporter.push(report(target, 1, false), Instant::ZERO);
        }
        let batch = from.try_recv().unwrap();
        assert_eq!(batch.reports.len(), 512, "by size, not waiting for the delay");
        reporter.push(report(1, 1, false), Instant::ZERO);
        reporter.flush(Instant::ZERO);
        assert_eq!(from.try_recv().unwrap().reports.as_ptr(), memory, "memory comes back");
    }

    #[test]
    fn behind_a_full_channel_the_newest_report_and_every_transition_stay() {
        let (mut reporter, from, _back) = reporter(Keep::Newest);
        fill(&mut reporter);
        reporter.push(report(1, 1, false), Instant::ZERO);
        reporter.push(report(2, 1, true), Instant::ZERO);
        reporter.flush(Instant::ZERO);
        assert!(reporter.push(report(1, 2, false), Instant::ZERO), "newer in place of older");
        assert!(!reporter.push(report(2, 2, false), Instant::ZERO), "not in place of a transition");
        assert!(reporter.push(report(2, 3, true), Instant::ZERO));
        assert!(!reporter.push(report(2, 4, true), Instant::ZERO));
        assert!(!reporter.is_choked());
        from.try_recv().unwrap();
        reporter.flush_due(Instant::from_millis(20));
        let streaks: Vec<_> =
            from.try_recv().unwrap().reports.iter().map(|r| (r.target.0, r.streak)).collect();
        assert_eq!(streaks, [(1, 2), (2, 1), (2, 3), (2, 4)]);
    }

    #[test]
    fn a_one_shot_run_keeps_every_report_and_chokes_instead() {
        let (mut reporter, from, _back) = reporter(Keep::All);
        fill(&mut reporter);
        for streak in 1..4 {
            assert!(!reporter.push(report(1, streak, false), Instant::ZERO));
            reporter.flush(Instant::ZERO);
            assert!(reporter.is_choked());
        }
        from.try_recv().unwrap();
        reporter.flush(Instant::from_millis(20));
        assert!(!reporter.is_choked());
        assert_eq!(from.try_recv().unwrap().reports.len(), 3);
    }

    #[test]
    fn figures_that_could_not_be_sent_add_up() {
        let (mut reporter, from, _back) = reporter(Keep::Newest);
        fill(&mut reporter);
        let mut stats: Box<Stats> = Box::default();
        for _ in 0..3 {
            stats.started += 5;
            reporter.stats(&mut stats, Instant::ZERO);
            assert_eq!(stats.started, 0);
            reporter.flush(Instant::ZERO);
        }
        from.try_recv().unwrap();
        reporter.flush(Instant::ZERO);
        assert_eq!(from.try_recv().unwrap().stats.unwrap().started, 15);
    }
}
