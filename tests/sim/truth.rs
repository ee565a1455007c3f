//! What must hold of every run: each report is compared with what the network saw and with the
//! rules.
//!
//! The due times are reckoned here from the rules (DESIGN 3.4), not taken from the worker: the
//! first lies on the target's phase, the next is the first of that grid behind the last one that is
//! not past when the probe is over. Who comes later has its first soon, and its phase from its
//! second on.

use crate::scenario::{Doubts, Scenario, Target};
use ringcheck::check::Check;
use ringcheck::health::{Health, Observed, Thresholds};
use ringcheck::io::sim::{Fate, Start};
use ringcheck::limits::TARGET_PATIENCE;
use ringcheck::outcome::{Cause, Class, Code, Detail};
use ringcheck::report::Report;
use ringcheck::rng::mix;
use ringcheck::schedule::millis;
use ringcheck::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// What may happen this late where nothing hinders it: a tick, and the turn it falls into.
pub(crate) const LATE: Duration = Duration::from_millis(3);

/// What is known of one target beside the worker.
#[derive(Debug)]
pub(crate) struct Truth {
    pub interval: Duration,
    pub timeout: Duration,
    pub thresholds: Thresholds,
    /// Whether there is always a slot.
    pub ample: bool,
    /// Code and status by the place of what a probe met.
    pub expects: Vec<(Code, u16)>,
    pub doubts: Doubts,
    /// Whether silence may be a pass.
    pub udp: bool,
    /// When the next probe is due, in milliseconds; none before it was added, and after its removal
    /// as soon as no report can be on its way.
    pub due: Option<u64>,
    /// What places its second start, while its first one is not over; none where it was there from
    /// the start of the daemon.
    pub second: Option<u64>,
    /// It was removed: no start may follow.
    pub gone: bool,
    /// Starts that no report has been seen of.
    pub open: VecDeque<Start>,
    pub health: Health,
    pub reports: u64,
    pub skipped: u64,
}

impl Truth {
    /// Nothing has been seen of this target.
    pub(crate) fn new(scenario: &Scenario, index: u64, target: &Target) -> Self {
        let recipe = &scenario.recipes[target.group];
        Self {
            interval: recipe.interval,
            timeout: recipe.timeout,
            thresholds: recipe.thresholds,
            ample: scenario.ample,
            expects: target.expects.clone(),
            doubts: scenario.doubts,
            udp: matches!(recipe.check, Check::Udp(_)),
            due: None,
            second: target.added_later.then_some(index),
            gone: false,
            open: VecDeque::new(),
            health: Health::default(),
            reports: 0,
            skipped: 0,
        }
    }

