//! A worker on the simulated world with its channels, driven by hand.

use crate::run::world;
use crate::scenario::{Scenario, Target};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use ringcheck::health::Health;
use ringcheck::io::sim::{Sim, Start};
use ringcheck::registry::{Addition, GroupKey};
use ringcheck::report::{Batch, Report, TargetId};
use ringcheck::rng::hash_target;
use ringcheck::schedule::First;
use ringcheck::time::Instant;
use ringcheck::worker::{Command, Flow, Keep, Options, Reporter, Worker};
use std::sync::Arc;

/// A worker with its channels, driven by hand.
pub(crate) struct Stage {
    pub worker: Worker<Sim>,
    pub commands: Option<Sender<Command>>,
    pub batches: Receiver<Batch>,
    // Held so that the worker can give its memory a home.
    _spares: Sender<Batch>,
}

impl Stage {
    /// All targets of the scenario, added at once. `rounds` makes it a one-shot run.
    pub(crate) fn new(scenario: &Scenario, keep: Keep, rounds: Option<u32>) -> Self {
        Self::on(world(scenario), scenario, keep, rounds)
    }

    /// The same on a world that may be stranger than the scenario's.
    pub(crate) fn on(sim: Sim, scenario: &Scenario, keep: Keep, rounds: Option<u32>) -> Self {
        let (commands, orders) = unbounded();
        let (out, batches) = bounded(if keep == Keep::All { 1_000 } else { 1 });
        let (spares, used) = unbounded();
        let options = Options { rounds, rate: rounds.map(|_| 100.0) };
        let reporter = Reporter::new(0, keep, out, used);
        let worker = Worker::new(sim, options, orders, reporter);
        let stage = Self { worker, commands: Some(commands), batches, _spares: spares };
        for (key, recipe) in (0..).zip(&scenario.recipes) {
            stage.send(Command::Recipe(GroupKey(key), Arc::new(recipe.clone())));
        }
        let addition = |(index, target): (u32, &Target)| Addition {
            target: TargetId(index),
            group: GroupKey(u32::try_from(target.group).unwrap()),
            endpoint: target.address.into(),
            hash: hash_target("group", target.address),
            health: Health::default(),
        };
        let first = if rounds.is_some() { First::Now } else { First::Spread };
        stage.send(Command::Add(first, (0..).zip(&scenario.targets).map(addition).collect()));
        stage
    }

    pub(crate) fn send(&self, command: Command) {
        self.commands.as_ref().unwrap().send(command).unwrap();
    }

    /// Turns until `end`, and all reports that came.
    pub(crate) fn until(&mut self, end: Instant) -> Vec<Report> {
        let mut reports = Vec::new();
        while self.worker.io().clock() < end {
            assert_eq!(self.worker.turn().unwrap(), Flow::Continue);
            reports.extend(self.batches.try_iter().flat_map(|batch| batch.reports));
        }
        reports
    }

    pub(crate) fn starts(&mut self) -> Vec<Start> {
        self.worker.io_mut().ledger_mut().take_log()
    }
}
