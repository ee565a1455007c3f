//! Wiring: workers on their threads, and what keeps them fed. No logic of its own.
//!
//! An [`Engine`] is N pinned worker threads with a command channel each, and one channel on which
//! all their batches of reports come. `daemon` runs it for ever, `oneshot` for a list of targets
//! once.

pub mod daemon;
mod edits;
mod files;
mod fixed;
mod journal;
mod keeper;
mod lasting;
pub mod oneshot;
mod persist;
pub mod resources;
mod runtime;
pub mod scan;
mod state_dir;
mod tcp;
mod warm;

pub use resources::Plan;

use crate::io::{HalfOpen, Host, IoError, Unsupported, Waker};
use crate::limits::{BATCHES_QUEUED, COMMAND_TARGETS};
use crate::registry::{Addition, Change};
use crate::report::{Batch, TargetId};
use crate::schedule::First;
use crate::upcoming::Upcoming;
use crate::worker::{Command, Flow, Keep, Options, Reporter, Worker};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Commands that wait for one worker; more make the control thread wait.
const COMMANDS_QUEUED: usize = 64;
/// Emptied batches that wait for one worker; more are freed.
const SPARES_QUEUED: usize = 16;

/// Why the engine cannot run: exit status 3.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The kernel lacks or forbids something.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The world broke under a running worker.
    #[error("worker {worker} stopped: {error}")]
    Worker {
        /// Which one.
        worker: usize,
        /// Why.
        error: IoError,
    },
    /// A thread panicked.
    #[error(
        "{0} ended by a panic, which is a bug of ringcheck; its message is above, please report it"
    )]
    Panicked(String),
    /// A resource that cannot be had: what, and the cure.
    #[error("{0}")]
    Resources(String),
}

/// Running workers.
#[derive(Debug)]
pub struct Engine {
    plan: Plan,
    workers: Vec<Handle>,
    upcoming: Arc<Upcoming>,
    batches: Receiver<Batch>,
}

/// One worker's thread.
#[derive(Debug)]
struct Handle {
    commands: Sender<Command>,
    spares: Sender<Batch>,
    waker: Waker,
    thread: JoinHandle<Result<(), IoError>>,
}

impl Engine {
    /// Starts the workers of `plan`, worker `i` with `options(i)`.
    ///
    /// # Errors
    /// Where the plan's backend cannot be used, or no thread can be had.
    pub fn start(
        plan: &Plan,
        keep: Keep,
        options: impl Fn(usize) -> Options,
    ) -> Result<Self, EngineError> {
        let (report, batches) = bounded(BATCHES_QUEUED);
        let upcoming = Arc::new(Upcoming::new(plan.workers));
        let start = |worker| {
            let reporting = (report.clone(), Arc::clone(&upcoming));
            start_worker(worker, plan, keep, options(worker), reporting)
        };
        let workers = (0..plan.workers).map(start).collect::<Result<_, _>>()?;
        Ok(Self { plan: plan.clone(), workers, upcoming, batches })
    }

    /// What it runs by.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How many workers there are.
    #[must_use]
    pub const fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Where all batches of reports come.
    #[must_use]
    pub const fn batches(&self) -> &Receiver<Batch> {
        &self.batches
    }

    /// When each worker means to act next.
    #[must_use]
    pub const fn upcoming(&self) -> &Arc<Upcoming> {
        &self.upcoming
    }

    /// By worker: where emptied batches go.
    #[must_use]
    pub fn spares(&self) -> Vec<Sender<Batch>> {
        self.workers.iter().map(|worker| worker.spares.clone()).collect()
    }

    /// Carries a change of the registry out. Blocks while workers take the commands in.
    pub fn apply(&self, change: Change, first: First, revision: u64) {
        for (key, recipe) in change.recipes {
            self.broadcast(&Command::Recipe(key, recipe));
        }
        self.hand_out(change.remove, |&target| target, Command::Remove);
        self.add(change.add, first);
        self.broadcast(&Command::Revision(revision));
    }

    fn add(&self, targets: Vec<Addition>, first: First) {
        if let Some(bound) = targets.iter().map(|target| target.target.0 + 1).max() {
            self.broadcast(&Command::Reserve(bound));
        }
        self.hand_out(targets, |target| target.target, |targets| Command::Add(first, targets));
    }

