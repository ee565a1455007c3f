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
mod gather;
mod kept;
mod obey;
mod overslept;
mod pace;
mod presented;
mod probes;
mod recipes;
pub mod reporter;
mod sessions;
mod shard;
mod slots;
mod starts;
mod window;

pub use command::Command;
pub use reporter::{Keep, Reporter};

use crate::io::{Completion, Io, IoError};
use crate::limits::{SLEEP_MAX, TLS_SESSION_MEMORY_DEFAULT};
use crate::outcome::Outcome;
use crate::recipe::Recipe;
use crate::report::Phases;
use crate::rng::mix;
use crate::schedule::{Due, First, Schedule};
use crate::stats::Stats;
use crate::time::Instant;
use crate::upcoming::Upcoming;
use crate::wheel::Wheel;
use crossbeam_channel::Receiver;
use drops::Drops;
use excuses::Excuses;
use gather::Gather;
use kept::Kept;
use pace::Pace;
use recipes::Recipes;
use sessions::Sessions;
use shard::{Shard, Stay};
use slots::Slots;
use starts::{Blocked, Burst};
use std::rc::Rc;
use std::sync::Arc;
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
    /// A command that waits until the shard has been looked through.
    held: Option<Command>,
    recipes: Recipes,
    /// How far the shard has been looked through for targets of changed recipes.
    look: Option<u32>,
    shard: Shard,
    schedule: Schedule,
    slots: Slots,
    /// What is remembered of targets with TLS.
    sessions: Sessions,
    /// Deadlines of the probes in flight, by slot, on the clock of [`Worker::run_tick`].
    deadlines: Wheel,
    pace: Pace,
    /// When a busy worker starts the next probes.
    gather: Gather,
    burst: Burst,
    excuses: Excuses,
    reporter: Reporter,
    /// Where to say when it means to act next, and as which worker.
    upcoming: (Arc<Upcoming>, usize),
    stats: Box<Stats>,
    stats_due: Instant,
    origin: Instant,
    /// Time lost by not being run: what deadlines are moved by.
    lost: Duration,
    /// When this turn's completions were taken.
    now: Instant,
    completions: Vec<Completion>,
    /// Connections that wait for the next probe.
    kept: Kept,
    /// Slots whose kept connection was over, and that are connected anew.
    over: Vec<u32>,
    /// Packets that the host drops by itself.
    drops: Drops,
    /// Where requests are rendered.
    request: Vec<u8>,
    /// Set by [`Command::Stop`]: when to give up waiting for what is in flight.
    stop_by: Option<Instant>,
    /// The control thread has sent all that it will send (one-shot runs).
    sealed: bool,
}

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
            held: None,
            recipes: Recipes::default(),
            look: None,
            shard: Shard::new(1, 0),
            schedule: Schedule::new(now),
            slots: Slots::new(capacity, io.raw_capacity(), options.rounds.is_some()),
            sessions: Sessions::new(TLS_SESSION_MEMORY_DEFAULT),
            deadlines,
            pace: Pace::new(options, now),
            gather: Gather::new(now),
            burst: Burst::new(),
            excuses: Excuses::new(),
            reporter,
            upcoming: (Arc::default(), 0),
            stats: Box::default(),
            stats_due: now + STATS_EVERY,
            origin: now,
            lost: Duration::ZERO,
            now,
            completions: Vec::with_capacity(COMPLETIONS),
            kept: Kept::default(),
            over: Vec::new(),
            drops: Drops::new(io.dropped()),
            request: Vec::new(),
            stop_by: None,
            sealed: false,
            io,
        }
    }

    /// The same worker, as number `number` of so many: the targets whose ids leave that remainder
    /// are its own.
    #[must_use]
    pub fn among(mut self, workers: u32, number: u32) -> Self {
        self.shard = Shard::new(workers, number);
        self
    }

    /// The same worker, with so many TLS probes in flight at most, and so many bytes of sessions
    /// that are kept.
    #[must_use]
    pub fn with_tls(mut self, in_flight: u32, session_memory: usize) -> Self {
        self.slots.cap_tls(in_flight);
        self.sessions = Sessions::new(session_memory);
        self
    }

    /// The same worker, who says in `upcoming` when it means to act next, as worker `number`.
    #[must_use]
    pub fn with_upcoming(mut self, upcoming: Arc<Upcoming>, number: usize) -> Self {
        self.upcoming = (upcoming, number);
        self
    }

    /// Runs the loop once.
    ///
    /// # Errors
    /// Where the world is broken for good.
    pub fn turn(&mut self) -> Result<Flow, IoError> {
        let more_commands = self.take_commands();
        let called = self.called();
        self.schedule.advance(called);
        self.connect_anew();
        let blocked = self.start_due(called);
        let excuse = self.excuse(called);
        let until = if more_commands { called } else { self.wake(called, blocked, excuse) };
        self.announce(blocked, until);
        let mut completions = std::mem::take(&mut self.completions);
        self.io.wait(until, &mut completions)?;
        self.woken(called, until);
        self.burst.adapt(self.now.since(called), matches!(blocked, Blocked::Budget));
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

    // -- time --

    /// Begins a turn. What the worker lost since the last one is time in which its probes had no
    /// chance; those that start now have lost nothing.
    fn called(&mut self) -> Instant {
        let called = self.io.now();
        let turn = called.since(self.now);
        self.stats.turn_max_us = self.stats.turn_max_us.max(crate::stats::micros(turn));
        self.lose(turn.saturating_sub(overslept::bound(self.recipes.least())));
        called
    }

    /// Judges how this turn's wait went. What the worker overslept beyond what it asked for was
    /// lost as well. Nobody can tell whether that was before its operations were carried out or
    /// after, so as much of the wait itself is given back too. Of each turn [`overslept::bound`]
    /// counts, so that deadlines come all the same.
    fn woken(&mut self, called: Instant, until: Instant) {
        self.now = self.io.now();
        let overslept = self.now.since(called.max(until));
        let most = overslept::bound(self.recipes.least());
        if overslept > most {
            self.lose(overslept.saturating_sub(most) + until.since(called).min(overslept));
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
            Blocked::Not => self.schedule.wake().map(|start| start.max(self.gather.until())),
            Blocked::Budget => Some(now),
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

    /// Says since when it should have acted, or when it will.
    fn announce(&self, blocked: Blocked, until: Instant) {
        let first = matches!(blocked, Blocked::Budget).then(|| self.schedule.peek()).flatten();
        let next = first.map_or(until, |due| self.schedule.instant(due.tick));
        let (upcoming, number) = &self.upcoming;
        upcoming.set(*number, next);
    }

    fn recipe(&self, target: u32) -> Option<Rc<Recipe>> {
        self.recipes.of(self.shard.group(target)).cloned()
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
        match self.shard.stay(due.target) {
            Stay::Here => {}
            Stay::Vacant | Stay::Left => return self.leave(due.target, false),
            Stay::Back => return self.begin(due.target, now),
        }
        let epoch = self.recipes.epoch(self.shard.group(due.target));
        if self.shard.renew(due.target, epoch) {
            self.sessions.forget_session(due.target);
        }
        let target = self.shard.id(due.target);
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
        self.stats.finish(outcome, Duration::from_micros(u64::from(phases.total_us)));
        self.stats.merged += u64::from(self.reporter.push(report, now));
        if self.shard.again(due.target) {
            let interval = self.recipe(due.target).map_or(recipe.interval, |r| r.interval);
            let Due { target, tick } = due;
            self.stats.skipped += if self.shard.scatter(target) {
                let hash = mix(u64::from(target));
                self.schedule.second(target, tick, interval, hash, now)
            } else {
                self.schedule.next(target, tick, interval, now)
            };
        } else {
            self.recipes.leave(self.shard.group(due.target));
            self.leave(due.target, false);
        }
    }

    /// A target leaves; `running`: a probe from its place is not over.
    fn leave(&mut self, index: u32, running: bool) {
        self.shard.leave(index, running);
        self.sessions.forget(index);
    }

    /// The probe of who had the place before is over: who was added meanwhile begins at once, and
    /// none of that reaches it.
    fn begin(&mut self, index: u32, now: Instant) {
        self.shard.begin(index);
        let interval = self.recipe(index).map_or(Duration::ZERO, |recipe| recipe.interval);
        self.schedule.add(index, First::Now, interval, 0, now);
    }

    /// Whether there are targets that no slot is left for.
    fn slots_are_full(&self) -> bool {
        let all = self.slots.is_full(false) || self.slots.is_full(true);
        self.schedule.backlog() > 0 && (all || self.schedule.has_aside())
    }

    fn report_stats(&mut self) {
        if self.now < self.stats_due {
            return;
        }
        self.stats_due = self.now + STATS_EVERY;
        self.drops.read(self.io.dropped(), self.now);
        self.stats.in_flight = self.slots.in_use();
        self.stats.in_flight_capacity = self.slots.capacity();
        (self.stats.raw_in_flight, self.stats.raw_in_flight_capacity) = self.slots.raw();
        self.stats.slots_stuck = self.slots.stuck();
        self.stats.backlog = self.schedule.backlog();
        self.stats.slots_full = self.slots_are_full();
        self.stats.targets = self.shard.len();
        self.reporter.stats(&mut self.stats, self.now);
    }
}
