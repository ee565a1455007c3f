//! The keeper of the registry: the one thread that changes it, at start, at each reload, and when
//! the API asks for it.
//!
//! Reading a million targets takes a second or two, so it happens here and not on the control
//! thread. Edits that wait together are judged one after the other, made durable together, and
//! installed one after the other (`edits`).
//!
//! Order of a reload (see also `collector`): files are read and judged whole; the new registry is
//! installed in the table; then the workers get their commands. A reload that fails anywhere before
//! the second step has changed nothing.

use super::daemon::DaemonError;
use super::edits::{self, EditRequest};
use super::fixed::Fixed;
use super::persist::{self, Now};
use super::warm::Past;
use super::{Engine, EngineError, files, scan};
use crate::api::{LastReload, ReloadError, ReloadSummary};
use crate::collector;
use crate::config::{Config, Given};
use crate::edit::{Conflict, Judge};
use crate::health::Health;
use crate::heap;
use crate::registry::{Change, IdAllocator, Plan, Registry, mass_removal};
use crate::schedule::First;
use crate::store::{Op, Store};
use crate::table::StateTable;
use crate::time::{Instant, monotonic, wall_ms};
use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;

/// How often targets files are looked at for changes; a changed one is taken within 5 s (DESIGN
/// 5.5).
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is asked of the keeper.
#[derive(Debug)]
pub(super) enum Request {
    /// Reload all files, in spite of the guard if `force`.
    Reload {
        /// In spite of the guard against mass removal.
        force: bool,
        /// Who is told what came of it.
        answer: oneshot::Sender<Result<ReloadSummary, ReloadError>>,
    },
    /// Carry an edit out.
    Edit(EditRequest),
    /// Look at [`Stopping`]: stop the engine and end.
    Stop,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) engine: Engine,
    /// What it was started with, as far as a reload does not change it.
    fixed: Option<Fixed>,
    pub(super) table: Arc<StateTable>,
    collector: Sender<collector::Command>,
    pub(super) store: Store,
    pub(super) ids: IdAllocator,
    pub(super) registry: Arc<Registry>,
    pub(super) judge: Judge,
    /// The configuration; none where there is none to reload.
    given: Option<Given>,
    /// Targets files with their last known time of change.
    watched: Vec<(PathBuf, Option<SystemTime>)>,
    /// What the first registry's targets were before.
    past: Option<Past>,
    /// Whether much was freed that has not gone back to the kernel.
    gives_back: bool,
    last: Arc<ArcSwapOption<LastReload>>,
    stopping: Stopping,
}

/// When the daemon began to stop, once it has: no reload begins or goes further then.
pub(super) type Stopping = Arc<OnceLock<Instant>>;

impl Keeper {
    /// A keeper of an empty registry, which keeps nothing before [`Keeper::start`].
    #[must_use]
    pub(super) fn new(
        engine: Engine,
        table: Arc<StateTable>,
        collector: Sender<collector::Command>,
        judge: Judge,
        given: Option<Given>,
        last: Arc<ArcSwapOption<LastReload>>,
        stopping: Stopping,
    ) -> Self {
        Self {
            engine,
            fixed: None,
            table,
            collector,
            store: Store::memory(),
            ids: IdAllocator::default(),
            registry: Arc::default(),
            judge,
            given,
            watched: Vec::new(),
            past: None,
            gives_back: true,
            last,
            stopping,
        }
    }

    /// Makes `config` the first configuration; what is known of its targets is that of `past`, and
    /// what changes is kept in `store`.
    ///
    /// # Errors
    /// Where it does not fit the table, or asks for what cannot be done here.
    pub(super) fn start(
        &mut self,
        config: Config,
        store: Store,
        past: Option<Past>,
    ) -> Result<(), DaemonError> {
        self.store = store;
        self.fixed = Some(Fixed::of(&config));
        let Some(mut past) = past else {
            self.take(config, First::Spread)?;
            return Ok(());
        };
        self.watched = watched(&config);
        let mut ids = self.ids.clone();
        let (registry, change) = persist::first(&config, &mut past.loaded, &mut ids, now())
            .map_err(|error| ReloadError::Invalid(error.to_string()))?;
        scan::refuse(registry.groups.iter().map(|group| &group.config), self.engine.plan())
            .map_err(EngineError::Resources)?;
        self.past = Some(past);
        drop(config);
        Ok(self.adopt(Arc::new(registry), ids, change, First::Spread)?)
    }