    /// Sends each item to the worker that owns its target, a command's worth at a time.
    fn hand_out<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        target: impl Fn(&T) -> TargetId,
        command: impl Fn(Vec<T>) -> Command,
    ) {
        let mut waiting: Vec<Vec<T>> = self.workers.iter().map(|_| Vec::new()).collect();
        for item in items {
            let owner = self.owner(target(&item));
            waiting[owner].push(item);
            if waiting[owner].len() == COMMAND_TARGETS {
                self.workers[owner].send(command(std::mem::take(&mut waiting[owner])));
            }
        }
        for (handle, items) in self.workers.iter().zip(waiting) {
            if !items.is_empty() {
                handle.send(command(items));
            }
        }
    }

    /// The worker that owns a target: ids go round the workers. Its phase is a matter of its hash.
    const fn owner(&self, target: TargetId) -> usize {
        target.index() % self.workers.len()
    }

    fn broadcast(&self, command: &Command) {
        for handle in &self.workers {
            handle.send(command.clone());
        }
    }

    /// The first worker that has ended by itself, which none should.
    #[must_use]
    pub fn ended(&self) -> Option<usize> {
        self.workers.iter().position(|handle| handle.thread.is_finished())
    }

    /// Stops all workers and waits for their last reports to be taken from [`Engine::batches`] by
    /// somebody else.
    ///
    /// # Errors
    /// The first worker whose world broke.
    pub fn stop(self) -> Result<(), EngineError> {
        self.broadcast(&Command::Stop);
        self.join()
    }

    /// Waits for workers that end by themselves (one-shot runs).
    ///
    /// # Errors
    /// As [`Engine::stop`].
    pub fn join(self) -> Result<(), EngineError> {
        // The receiver goes first: a worker that waits for room in the channel must not wait for
        // ever.
        drop(self.batches);
        let mut result = Ok(());
        for (worker, handle) in self.workers.into_iter().enumerate() {
            drop(handle.commands);
            let ended = match handle.thread.join() {
                Ok(ended) => ended.map_err(|error| EngineError::Worker { worker, error }),
                Err(_) => Err(EngineError::Panicked(format!("worker {worker}"))),
            };
            result = result.and(ended);
        }
        result
    }
}

impl Handle {
    fn send(&self, command: Command) {
        // A worker that is gone has ended with an error, which `ended` and `stop` tell.
        let _ = self.commands.send(command);
        self.waker.wake();
    }
}

/// Starts one worker; returns when its sockets can be had.
fn start_worker(
    worker: usize,
    plan: &Plan,
    keep: Keep,
    options: Options,
    (reports, upcoming): (Sender<Batch>, Arc<Upcoming>),
) -> Result<Handle, EngineError> {
    let (commands, orders) = bounded(COMMANDS_QUEUED);
    let (spares, returned) = bounded(SPARES_QUEUED);
    let (ready, started) = bounded(1);
    let (backend, slots, cpu) = (plan.backend, plan.slots, plan.cpu(worker));
    let tls = (plan.tls_in_flight, plan.tls_session_memory);
    // limits::WORKERS_MAX is far below 2^32.
    let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
    let (workers, own) = (number(plan.workers), number(worker));
    let thread = std::thread::Builder::new()
        .name(format!("worker-{worker}"))
        .spawn(move || {
            if let Some(cpu) = cpu {
                resources::pin(cpu);
            }
            // One worker's test speaks for all: they run on the same kernel.
            let host = match Host::open(backend, slots, worker == 0) {
                Ok(host) => host,
                Err(error) => {
                    // The starter waits for this, so somebody takes it.
                    let _ = ready.send(Err(error));
                    return Ok(());
                }
            };
            let _ = ready.send(Ok(host.waker()));
            let reporter = Reporter::new(worker, keep, reports, returned);
            let world = HalfOpen::new(host);
            let worker = Worker::new(world, options, orders, reporter)
                .among(workers, own)
                .with_tls(tls.0, tls.1)
                .with_upcoming(upcoming, worker);
            run(worker)
        })
        .map_err(|error| {
            EngineError::Resources(format!("cannot start a thread: {error}; raise ulimit -u"))
        })?;
    match started.recv() {
        Ok(Ok(waker)) => Ok(Handle { commands, spares, waker, thread }),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => {
            let panic = thread.join().err().unwrap_or_else(|| Box::new("worker ended early"));
            std::panic::resume_unwind(panic)
        }
    }
}

fn run(mut worker: Worker<HalfOpen<Host>>) -> Result<(), IoError> {
    while worker.turn()? == Flow::Continue {}
    worker.finish();
    Ok(())
}
