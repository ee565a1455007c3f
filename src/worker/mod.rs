//! One core of the engine: a worker owns its shard outright (schedule, health, probe slots, world),
//! so there are no locks and a target's state has a single writer.
//!
//! The loop of one turn: take commands, start what is due, submit and wait once, handle what
//! completed, expire deadlines, report. The worker knows the [`Io`] trait and never the ring; the
//! whole of it runs on the simulator.
//!
//! Invariants:
//! - A target waits in the schedule or has exactly one probe in a slot, never both.
//! - Completions are handled before deadlines are judged, and deadlines run on a clock that stands
//!   still while the worker is not run, so that its own lateness is never held against a target.
//! - A slot is given back only when none of its operations is in flight.

pub mod command;
mod drops;
mod excuses;
mod pace;
mod probes;
pub mod reporter;
mod shard;
mod slots;
mod starts;
mod window;

pub use command::Command;
pub use reporter::{Keep, Reporter};

use crate::io::{Completion, Io, IoError};
use crate::limits::{OVERSLEPT, SLEEP_MAX, STOP_GRACE};
use crate::outcome::Outcome;
use crate::recipe::Recipe;
use crate::registry::{Addition, GroupKey};
use crate::report::{Phases, TargetId};
use crate::schedule::{Due, First, Schedule};
use crate::stats::Stats;
use crate::time::Instant;
use crate::wheel::Wheel;
use crossbeam_channel::{Receiver, TryRecvError};
use drops::Drops;
use excuses::Excuses;
use foldhash::HashSet;
use pace::Pace;
use shard::Shard;
use slots::{Slots, State};
use starts::Blocked;
use std::rc::Rc;
use std::time::Duration;

/// How a worker runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Probes of each target; none: for ever, at its interval.
    pub rounds: Option<u32>,
    /// Starts per second at most; none: as many as can be.
    pub rate: Option<f64>,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// Call [`Worker::turn`] again.
    Continue,
    /// Everything has been done; call [`Worker::finish`].
    Done,
}

/// One worker.
pub struct Worker<I: Io> {
    io: I,
    options: Options,
    commands: Receiver<Command>,
    /// By [`GroupKey`].
    recipes: Vec<Option<Rc<Recipe>>>,
    shard: Shard,
    schedule: Schedule,
    slots: Slots,
    /// Deadlines of the probes in flight, by slot, on the clock of [`Worker::run_tick`].
    deadlines: Wheel,
    pace: Pace,
    /// No probe is started before this, so that they start in batches.
    next_batch: Instant,
    excuses: Excuses,
    reporter: Reporter,
    stats: Box<Stats>,
    stats_due: Instant,
    origin: Instant,
    /// Time lost by not being run: what deadlines are moved by.
    lost: Duration,
    /// When this turn's completions were taken.
    now: Instant,
    completions: Vec<Completion>,
    /// Packets that the host drops by itself.
    drops: Drops,
    /// Where requests are rendered.
    request: Vec<u8>,
    /// Set by [`Command::Stop`]: when to give up waiting for what is in flight.
    stop_by: Option<Instant>,
    /// The control thread has sent all that it will send (one-shot runs).
    sealed: bool,
}

/// Commands that are carried out between two turns at most.
const COMMANDS_PER_TURN: usize = 2;
/// How often figures go to the collector.
const STATS_EVERY: Duration = Duration::from_secs(1);
/// Completions for which room is kept.
const COMPLETIONS: usize = 1_024;

impl<I: Io> Worker<I> {
    /// A worker without targets.
    pub fn new(
        mut io: I,
        options: Options,
        commands: Receiver<Command>,
        reporter: Reporter,
    ) -> Self {
        let now = io.now();
        let capacity = io.capacity();
        let mut deadlines = Wheel::new(0);
        deadlines.grow(capacity);
        Self {
            options,
            commands,
            recipes: Vec::new(),
            shard: Shard::default(),
            schedule: Schedule::new(now),
            slots: Slots::new(capacity, options.rounds.is_some()),
            deadlines,
            pace: Pace::new(options, now),
            next_batch: now,
            excuses: Excuses::new(),
            reporter,
            stats: Box::default(),
            stats_due: now + STATS_EVERY,
            origin: now,
            lost: Duration::ZERO,
            now,
            completions: Vec::with_capacity(COMPLETIONS),
            drops: Drops::new(io.dropped()),
            request: Vec::new(),
            stop_by: None,
            sealed: false,
            io,
        }
    }

