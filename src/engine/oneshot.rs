//! A list of targets, probed once or a few times, as fast as allowed: the engine behind `probe`.

use super::{Engine, EngineError, Plan};
use crate::endpoint::Endpoint;
use crate::health::Health;
use crate::recipe::Recipe;
use crate::registry::{Addition, GroupKey};
use crate::report::{Batch, Report, TargetId};
use crate::schedule::First;
use crate::worker::{Command, Keep, Options};
use crossbeam_channel::RecvTimeoutError;
use std::sync::Arc;
use std::time::Duration;

/// One target of the list: which recipe, and where.
#[derive(Clone, Copy, Debug)]
pub struct Shot {
    /// Index into the list of recipes.
    pub recipe: u32,
    /// Where the probe goes.
    pub endpoint: Endpoint,
}

/// A run under way. Reports name targets by their place in the list.
#[derive(Debug)]
pub struct OneShot {
    engine: Engine,
    spares: Vec<crossbeam_channel::Sender<Batch>>,
    left: u64,
}

/// What came next of a run.
#[derive(Debug)]
pub enum Next {
    /// Probes ended; give the batch back with [`OneShot::recycle`].
    Batch(Batch),
    /// Nothing within the time given.
    Nothing,
    /// All probes have ended.
    Done,
}

impl OneShot {
    /// Starts probing each of `count` `targets` `rounds` times, `rate` starts per second at most.
    ///
    /// # Errors
    /// Where the engine cannot run.
    pub fn start(
        plan: &Plan,
        recipes: &[Recipe],
        targets: impl Iterator<Item = Shot>,
        count: usize,
        rounds: u32,
        rate: Option<f64>,
    ) -> Result<Self, EngineError> {
        let plan = Plan { workers: plan.workers.min(count).max(1), ..plan.clone() };
        let options = |worker: usize| {
            // Targets go round the workers, so the share of the rate is that of the targets.
            let share = count.saturating_sub(worker).div_ceil(plan.workers);
            let rate = rate.map(|rate| rate * share as f64 / count.max(1) as f64);
            Options { rounds: Some(rounds), rate }
        };
        let engine = Engine::start(&plan, Keep::All, options)?;
        for (key, recipe) in recipes.iter().enumerate() {
            let key = GroupKey(u32::try_from(key).unwrap_or(u32::MAX));
            engine.broadcast(&Command::Recipe(key, Arc::new(recipe.clone())));
        }
        let spares = engine.spares();
        let left = count as u64 * u64::from(rounds);
        let run = Self { engine, spares, left };
        run.feed(targets, count);
        Ok(run)
    }

    fn feed(&self, targets: impl Iterator<Item = Shot>, count: usize) {
        let bound = u32::try_from(count).unwrap_or(u32::MAX);
        self.engine.broadcast(&Command::Reserve(bound));
        let additions = (0..bound).zip(targets).map(|(place, shot)| Addition {
            target: TargetId(place),
            group: GroupKey(shot.recipe),
            endpoint: shot.endpoint,
            hash: 0,
            health: Health::default(),
        });
        let add = |targets| Command::Add(First::Now, targets);
        self.engine.hand_out(additions, |target| target.target, add);
    }

    /// Waits for the next reports.
    ///
    /// # Errors
    /// Where a worker's world broke.
    pub fn next(&mut self, patience: Duration) -> Result<Next, EngineError> {
        if self.left == 0 {
            return Ok(Next::Done);
        }
        match self.engine.batches().recv_timeout(patience) {
            Ok(batch) => {
                self.left = self.left.saturating_sub(batch.reports.len() as u64);
                Ok(Next::Batch(batch))
            }
            Err(RecvTimeoutError::Timeout) => match self.engine.ended() {
                Some(_) if self.engine.batches().is_empty() => Ok(Next::Done),
                Some(_) | None => Ok(Next::Nothing),
            },
            Err(RecvTimeoutError::Disconnected) => Ok(Next::Done),
        }
    }

    /// Gives a batch's memory back.
    pub fn recycle(&self, mut batch: Batch) {
        batch.reports.clear();
        batch.presented.clear();
        // A full channel means that the worker has spares enough.
        let _ = self.spares[batch.worker].try_send(batch);
    }

    /// Ends the run, whether all probes have ended or not.
    ///
    /// # Errors
    /// The first worker whose world broke.
    pub fn finish(self) -> Result<(), EngineError> {
        drop(self.spares);
        self.engine.stop()
    }
}

/// Takes all reports of a run: for tests and benches.
///
/// # Errors
/// As [`OneShot::next`].
pub fn collect(mut run: OneShot) -> Result<Vec<Report>, EngineError> {
    let mut reports = Vec::new();
    loop {
        match run.next(Duration::from_secs(1))? {
            Next::Batch(batch) => {
                reports.extend_from_slice(&batch.reports);
                run.recycle(batch);
            }
            Next::Nothing => {}
            Next::Done => break,
        }
    }
    run.finish()?;
    Ok(reports)
}