    /// Serves requests, and watches files, until the daemon stops or a worker ends by itself.
    ///
    /// # Errors
    /// The first worker whose world broke.
    pub(super) fn run(mut self, requests: &Receiver<Request>) -> Result<(), EngineError> {
        let mut next = None;
        let mut look_at = monotonic() + LOOK_EVERY;
        while self.stopping.get().is_none() && self.engine.ended().is_none() {
            self.expire();
            // However many requests there are: a changed file is not left waiting for a pause.
            if monotonic() >= look_at {
                self.look();
                look_at = monotonic() + LOOK_EVERY;
            }
            let wait = |_| requests.recv_timeout(self.patience(look_at));
            let request = next.take().ok_or(()).or_else(wait);
            match request {
                Ok(Request::Edit(first)) => {
                    let (batch, other) = edits::batch(first, requests, self.registry.homes.bound());
                    self.edit(batch);
                    next = other;
                }
                Ok(Request::Reload { force, answer }) => {
                    // Whoever asked may be gone; the reload holds all the same.
                    let _ = answer.send(self.reload(force));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let stopped = self.engine.stop();
        // The collector takes in what the workers sent last, and ends.
        let _ = self.collector.send(collector::Command::Stop);
        stopped
    }

    /// How long nothing need be done unless somebody asks.
    fn patience(&self, look_at: Instant) -> Duration {
        let next = self.registry.drain_end.map_or(look_at, |end| end.min(look_at));
        next.since(monotonic())
    }

    /// Lets go of the targets whose draining is over.
    fn expire(&mut self) {
        let now = monotonic();
        if self.registry.drain_end.is_none_or(|end| end > now) {
            return;
        }
        self.ids.release(self.table.taken_up_revision());
        let mut ids = self.ids.clone();
        let (registry, change) = self.registry.expire(&mut ids, now);
        if let Err(error) = self.adopt(Arc::new(registry), ids, change, First::Soon(0)) {
            tracing::error!(%error, "targets drain for longer");
            return;
        }
        let now_ms = i64::try_from(wall_ms()).unwrap_or(i64::MAX);
        if let Err(error) = self.store.commit(vec![Op::ExpireTargets { now_ms }]) {
            tracing::warn!("{error}; targets that have drained are forgotten with the next ones");
        }
    }

    /// Gives back what was freed since the last look, and reloads if a targets file has changed. A
    /// missing file is no change: somebody is replacing it.
    fn look(&mut self) {
        // By now the workers have let go of the commands too.
        if std::mem::take(&mut self.gives_back) {
            heap::give_back();
        }
        let changed = |(file, known): &(PathBuf, Option<SystemTime>)| {
            let now = changed_at(file);
            now.is_some() && now != *known
        };
        if let Some((file, _)) = self.watched.iter().find(|watched| changed(watched)) {
            tracing::info!(file = %file.display(), "targets file has changed");
            // The result is logged, and stands in the summary.
            let _ = self.reload(false);
        }
    }

    fn reload(&mut self, force: bool) -> Result<ReloadSummary, ReloadError> {
        self.ids.release(self.table.taken_up_revision());
        // As they are before they are read: what changes from here on is not in what is read.
        let files = self.watched.iter();
        let files: HashMap<_, _> = files.map(|(f, _)| (f.clone(), changed_at(f))).collect();
        let result = self.try_reload(force);
        self.gives_back = true;
        let error = result.as_ref().err().map(ToString::to_string);
        match (&result, &error) {
            (Ok(done), _) => say(done),
            (Err(_), error) => tracing::error!(
                error = error.as_deref().unwrap_or_default(),
                "reload refused; the former configuration runs on"
            ),
        }
        self.last.store(Some(Arc::new(LastReload { at: monotonic(), error })));
        // A file that was refused is not tried again until it changes again.
        for (file, known) in &mut self.watched {
            *known = files.get(file).copied().unwrap_or(*known);
        }
        result
    }

    /// Whether a reload, or an edit, may go further.
    pub(super) fn goes_on(&self) -> Result<(), ReloadError> {
        if self.stopping.get().is_none() {
            return Ok(());
        }
        Err(ReloadError::Unavailable("the daemon is stopping".to_owned()))
    }

    fn try_reload(&mut self, force: bool) -> Result<ReloadSummary, ReloadError> {
        self.goes_on()?;
        let Some(given) = &self.given else {
            let reason = "there is no configuration file to reload; this is a demonstration";
            return Err(ReloadError::Unavailable(reason.to_owned()));
        };
        let config = given.load().map_err(|error| ReloadError::Invalid(error.to_string()))?;
        scan::refuse(&config.groups, self.engine.plan()).map_err(ReloadError::Invalid)?;
        self.goes_on()?;
        let invalid = |conflict: Conflict| ReloadError::Invalid(conflict.to_string());
        Conflict::check(&config, &self.registry).map_err(invalid)?;
        if !force {
            mass_removal(&self.registry, &config)
                .map_err(|refusal| ReloadError::MassRemoval(refusal.to_string()))?;
        }
        let targets_max = config.engine.max_targets;
        let next = Fixed::of(&config);
        let fixed = self.fixed.as_ref();
        let from_next_start = fixed.map_or_else(Vec::new, |fixed| fixed.changed(&next));
        let done = self.take(config, First::Soon(0))?;
        self.judge.targets_max = targets_max;
        Ok(ReloadSummary { from_next_start, ..done })
    }

    /// Builds the next registry, installs it, and tells the workers.
    fn take(&mut self, config: Config, first: First) -> Result<ReloadSummary, ReloadError> {
        let watched = watched(&config);
        let targets = config.groups.iter().map(|group| group.targets.len()).sum();
        let (groups, previous) = (config.groups.len(), &self.registry);
        // A registry that is refused has taken no ids, and freed none.
        let mut ids = self.ids.clone();
        let changed = files::changed(previous);
        let mut plan = Plan::reload(&config, previous);
        files::put_in(&changed, &mut plan);
        let (registry, change) = previous.next(&plan, &mut ids, monotonic());
        drop(plan);
        drop(config);
        let (revision, added, removed) =
            (registry.revision, change.registered, change.deregistered);
        self.adopt(Arc::new(registry), ids, change, first)?;
        self.watched = watched;
        let from_next_start = Vec::new();
        Ok(ReloadSummary { revision, groups, targets, added, removed, from_next_start })
    }

    /// Installs a registry, and tells the workers.
    pub(super) fn adopt(
        &mut self,
        registry: Arc<Registry>,
        ids: IdAllocator,
        change: Change,
        first: First,
    ) -> Result<(), ReloadError> {
        self.goes_on()?;
        self.install(&registry)?;
        if let Some(past) = self.past.take() {
            past.restore(&registry, &self.collector);
        }
        self.ids = ids;
        self.registry = registry;
        self.tell(change, first);
        Ok(())
    }

    fn install(&self, registry: &Arc<Registry>) -> Result<(), ReloadError> {
        let (done, installed) = bounded(1);
        let command = collector::Command::Install(Arc::clone(registry), done);
        let gone = || ReloadError::Unavailable("the daemon is stopping".to_owned());
        self.collector.send(command).map_err(|_| gone())?;
        let result = installed.recv().map_err(|_| gone())?;
        result.map_err(|full| ReloadError::Invalid(full.to_string()))
    }

    fn tell(&self, mut change: Change, first: First) {
        // New settings restart the streak (DESIGN 3.1). At the start all are new, and the streaks
        // are those that the snapshot remembers.
        let is_start = matches!(first, First::Spread);
        let recipes = change.recipes.iter().filter(|_| !is_start);
        let renewed: HashSet<_> = recipes.map(|&(group, _)| group).collect();
        for target in &mut change.add {
            // The table knows what a target was before it came to this owner, if it was anything.
            let known = self.table.read(target.target);
            let last = known.last.filter(|_| !renewed.contains(&target.group));
            let streak = last.map_or(0, |last| last.streak);
            target.health = Health::resumed(known.verdict.observed, streak);
        }
        let first = match first {
            First::Soon(_) => First::Soon(change.add.len().div_ceil(self.engine.workers())),
            First::Spread | First::Now => first,
        };
        self.engine.apply(change, first, self.registry.revision);
    }
}

/// Both clocks.
pub(super) fn now() -> Now {
    Now { at: monotonic(), wall_ms: wall_ms() }
}

/// The targets files of `config`, with their times of change.
/// Says what a reload has done, and what it has not.
fn say(done: &ReloadSummary) {
    let &ReloadSummary { groups, targets, added, removed, .. } = done;
    tracing::info!(groups, targets, added, removed, "reloaded");
    if !done.from_next_start.is_empty() {
        let settings = done.from_next_start.join(", ");
        tracing::warn!("{settings}: what was changed there holds from the next start");
    }
}

fn watched(config: &Config) -> Vec<(PathBuf, Option<SystemTime>)> {
    let files = config.groups.iter().flat_map(|group| &group.targets_files);
    files.map(|file| (file.clone(), changed_at(file))).collect()
}

fn changed_at(file: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(file).ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::Collector;
    use crate::config::{self, GroupConfig, GroupSpec, Origin, Source};
    use crate::edit::{Done, Edit, EditError};
    use crate::engine::Plan;
    use crate::io::Backend;
    use crate::store::{Database, EventRow, Feed};
    use crate::worker::{Keep, Options};

    /// A keeper of a table with ten places, with a worker that has nothing to do.
    fn keeper() -> Keeper {
        let plan = Plan::new(Backend::IoUring, Some(1), Some(16), false).unwrap();
        let options = |_| Options { rounds: None, rate: None };
        let engine = Engine::start(&plan, Keep::Newest, options).unwrap();
        let table = Arc::new(StateTable::new(10, monotonic()));
        let (commands, orders) = bounded(1);
        let (batches, spares) = (engine.batches().clone(), engine.spares());
        let collector = Collector::new(Arc::clone(&table), 1, monotonic());
        std::thread::spawn(move || collector.run(&batches, &spares, &orders));
        let judge = Judge { file: String::new(), targets_max: 10 };
        let (last, stopping) = (Arc::default(), Stopping::default());
        Keeper::new(engine, table, commands, judge, None, last, stopping)
    }

    #[test]
    fn a_changed_targets_file_is_taken_however_many_edits_come() {
        let dir = tempfile::tempdir().unwrap();
        let (file, list) = (dir.path().join("ringcheck.toml"), dir.path().join("list"));
        let check = "[group.health_check]\ninterval = \"24h\"";
        let group = "[[group]]\nname = \"g\"\nrules = \"free\"\ntargets_file = \"list\"";
        std::fs::write(&file, format!("{group}\n{check}\n")).unwrap();
        std::fs::write(&list, "127.0.0.1:1\n").unwrap();
        let mut keeper = keeper();
        keeper.given = Some(Given::file(file.clone()));
        keeper.start(config::load(&file).unwrap(), Store::memory(), None).unwrap();
        let (table, stopping) = (Arc::clone(&keeper.table), Arc::clone(&keeper.stopping));
        let (requests, asked) = bounded(1);
        let thread = std::thread::spawn(move || keeper.run(&asked));
        std::fs::write(&list, "127.0.0.1:1\n127.0.0.2:1\n").unwrap();
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        std::fs::File::options().append(true).open(&list).unwrap().set_modified(later).unwrap();
        let give_up = monotonic() + Duration::from_secs(20);
        while table.view().registry.target_count() < 2 {
            assert!(monotonic() < give_up, "nobody looked at the file");
            let (answer, answered) = oneshot::channel();
            let edit = Edit::DeleteGroup { group: "none".to_owned() };
            requests.send(Request::Edit(EditRequest { edit, answer })).unwrap();
            assert!(answered.blocking_recv().unwrap().is_err());
        }
        stopping.get_or_init(monotonic);
        drop(requests);
        thread.join().unwrap().unwrap();
    }

    fn config(first: u32, count: u32) -> Config {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ringcheck.toml");
        let targets: Vec<_> =
            (first..first + count).map(|n| format!("\"127.0.0.{n}:1\"")).collect();
        let check = "[group.health_check]\ninterval = \"24h\"";
        let head = "[[group]]\nname = \"g\"\nrules = \"free\"";
        let text = format!("{head}\ntargets = [{}]\n{check}\n", targets.join(", "));
        std::fs::write(&file, text).unwrap();
        config::load(&file).unwrap()
    }

    #[test]
    fn a_registry_that_is_refused_takes_no_ids_and_frees_none() {
        let mut keeper = keeper();
        keeper.start(config(1, 8), Store::memory(), None).unwrap();
        assert!(keeper.take(config(11, 8), First::Soon(0)).is_err(), "16 ids do not fit");
        keeper.take(config(1, 7), First::Soon(0)).unwrap();
        let give_up = monotonic() + Duration::from_secs(10);
        while keeper.table.taken_up_revision() < 2 {
            assert!(monotonic() < give_up, "the worker never took the reload up");
            std::thread::yield_now();
        }
        keeper.ids.release(2);
        keeper.take(config(1, 9), First::Soon(0)).unwrap();
        let mut ids = keeper.registry.groups[0].members.targets().collect::<Vec<_>>();
        ids.sort_unstable();
        assert!(ids.iter().map(|id| id.0).eq(0..9), "{ids:?}");
        keeper.engine.stop().unwrap();
    }

    /// No transitions.
    struct Silence;

    impl Feed for Silence {
        fn since(&mut self, _seq: u64, _limit: usize) -> Vec<EventRow> {
            Vec::new()
        }

        fn newest(&self) -> u64 {
            0
        }

        fn now_ms(&self) -> i64 {
            0
        }
    }

    fn group(name: &str) -> GroupConfig {
        let origin = Origin { source: Source::Native, ..Origin::default() };
        GroupSpec::default().build(name, name.to_owned(), origin).unwrap()
    }

    /// What came of these edits, which came in together.
    fn results(keeper: &mut Keeper, edits: Vec<Edit>) -> Vec<Result<Done, EditError>> {
        let ask = |edit| {
            let (answer, answered) = oneshot::channel();
            (EditRequest { edit, answer }, answered)
        };
        let (batch, answers): (Vec<_>, Vec<_>) = edits.into_iter().map(ask).unzip();
        keeper.edit(batch);
        answers.into_iter().map(|answer| answer.blocking_recv().unwrap()).collect()
    }

    #[test]
    fn an_edit_stands_and_falls_with_those_before_it() {
        let mut keeper = keeper();
        keeper.start(config(1, 1), Store::memory(), None).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (database, _) = Database::open(dir.path()).unwrap();
        let (store, thread) = Store::start(database, 0, Box::new(Silence)).unwrap();
        thread.stop();
        keeper.store = store;

        let create = |name: &str| Edit::CreateGroup(Box::new(group(name)));
        let delete = |name: &str| Edit::DeleteGroup { group: name.to_owned() };
        let edits = || vec![delete("a"), create("a"), create("a"), delete("a"), delete("a")];
        // That it exists, or is gone again, would be true only if the first one were kept.
        let failed = results(&mut keeper, edits());
        assert!(matches!(failed[0], Err(EditError::Unknown { .. })), "{failed:?}");
        let is_store =
            |result: &Result<Done, EditError>| matches!(result, Err(EditError::Store(_)));
        assert!(failed[1..].iter().all(is_store), "{failed:?}");
        assert_eq!(keeper.registry.groups.len(), 1);

        keeper.store = Store::memory();
        let done = results(&mut keeper, edits());
        assert!(matches!(done[0], Err(EditError::Unknown { .. })), "{done:?}");
        assert!(matches!(done[2], Err(EditError::Exists { .. })), "{done:?}");
        assert!(matches!(done[4], Err(EditError::Unknown { .. })), "{done:?}");
        assert!(done[1].is_ok() && done[3].is_ok(), "{done:?}");
        assert_eq!(keeper.registry.groups.len(), 1);
        keeper.engine.stop().unwrap();
    }
}