    /// Runs the loop once.
    ///
    /// # Errors
    /// Where the world is broken for good.
    pub fn turn(&mut self) -> Result<Flow, IoError> {
        let more_commands = self.take_commands();
        let called = self.called();
        self.schedule.advance(called);
        let blocked = self.start_due(called);
        let excuse = self.excuse(called);
        let until = if more_commands { called } else { self.wake(called, blocked, excuse) };
        let mut completions = std::mem::take(&mut self.completions);
        self.io.wait(until, &mut completions)?;
        self.woken(called, until);
        for completion in completions.drain(..) {
            self.complete(completion);
        }
        self.completions = completions;
        self.expire();
        self.stats.turns += 1;
        self.report_stats();
        self.reporter.flush_due(self.now);
        Ok(self.flow())
    }

    /// Sends the last reports, waiting for room, and gives the world back.
    pub fn finish(mut self) -> I {
        self.stats_due = self.now;
        self.report_stats();
        self.reporter.finish();
        self.io
    }

    /// Slots in use: probes in flight, and ended ones whose operations have not come back yet.
    #[must_use]
    pub const fn slots_in_use(&self) -> u32 {
        self.slots.in_use()
    }

    /// The world, for who drives the worker turn by turn.
    pub const fn io(&self) -> &I {
        &self.io
    }

    /// The world, to change it between two turns.
    pub const fn io_mut(&mut self) -> &mut I {
        &mut self.io
    }

    fn flow(&self) -> Flow {
        let idle = self.slots.in_use() == 0;
        let done = match self.stop_by {
            Some(by) => idle || self.now >= by,
            None => self.sealed && self.shard.is_empty() && idle || self.reporter.is_closed(),
        };
        if done { Flow::Done } else { Flow::Continue }
    }

    // -- commands --