    /// Takes one report in, `stopped` being [`ringcheck::io::sim::Sim::stopped`] by now; returns
    /// the lateness of its probe's start, where it had one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn report(
        &mut self,
        report: &Report,
        stopped: Duration,
    ) -> Result<Option<Duration>, String> {
        let due = self.due.ok_or("a report of a target that is not probed")?;
        self.reports += 1;
        if never_started(report) {
            self.excused(report, Instant::from_millis(due))?;
            return Ok(None);
        }
        let start = self.open.pop_front().ok_or("a report without a start")?;
        let lateness = self.matches(report, &start, due, stopped)?;
        self.replay(report, 1)?;
        let interval = millis(self.interval);
        let now = report.at.as_millis();
        let gap = match self.second.take() {
            Some(index) if interval > 1_000 => {
                let from = (now - due).clamp(interval / 2, interval);
                from + mix(index) % (interval + interval / 2 - from)
            }
            Some(_) | None => interval,
        };
        let late = now.saturating_sub(due + gap);
        let skipped = late.div_ceil(interval);
        self.skipped += skipped;
        self.due = Some(due + gap + interval * skipped);
        Ok(Some(lateness))
    }

    /// It says that it waits for a slot: not before its patience is over, and once. Its turn stays.
    fn excused(&mut self, report: &Report, due: Instant) -> Result<(), String> {
        if report.at < due + self.patience() {
            return Err(format!("gave up after {:?}", report.at.since(due)));
        }
        if self.health.observed() == Observed::Unavailable {
            return Err("said twice that it is not known".to_owned());
        }
        if self.ample || report.observed != Observed::Unavailable {
            return Err("no reason to give up".to_owned());
        }
        self.replay(report, self.thresholds.unhealthy)
    }

    /// How long it waits for a slot before it says that it is not known.
    fn patience(&self) -> Duration {
        self.interval * self.thresholds.unhealthy.into()
    }

    fn matches(
        &self,
        report: &Report,
        start: &Start,
        due: u64,
        stopped: Duration,
    ) -> Result<Duration, String> {
        let due_at = Instant::from_millis(due);
        if start.at < due_at {
            return Err(format!("started at {:?}, before it was due at {due_at:?}", start.at));
        }
        if start.at > report.at {
            return Err("reported before it was started".to_owned());
        }
        let (code, status) = match start.fate {
            Fate::Fault(_) | Fate::Dropped => (Code::SockErr, 0),
            Fate::Peer(index) => self.expects[usize::from(index)],
        };
        let outcome = report.outcome;
        let overlooked = self.doubts.stalls && code == Code::L7Tout;
        let dropped = outcome.detail == Detail::Cause(Cause::PacketsDropped);
        let timed_out = matches!(code, Code::L4Tout | Code::L6Tout | Code::L7Tout)
            || self.udp && code == Code::L4Ok;
        let gave_up = outcome.detail == Detail::Cause(Cause::NotRun);
        let excused = self.doubts.receives && outcome.class() == Class::LocalFault
            || self.doubts.drops && dropped && timed_out
            || self.doubts.stalls && gave_up && stopped - start.stopped >= TARGET_PATIENCE / 2
            || overlooked && matches!(outcome.code, Code::L7Ok | Code::L7Rsp);
        if outcome.class() == Class::Fail && self.always_well() {
            return Err(format!("failed with {outcome:?}, though nothing is wrong with it"));
        }
        if (outcome.code, outcome.status) != (code, status) && !excused {
            return Err(format!("outcome {outcome:?}, but the truth is {code:?} {status}"));
        }
        if let Fate::Fault(errno) = start.fate
            && outcome.detail != Detail::Errno(errno)
        {
            return Err(format!("detail {:?}, but the truth is {errno:?}", outcome.detail));
        }
        if start.fate == Fate::Dropped && !dropped {
            return Err(format!("detail {:?}, but its packets were dropped here", outcome.detail));
        }
        self.in_time(report, start.fate, stopped - start.stopped)?;
        Ok(start.at.since(due_at))
    }

    /// A timeout is told when it is over: not before, and not much later unless the worker was
    /// stopped meanwhile. Then it is given back what it lost, and as much again for what it cannot
    /// know.
    fn in_time(&self, report: &Report, fate: Fate, stopped: Duration) -> Result<(), String> {
        let timed_out = matches!(report.outcome.code, Code::L4Tout | Code::L6Tout | Code::L7Tout)
            && report.outcome.detail == Detail::None
            || report.outcome.detail == Detail::Cause(Cause::Unanswered);
        if !timed_out && fate != Fate::Dropped {
            return Ok(());
        }
        let total = Duration::from_micros(u64::from(report.phases.total_us) + 1);
        if total < self.timeout {
            return Err("a timeout before its time".to_owned());
        }
        if total > self.timeout + stopped * 2 + LATE {
            return Err(format!("a timeout that was noticed late, stopped for {stopped:?}"));
        }
        Ok(())
    }

    /// The outcome counts so many times.
    fn replay(&mut self, report: &Report, times: u8) -> Result<(), String> {
        let mut transition = None;
        for _ in 0..times {
            let observed = self.health.observe(report.outcome.class(), self.thresholds);
            transition = transition.or(observed);
        }
        let expected = (self.health.observed(), self.health.streak(), transition);
        let told = (report.observed, report.streak, report.transition);
        if told == expected {
            return Ok(());
        }
        Err(format!("state, streak and transition {told:?}, but outcomes so far make {expected:?}"))
    }

    /// Takes one start in.
    ///
    /// # Errors
    /// Where there should be none.
    pub(crate) fn started(&mut self, start: Start) -> Result<(), String> {
        if self.gone || self.due.is_none() {
            return Err("started, but it is not to be probed".to_owned());
        }
        // Reports lag by one batch; a clock that jumps can put two starts before it.
        if self.open.len() > 2 {
            return Err("a fourth start without a report".to_owned());
        }
        self.open.push_back(start);
        Ok(())
    }

    /// What must hold when time is up at `end`: nothing was lost, nothing fell behind by more than
    /// `slack` (where there are too few slots, without saying so), and nobody who is always well
    /// was ever called ill.
    ///
    /// # Errors
    /// What does not hold.
    pub(crate) fn finish(&self, end: Instant, slack: Duration) -> Result<(), String> {
        let Some(due) = self.due.filter(|_| !self.gone) else { return Ok(()) };
        let due = Instant::from_millis(due);
        let (by, said) = match self.open.front() {
            _ if self.ample => (due + self.timeout, false),
            Some(start) => (start.at + self.timeout, false),
            None => (due + self.patience(), self.health.observed() == Observed::Unavailable),
        };
        if by + slack < end && !said {
            return Err(format!("lost: its probe of {due:?} neither came nor was excused"));
        }
        if self.reports > 0 && self.always_well() && self.health.observed() == Observed::Unhealthy {
            return Err("unhealthy, though nothing is wrong with it".to_owned());
        }
        Ok(())
    }

    /// Whether every probe that reaches it must pass.
    pub(crate) fn always_well(&self) -> bool {
        self.expects.iter().all(|(code, _)| code.class() == Class::Pass)
    }
}

/// Whether the report tells that no probe was started.
pub(crate) fn never_started(report: &Report) -> bool {
    report.outcome.detail == Detail::Cause(Cause::NoFreeSlot)
}
