//! The collector: drains the workers' batches into the state table, keeps sets, history and
//! figures.
//!
//! It is the table's only writer, and the one place where a new registry meets the records, so no
//! lock is needed anywhere. [`Collector`] is the logic, driven by calls with the time as an input;
//! [`Collector::run`] is the thread around it.
//!
//! Order of a reload: the registry is installed here first, then the workers get their commands. So
//! a report of a new target always finds its home; one of a target that is gone finds none, and is
//! dropped.

mod diary;
mod tally;

use crate::health::{Observed, Transition};
use crate::registry::{Group, Registry};
use crate::report::{Batch, Report, TargetId};
use crate::table::{
    Event, GroupSets, Reading, StateTable, StatsView, Verdict, View, WorkerView, shown_state,
    troubles,
};
use crate::time::{Instant, monotonic};
use crate::wall::Moment;
use crossbeam_channel::{Receiver, Sender, never, select};
use diary::Diary;
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;

/// How often the figures are published at most.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// What the control thread asks of the collector.
#[derive(Debug)]
pub enum Command {
    /// Make this the registry; answers when it is published.
    Install(Arc<Registry>, Sender<Result<(), TableFull>>),
    /// What is known of these targets is remembered from before this run. For targets of the
    /// registry that no worker has heard of yet; answers when it is in the table.
    Restore(Vec<(TargetId, Reading)>, Sender<()>),
    /// These events are from before this run, and those to come have seqs behind this; answers when
    /// they are in the history. Once, before the first report.
    Recall(Vec<Event>, u64, Sender<()>),
    /// Take in what is in the channel, and end.
    Stop,
}

/// The registry uses more ids than the table has places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{ids} target ids with those that drain, the state table has {capacity}; wait until they have \
     drained, or raise engine.max_targets and restart"
)]
pub struct TableFull {
    /// Ids of the registry.
    pub ids: usize,
    /// Places of the table.
    pub capacity: usize,
}

/// See the module's head.
#[derive(Debug)]
pub struct Collector {
    table: Arc<StateTable>,
    view: Arc<View>,
    /// By group: its name, shared by its events; none before the first of them.
    names: Vec<Option<Arc<str>>>,
    /// By worker.
    tallies: Vec<Tally>,
    heard: Vec<Heard>,
    diary: Diary,
    published: Instant,
    /// Which chunk of targets is looked through next for those that are gone.
    swept: usize,
}

/// What a worker last said of itself.
#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Instant,
    revision: u64,
}

impl Collector {
    /// The writer of `table`, for `workers` workers that are about to start.
    #[must_use]
    pub fn new(table: Arc<StateTable>, workers: usize, now: Instant) -> Self {
        let mut collector = Self {
            view: table.view(),
            table,
            names: Vec::new(),
            tallies: (0..workers).map(|_| Tally::new(now)).collect(),
            heard: vec![Heard { at: now, revision: 0 }; workers],
            diary: Diary::default(),
            published: now,
            swept: 0,
        };
        collector.publish(now);
        collector
    }

    /// Takes a batch in; gives it back without reports, and with the figures' memory as it came,
    /// for the worker to use again.
    pub fn apply(&mut self, mut batch: Batch, now: Instant) -> Batch {
        let view = Arc::clone(&self.view);
        for report in &batch.reports {
            self.take(&view, report);
        }
        batch.reports.clear();
        for (target, presented) in batch.presented.drain(..) {
            for &follower in view.registry.twins.followers(target) {
                self.table.present(follower, Arc::clone(&presented));
            }
            // Of a target that is gone nobody wants to know.
            if view.registry.homes.get(target).is_some() {
                self.table.present(target, presented);
            }
        }
        if let Some(heard) = self.heard.get_mut(batch.worker) {
            *heard = Heard { at: now, revision: batch.revision.max(heard.revision) };
            self.table.publish_taken_up(self.taken_up_revision());
        }
        if let (Some(stats), Some(tally)) = (&batch.stats, self.tallies.get_mut(batch.worker)) {
            tally.add(stats, now);
        }
        self.tick(now);
        batch
    }

    /// Publishes the figures if that is due.
    pub fn tick(&mut self, now: Instant) {
        if now.since(self.published) >= PUBLISH_EVERY {
            self.publish(now);
        }
    }