    /// Carries out some of the commands that wait; true where more do.
    fn take_commands(&mut self) -> bool {
        for _ in 0..COMMANDS_PER_TURN {
            match self.commands.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => {
                    self.sealed = true;
                    // Only a one-shot run goes on without somebody who could stop it.
                    if self.options.rounds.is_none() && self.stop_by.is_none() {
                        self.stop();
                    }
                    return false;
                }
            }
        }
        true
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Recipe(key, recipe) => self.take_recipe(key, (*recipe).clone()),
            Command::Reserve(more) => {
                let slots = self.shard.reserve(more);
                self.schedule.grow(slots);
            }
            Command::Add(first, targets) => targets.iter().for_each(|t| self.add(first, t)),
            Command::Remove(targets) => self.remove(&targets.into_iter().collect()),
            Command::Revision(revision) => self.reporter.revision(revision, self.now),
            Command::Stop => self.stop(),
        }
    }

    fn take_recipe(&mut self, key: GroupKey, recipe: Recipe) {
        let place = key.0 as usize;
        if self.recipes.len() <= place {
            self.recipes.resize(place + 1, None);
        }
        self.excuses.expect(&recipe);
        let recipe = Rc::new(recipe);
        let Some(before) = self.recipes[place].replace(Rc::clone(&recipe)) else { return };
        let members: Vec<u32> = self.shard.of_group(key).collect();
        for index in members {
            self.shard.health(index).restart_streak();
            // Any other change keeps the phase.
            if recipe.interval < before.interval {
                let hash = crate::rng::mix(u64::from(index));
                self.schedule.hasten(index, recipe.interval, hash, self.now);
            }
        }
    }

    fn add(&mut self, first: First, target: &Addition) {
        // The control thread sends a group's recipe before its targets.
        let Some(Some(recipe)) = self.recipes.get(target.group.0 as usize) else {
            debug_assert!(false, "no recipe for {:?}", target.group);
            return;
        };
        let index = self.shard.add(target, self.options.rounds);
        self.schedule.grow(self.shard.slots());
        self.schedule.add(index, first, recipe.interval, target.hash, self.now);
    }

    fn remove(&mut self, targets: &HashSet<TargetId>) {
        let gone: Vec<u32> = self.shard.matching(|target| targets.contains(&target)).collect();
        for index in gone {
            self.shard.forget(index);
            // Where its probe runs, the index is given back when the probe is over.
            if self.schedule.remove(index) {
                self.shard.vacate(index);
            }
        }
    }

    fn stop(&mut self) {
        self.stop_by = Some(self.now + STOP_GRACE);
        for index in 0..self.slots.made() {
            if let State::Running(run) = &self.slots[index].state {
                let recipe = Rc::clone(&run.recipe);
                self.deadlines.remove(index);
                self.end(index, recipe);
            }
        }
    }

    // -- time --

    /// Begins a turn. What the worker lost since the last one is time in which its probes had no
    /// chance; those that start now have lost nothing.
    fn called(&mut self) -> Instant {
        let called = self.io.now();
        self.lose(called.since(self.now).saturating_sub(OVERSLEPT));
        called
    }

    /// Judges how this turn's wait went. What the worker overslept beyond what it asked for was
    /// lost as well. Nobody can tell whether that was before its operations were carried out or
    /// after, so as much of the wait itself is given back too. Of each turn [`OVERSLEPT`] counts,
    /// so that deadlines come all the same.
    fn woken(&mut self, called: Instant, until: Instant) {
        self.now = self.io.now();
        let overslept = self.now.since(called.max(until));
        if overslept > OVERSLEPT {
            self.lose(overslept.saturating_sub(OVERSLEPT) + until.since(called).min(overslept));
        }
    }

    /// Moves the deadlines of all probes in flight by what was lost.
    fn lose(&mut self, lost: Duration) {
        if !lost.is_zero() {
            self.lost += lost;
            self.stats.lost_us += crate::stats::micros(lost);
        }
    }

    /// Milliseconds, rounded down, of the clock that stands still while the worker is not run.
    fn run_tick(&self, now: Instant) -> u64 {
        crate::schedule::millis(now.since(self.origin + self.lost))
    }

    /// The instant to wait for: whatever comes first of the next start, deadline and report.
    fn wake(&self, now: Instant, blocked: Blocked, excuse: Option<Instant>) -> Instant {
        let start = match blocked {
            Blocked::Not => self.schedule.wake().map(|start| start.max(self.next_batch)),
            Blocked::Until(instant) => Some(instant),
            Blocked::ForCompletions => None,
        };
        let deadline = self
            .deadlines
            .next_due()
            .map(|tick| self.origin + self.lost + Duration::from_millis(tick));
        let reports = [self.reporter.wake(), Some(self.stats_due), excuse];
        [start, deadline, Some(now + SLEEP_MAX)]
            .into_iter()
            .chain(reports)
            .flatten()
            .min()
            .unwrap_or(now)
    }

    fn recipe(&self, target: u32) -> Option<Rc<Recipe>> {
        self.recipes.get(self.shard.group(target).0 as usize)?.clone()
    }

    // -- reports --

    /// Takes an outcome in: health, report, and the next due time.
    fn settle(
        &mut self,
        due: Due,
        recipe: &Recipe,
        outcome: Outcome,
        phases: Phases,
        now: Instant,
    ) {
        let Some(target) = self.shard.target(due.target) else {
            self.shard.vacate(due.target);
            return;
        };
        let health = self.shard.health(due.target);
        let transition = health.observe(outcome.class(), recipe.thresholds);
        let report = crate::report::Report {
            target,
            at: now,
            outcome,
            phases,
            observed: health.observed(),
            streak: health.streak(),
            transition,
        };
        self.stats.finish(outcome.class(), Duration::from_micros(u64::from(phases.total_us)));
        self.stats.merged += u64::from(self.reporter.push(report, now));
        if self.shard.again(due.target) {
            let interval = self.recipe(due.target).map_or(recipe.interval, |r| r.interval);
            self.stats.skipped += self.schedule.next(due.target, due.tick, interval, now);
        } else {
            self.shard.forget(due.target);
            self.shard.vacate(due.target);
        }
    }

    fn report_stats(&mut self) {
        if self.now < self.stats_due {
            return;
        }
        self.stats_due = self.now + STATS_EVERY;
        self.drops.read(self.io.dropped(), self.now);
        self.stats.in_flight = self.slots.in_use();
        self.stats.in_flight_capacity = self.slots.capacity();
        self.stats.backlog = self.schedule.backlog();
        self.stats.targets = self.shard.len();
        self.reporter.stats(&mut self.stats, self.now);
    }
}
