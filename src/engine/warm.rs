//! The warm restart: what a daemon writes down of its targets, and what the next one takes up.
//!
//! A snapshot is written every `state.snapshot_interval`, and at a clean stop after the workers'
//! last reports are in. It is a help and nothing more: one that cannot be written or taken up is
//! reported, and the daemon goes on without.

use super::{journal, runtime};
use crate::collector::Command;
use crate::config::Config;
use crate::io::Backend;
use crate::registry::Registry;
use crate::snapshot::{Snapshot, file};
use crate::store::Loaded;
use crate::table::StateTable;
use crate::time::{monotonic, wall_ms};
use crate::wall::WallClock;
use crossbeam_channel::{Sender, bounded};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Where the snapshot lies, and when it is written.
#[derive(Debug)]
pub(super) struct Warm {
    dir: PathBuf,
    interval: Duration,
    age_max: Duration,
    targets_max: usize,
    /// How the workers drive their sockets, and so how files are written.
    backend: Backend,
    table: Arc<StateTable>,
    clock: Arc<WallClock>,
}

/// What is known of the runs before this one.
#[derive(Debug)]
pub(super) struct Past {
    /// The last states, if they can be taken up.
    pub(super) snapshot: Option<Snapshot>,
    /// What the store had.
    pub(super) loaded: Loaded,
    pub(super) clock: Arc<WallClock>,
}

impl Warm {
    /// The snapshot of `table` in the state directory `dir`.
    pub(super) fn new(
        dir: PathBuf,
        config: &Config,
        backend: Backend,
        table: &Arc<StateTable>,
        clock: &Arc<WallClock>,
    ) -> Self {
        Self {
            dir,
            interval: config.state.snapshot_interval,
            age_max: config.state.snapshot_max_age,
            targets_max: config.engine.max_targets,
            backend,
            table: Arc::clone(table),
            clock: Arc::clone(clock),
        }
    }

    /// The snapshot that is there, if it can be taken up.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let now_ms = self.clock.wall_ms(monotonic().into());
        match file::read(&self.dir, self.targets_max, now_ms, self.age_max) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let file = file::path(&self.dir);
                tracing::warn!(
                    file = %file.display(),
                    "the snapshot {error}; it is ignored, all targets begin as initial, and the \
                     next one takes its place"
                );
                None
            }
        }
    }

    /// Writes a snapshot every interval, until `is_over`.
    pub(super) async fn keep(&self, mut is_over: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                // An error means that whoever could tell is gone.
                _ = is_over.wait_for(|is_over| *is_over) => break,
                () = tokio::time::sleep(self.interval) => {}
            }
            self.write(|| *is_over.borrow()).await;
        }
    }

    /// Writes the last snapshot of a clean stop, on a runtime of its own.
    pub(super) fn write_last(&self) {
        if let Err(error) = runtime::run(self.backend, self.write(|| false)) {
            self.is_not_written(&error);
        }
    }

    async fn write(&self, is_over: impl Fn() -> bool) {
        let began = monotonic();
        self.clock.observe(began, wall_ms());
        let disk = runtime::disk(self.backend);
        let (dir, now) = (&self.dir, began.into());
        match file::write(dir, &self.table, &self.clock, now, disk, is_over).await {
            Ok(None) => {}
            Ok(Some(targets)) => {
                let took_ms = monotonic().since(began).as_millis();
                tracing::debug!(targets, took_ms, "snapshot written");
            }
            Err(error) => self.is_not_written(&error),
        }
    }

    fn is_not_written(&self, error: &io::Error) {
        tracing::warn!(
            "cannot write the snapshot {}: {error}; the one before it is kept; check the space and \
             the rights of state.dir",
            file::path(&self.dir).display()
        );
    }
}

impl Past {
    /// Gives the targets of `registry`, which is installed, what is known of them; returns when
    /// the table has it.
    pub(super) fn restore(self, registry: &Registry, collector: &Sender<Command>) {
        let events = journal::events(self.loaded.events, registry, &self.clock);
        let newest_seq = self.loaded.newest_seq;
        tell(collector, |done| Command::Recall(events, newest_seq, done));
        let Some(snapshot) = self.snapshot else { return };
        let mut restored = 0;
        for known in snapshot.known(registry, &self.clock, monotonic().into()) {
            restored += known.len();
            tell(collector, |done| Command::Restore(known, done));
        }
        let remembered = snapshot.targets();
        tracing::info!(restored, remembered, "states taken up from the snapshot");
    }
}

/// Asks the collector, and waits until it has done so. One that is gone has ended the daemon.
fn tell(collector: &Sender<Command>, command: impl FnOnce(Sender<()>) -> Command) {
    let (done, is_done) = bounded(1);
    if collector.send(command(done)).is_ok() {
        let _ = is_done.recv();
    }
}