    /// The registry revision that every worker has carried out.
    #[must_use]
    pub fn taken_up_revision(&self) -> u64 {
        self.heard.iter().map(|heard| heard.revision).min().unwrap_or(0)
    }

    /// Makes `registry` the one that all readers see. A target that it shares with the one before
    /// keeps its record; one that is new, or that was not probed before, begins anew.
    ///
    /// # Errors
    /// Where the registry uses more ids than the table has places; then nothing has changed.
    pub fn install(&mut self, registry: Arc<Registry>, now: Instant) -> Result<(), TableFull> {
        let (ids, capacity) = (registry.homes.bound(), self.table.capacity());
        if !self.table.reserve(ids) {
            return Err(TableFull { ids, capacity });
        }
        let old = Arc::clone(&self.view);
        let sets = registry.groups.iter().enumerate();
        let sets = sets
            .map(|(place, group)| {
                self.kept(place, group)
                    .unwrap_or_else(|| Arc::new(self.sets_of(group, &registry, &old.registry, now)))
            })
            .collect();
        self.names.clear();
        self.names.resize(registry.groups.len(), None);
        self.view = Arc::new(View { registry, sets, installed: now });
        self.table.publish_view(Arc::clone(&self.view));
        Ok(())
    }

    /// Takes over what is remembered of targets: no transition, as nothing has changed.
    pub fn restore(&mut self, known: &[(TargetId, Reading)]) {
        for &(target, ref known) in known {
            let View { registry, sets, .. } = &*self.view;
            let Some((group, position)) = registry.home(target) else { continue };
            if !group.is_probed(position) {
                continue;
            }
            let before = self.table.verdict(target);
            self.table.restore(target, known);
            let Some(sets) = registry.homes.get(target).map(|home| &sets[home.group as usize])
            else {
                continue;
            };
            let shows = |observed| Some(shown_state(group, position, observed));
            sets.set_state(position, shows(before.observed), shows(known.verdict.observed));
            let code = |verdict: &Verdict| verdict.outcome.map(|outcome| outcome.code);
            sets.set_code(position, code(&before), code(&known.verdict));
        }
    }

    /// Runs until [`Command::Stop`], or until whoever sends commands is gone. Emptied batches go
    /// back through `recycle`, by worker, unless that is full.
    pub fn run(
        mut self,
        batches: &Receiver<Batch>,
        recycle: &[Sender<Batch>],
        commands: &Receiver<Command>,
    ) {
        let take_in = |collector: &mut Self, batch: Batch| {
            let batch = collector.apply(batch, monotonic());
            if let Some(worker) = recycle.get(batch.worker) {
                // A full channel has batches enough, and a closed one belongs to a worker that
                // ended.
                drop(worker.try_send(batch));
            }
        };
        let no_batches = never();
        let mut open = batches;
        loop {
            select! {
                recv(commands) -> command => match command {
                    Ok(Command::Install(registry, done)) => {
                        // Whoever asked may have gone meanwhile; the registry is in force all the
                        // same.
                        let _ = done.send(self.install(registry, monotonic()));
                    }
                    Ok(Command::Restore(known, done)) => {
                        self.restore(&known);
                        let _ = done.send(());
                    }
                    Ok(Command::Recall(events, newest_seq, done)) => {
                        self.table.history().restore(events, newest_seq);
                        let _ = done.send(());
                    }
                    Ok(Command::Stop) | Err(_) => break,
                },
                recv(open) -> batch => match batch {
                    Ok(batch) => take_in(&mut self, batch),
                    Err(_) => open = &no_batches,
                },
                default(PUBLISH_EVERY) => self.tick(monotonic()),
            }
        }
        for batch in batches.try_iter() {
            take_in(&mut self, batch);
        }
        self.publish(monotonic());
    }

    fn take(&mut self, view: &View, report: &Report) {
        self.take_one(view, report);
        for &target in view.registry.twins.followers(report.target) {
            self.take_one(view, &Report { target, ..*report });
        }
    }

