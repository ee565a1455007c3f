//! The state directory with all that lasts: the store and the snapshot, from start to end.
//!
//! Order of a start: the directory is taken and the store read, before anything else is begun, so
//! that a daemon that cannot keep its word does not start. Then, with the table made, the store's
//! thread begins. Order of an end: workers, collector, last snapshot, last transitions, directory.

use super::daemon::DaemonError;
use super::journal::Journal;
use super::state_dir::StateDir;
use super::warm::{Past, Warm};
use crate::config::Config;
use crate::io::Backend;
use crate::store::{Database, Loaded, Store};
use crate::table::StateTable;
use crate::wall::WallClock;
use std::path::PathBuf;
use std::sync::Arc;

/// The state directory, taken and read.
#[derive(Debug)]
pub(super) struct Opened {
    dir: StateDir,
    path: PathBuf,
    database: Database,
    loaded: Loaded,
}

/// The state directory in use.
#[derive(Debug)]
pub(super) struct Lasting {
    pub(super) warm: Warm,
    store: crate::store::StoreThread,
    /// Last, so that it is free when all is written.
    _dir: StateDir,
}

/// Begins to keep what comes; what was there before is the registry's keeper's. Without a state
/// directory, nothing is kept.
pub(super) fn begin(
    opened: Option<Opened>,
    config: &Config,
    backend: Backend,
    table: &Arc<StateTable>,
    clock: &Arc<WallClock>,
) -> Result<(Option<Lasting>, Store, Option<Past>), DaemonError> {
    let Some(opened) = opened else { return Ok((None, Store::memory(), None)) };
    let (lasting, store, past) = opened.begin(config, backend, table, clock)?;
    Ok((Some(lasting), store, Some(past)))
}

impl Opened {
    /// Takes and reads the state directory; none where the configuration names none.
    pub(super) fn take(config: &Config) -> Result<Option<Self>, DaemonError> {
        let Some(path) = &config.state.dir else { return Ok(None) };
        let dir = StateDir::take(path)?;
        let (database, loaded) = Database::open(path)?;
        if loaded.was_killed {
            tracing::info!("the daemon before did not end cleanly; what it acknowledged is there");
        }
        Ok(Some(Self { dir, path: path.clone(), database, loaded }))
    }

    fn begin(
        mut self,
        config: &Config,
        backend: Backend,
        table: &Arc<StateTable>,
        clock: &Arc<WallClock>,
    ) -> Result<(Lasting, Store, Past), DaemonError> {
        let newest_seq = self.loaded.newest_seq;
        self.database.begin(newest_seq)?;
        let journal = Journal::new(Arc::clone(table), Arc::clone(clock));
        let (store, thread) = Store::start(self.database, newest_seq, Box::new(journal))
            .map_err(|error| DaemonError::Start("the store", error))?;
        let warm = Warm::new(self.path, config, backend, table, clock);
        let (snapshot, clock) = (warm.snapshot(), Arc::clone(clock));
        let past = Past { snapshot, loaded: self.loaded, clock };
        Ok((Lasting { warm, store: thread, _dir: self.dir }, store, past))
    }
}

impl Lasting {
    /// Writes what is left to write: the states, of which the workers' last reports are in the
    /// table, and the transitions that they brought.
    pub(super) fn end(self) {
        self.warm.write_last();
        self.store.stop();
    }
}