    fn take_one(&mut self, view: &View, report: &Report) {
        // An id that is not in use has no home.
        let Some(home) = view.registry.homes.get(report.target) else { return };
        let (place, position) = (home.group as usize, home.position as usize);
        let (group, sets) = (&view.registry.groups[place], &view.sets[place]);
        let before = self.table.verdict(report.target);
        if before.observed == report.observed {
            self.table.write(report, before.since);
        } else if group.is_probed(position) {
            self.table.write(report, report.at.into());
            let from = shown_state(group, position, before.observed);
            let to = shown_state(group, position, report.observed);
            sets.set_state(position, Some(from), Some(to));
            self.remember(report, before.observed, group, place, position);
        } else {
            return; // a late report of a target that is no longer probed
        }
        let code = before.outcome.map(|outcome| outcome.code);
        if code != Some(report.outcome.code) {
            sets.set_code(position, code, Some(report.outcome.code));
        }
    }

    fn remember(
        &mut self,
        report: &Report,
        from: Observed,
        group: &Group,
        place: usize,
        position: usize,
    ) {
        let name = self.names[place].get_or_insert_with(|| group.config.name.as_str().into());
        self.table.history().push(Event {
            seq: 0,
            at: report.at.into(),
            target: report.target,
            group: Arc::clone(name),
            id: group.members.own_id(position).map(Into::into),
            endpoint: group.members.endpoints[position],
            transition: Transition { from, to: report.observed },
            outcome: report.outcome,
        });
    }

    /// The sets of a group that is the very one of before, which are right already.
    fn kept(&self, place: usize, group: &Arc<Group>) -> Option<Arc<GroupSets>> {
        let groups = &self.view.registry.groups;
        // Groups seldom move, and only down, when one before them is deleted.
        let same = |at: &usize| groups.get(*at).is_some_and(|old| Arc::ptr_eq(old, group));
        let at = Some(place).filter(same);
        let at = at.or_else(|| self.view.registry.places.named(&group.config.name).filter(same))?;
        self.view.sets.get(at).map(Arc::clone)
    }

    /// The sets of a group from its records; resets those that begin anew. One that is new and
    /// follows another has what is known of that one.
    fn sets_of(&self, group: &Group, next: &Registry, old: &Registry, now: Instant) -> GroupSets {
        let sets = GroupSets::new(group.members.len());
        for (position, target) in group.members.targets().enumerate() {
            let verdict = if !begins_anew(group, position, target, old) {
                self.table.verdict(target)
            } else if let Some(leader) = known_leader(target, next, old) {
                self.table.copy(leader, target);
                self.table.verdict(target)
            } else {
                self.table.reset(target, Observed::Initial, now.into());
                Verdict { observed: Observed::Initial, outcome: None, since: Moment::from(now) }
            };
            let shows = |group, position| shown_state(group, position, verdict.observed);
            let state = shows(group, position);
            // The registry alone can change what is shown: registered with a leader that is known,
            // deregistered, weight 0, checks off.
            if old.home(target).is_none_or(|(old, before)| shows(old, before) != state) {
                self.table.restamp(target, now.into());
            }
            sets.set_state(position, None, Some(state));
            sets.set_code(position, None, verdict.outcome.map(|outcome| outcome.code));
        }
        sets
    }

    fn publish(&mut self, now: Instant) {
        let figures: Vec<_> = self.tallies.iter().map(|tally| tally.figures(now)).collect();
        let total = tally::total(&self.tallies, &figures, now);
        let workers = figures.into_iter().zip(&self.heard);
        let workers = workers.map(|(figures, heard)| WorkerView { figures, seen: heard.at });
        let stats = StatsView { at: now, total, workers: workers.collect() };
        self.diary.tell(&troubles(&stats, now), now);
        self.table.publish_stats(Arc::new(stats));
        self.published = now;
        let homes = &self.view.registry.homes;
        self.swept = self.table.sweep(self.swept, |target| homes.get(target).is_some());
    }
}

/// Whom `target` follows from now on, where that one has been probed before.
fn known_leader(target: TargetId, next: &Registry, old: &Registry) -> Option<TargetId> {
    next.twins.leader(target).filter(|&leader| old.is_led(leader))
}

/// Whether `target`, the member at `position`, starts without a past: it is new, or was not probed.
fn begins_anew(group: &Group, position: usize, target: TargetId, old: &Registry) -> bool {
    old.home(target).is_none_or(|(old_group, old_position)| {
        group.is_probed(position) && !old_group.is_probed(old_position)
    })
}

#[cfg(test)]
mod tests;
