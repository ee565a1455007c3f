//! The daemon: workers, collector, keeper and API around one state table, from start to clean stop.
//!
//! Threads: the workers; `collector`, the table's only writer; `keeper`, the registry's only
//! writer; and the calling thread, which becomes the control thread inside a runtime of its own,
//! answers the API and takes signals.

pub use super::state_dir::StateDirError;
pub use super::tcp::TcpError;

use super::edits::EditRequest;
use super::keeper::{Keeper, Request, Stopping};
use super::lasting::{self, Lasting, Opened};
use super::tcp::Tcp;
use super::{Engine, EngineError, Plan, runtime, scan};
use crate::api::{
    self, ApiState, BindError, LastReload, Parts, ReloadError, ReloadFuture, ReloadHandle,
};
use crate::collector::Collector;
use crate::config::{AlibabaConfig, AwsConfig, Config, Given};
use crate::edit::{Edit, EditError, EditFuture, Edits, Judge};
use crate::io::Backend;
use crate::limits::API_CONNECTIONS_MAX;
use crate::store::StoreError;
use crate::table::StateTable;
use crate::time::{Instant, monotonic};
use crate::upcoming::Upcoming;
use crate::wall::WallClock;
use crate::worker::{Keep, Options};
use arc_swap::ArcSwapOption;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, oneshot, watch};

/// Requests that wait for the keeper: at most one of each connection, and some signals.
const REQUESTS_QUEUED: usize = API_CONNECTIONS_MAX + 16;
/// Commands that wait for the collector; the keeper waits for each.
const COMMANDS_QUEUED: usize = 4;
/// Longest time from the wish to stop to its end. A reload that reads a million targets meanwhile
/// cannot be stopped, and nothing of it is worth more time.
const STOP_WITHIN: Duration = Duration::from_millis(1_500);

/// Why the daemon does not run, or ended: exit status 3 but for `Config`, which is 2.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The engine cannot run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The socket cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The state directory cannot be had.
    #[error(transparent)]
    State(#[from] StateDirError),
    /// Nobody can be answered over TCP.
    #[error(transparent)]
    Tcp(#[from] TcpError),
    /// The store cannot be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration does not fit.
    #[error(transparent)]
    Config(#[from] ReloadError),
    /// A thread, a runtime or a signal handler cannot be had.
    #[error("cannot start {0}: {1}; raise ulimit -u and -n")]
    Start(&'static str, std::io::Error),
}

/// A daemon that probes, before anybody can ask it.
pub struct Daemon {
    table: Arc<StateTable>,
    control: Arc<Control>,
    keeper: JoinHandle<Result<(), EngineError>>,
    /// Disconnected when the keeper has ended.
    running: Receiver<()>,
    collector: JoinHandle<()>,
    ended: Arc<Notify>,
    listener: std::os::unix::net::UnixListener,
    socket: api::SocketFile,
    /// Where one is configured.
    tcp: Option<Tcp>,
    /// Where a state directory is configured.
    lasting: Option<Lasting>,
    clock: Arc<WallClock>,
    upcoming: Arc<Upcoming>,
    backend: Backend,
    name: String,
    aws: AwsConfig,
    alibaba: AlibabaConfig,
}

impl Daemon {
    /// Starts workers on the targets of `config`, and binds its socket. `given` is what is
    /// reloaded; none where there is nothing to reload.
    ///
    /// # Errors
    /// See [`DaemonError`]; whatever was started is stopped again.
    pub fn start(config: Config, given: Option<Given>) -> Result<Self, DaemonError> {
        let plan = plan(&config)?;
        let opened = Opened::take(&config)?;
        let api = &config.api;
        // One value until the end: where the start fails, the listener must go before its file,
        // which stays as long as somebody listens.
        let bound = api::bind(&api.socket, api.socket_mode, api.socket_group.as_deref())?;
        let tcp = Tcp::open(&config)?;
        let now = monotonic();
        // Places are made as they are needed. A reload may replace every target, those that left
        // drain for a while, and ids come free only when all workers have let go of them.
        let table = Arc::new(StateTable::new(config.engine.max_targets * 4, now));
        let clock = Arc::new(WallClock::system());
        let (lasting, store, past) = lasting::begin(opened, &config, plan.backend, &table, &clock)?;
        let engine = Engine::start(&plan, Keep::Newest, |_| Options { rounds: None, rate: None })?;
        say_on_what(&plan);
        let name = config.file.display().to_string();
        let (aws, alibaba) = (config.aws.clone(), config.alibaba.clone());
        let (commands, orders) = bounded(COMMANDS_QUEUED);
        let ended = Arc::new(Notify::new());
        let collector = {
            let alive = Alive(Arc::clone(&ended));
            let collector = Collector::new(Arc::clone(&table), plan.workers, now);
            let (batches, spares) = (engine.batches().clone(), engine.spares());
            spawn("collector", move || {
                let _alive = alive;
                collector.run(&batches, &spares, &orders);
            })?
        };
        let upcoming = Arc::clone(engine.upcoming());
        let last = Arc::new(ArcSwapOption::empty());
        let stopping = Stopping::default();
        let (requests, asked) = bounded(REQUESTS_QUEUED);
        let mut keeper = Keeper::new(
            engine,
            Arc::clone(&table),
            commands,
            Judge { file: name.clone(), targets_max: config.engine.max_targets },
            given,
            Arc::clone(&last),
            Arc::clone(&stopping),
        );
        let socket = config.api.socket.clone();
        keeper.start(config, store, past)?;
        let targets = table.view().registry.target_count();
        if lasting.is_none() {
            warn_of_the_end();
        }
        tracing::info!(socket = %socket.display(), targets, "answering");
        let alive = Alive(Arc::clone(&ended));
        let (runs, running) = bounded(0);
        let keeper = spawn("keeper", move || {
            let _alive = (alive, runs);
            keeper.run(&asked)
        })?;
        let control = Arc::new(Control { requests, last, stopping });
        let (listener, socket) = bound;
        Ok(Self {
            table,
            control,
            keeper,
            running,
            collector,
            ended,
            listener,
            socket,
            tcp,
            lasting,
            clock,
            upcoming,
            backend: plan.backend,
            name,
            aws,
            alibaba,
        })
    }

    /// The state table, for whoever runs in the same process.
    #[must_use]
    pub fn table(&self) -> Arc<StateTable> {
        Arc::clone(&self.table)
    }

    /// Answers the API and obeys signals until SIGTERM, SIGINT or `until`; then stops everything.
    ///
    /// # Errors
    /// Where a worker's world broke, or the control thread cannot run.
    pub fn run(self, until: impl Future<Output = ()>) -> Result<(), DaemonError> {
        let Self {
            table,
            control,
            keeper,
            running,
            collector,
            ended,
            listener,
            socket,
            tcp,
            lasting,
            clock,
            upcoming,
            backend,
            name,
            aws,
            alibaba,
        } = self;
        let parts = Parts {
            table,
            reload: Arc::clone(&control) as _,
            edits: Arc::clone(&control) as _,
            file: name,
            listen: tcp.as_ref().map(Tcp::address),
            wall: clock,
            upcoming,
            backend: backend.name(),
            aws,
            alibaba,
            clocks: Parts::CLOCKS,
        };
        let api = Arc::new(ApiState::new(parts));
        let served: Result<(), DaemonError> = runtime::run(backend, async {
            let listener = tokio::net::UnixListener::from_std(listener)
                .map_err(|error| DaemonError::Start("the API", error))?;
            let door = tcp.map(Tcp::door).transpose();
            let door = door.map_err(|error| DaemonError::Start("the API over TCP", error))?;
            let stop = stop_signal(Arc::clone(&control), ended, until)?;
            notify(&[sd_notify::NotifyState::Ready]);
            let (over, is_over) = watch::channel(false);
            let serving = async {
                api::serve(listener, door, api, stop).await;
                over.send_replace(true);
            };
            match &lasting {
                Some(lasting) => drop(tokio::join!(serving, lasting.warm.keep(is_over))),
                None => serving.await,
            }
            notify(&[sd_notify::NotifyState::Stopping]);
            Ok(())
        })
        .unwrap_or_else(|error| Err(DaemonError::Start("the control thread", error)));
        let left = (control.stop() + STOP_WITHIN).since(monotonic());
        if running.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("stopped in the middle of a reload");
            lasting.into_iter().for_each(Lasting::end);
            return served;
        }
        let stopped = join("the keeper", keeper).flatten();
        let collected = join("the collector", collector);
        lasting.into_iter().for_each(Lasting::end);
        drop(socket);
        served?;
        stopped?;
        Ok(collected?)
    }
}

/// The plan for `config`, where the host allows what its groups ask for.
fn plan(config: &Config) -> Result<Plan, EngineError> {
    let (asked, raw) = (&config.engine, scan::asked(&config.groups).is_some());
    let plan = Plan::new(asked.backend, asked.workers, asked.max_in_flight, raw)?
        .with_tls(asked.tls_in_flight, asked.tls_session_memory);
    scan::refuse(&config.groups, &plan).map_err(EngineError::Resources)?;
    Ok(plan)
}

/// Says how sockets are driven; and where that is not the best way, why, and the cure.
fn say_on_what(plan: &Plan) {
    let (workers, slots, name) = (plan.workers, plan.slots, plan.backend.name());
    match &plan.instead {
        None => tracing::info!(workers, slots, "probing on {name}"),
        Some(why) => tracing::warn!(workers, slots, "probing on {name}: {why}"),
    }
}

/// Says what a daemon without a state directory forgets.
fn warn_of_the_end() {
    tracing::warn!(
        "no state.dir: states, transitions and what the API makes end with the daemon; set \
         state.dir to keep them"
    );
}

/// Held by a thread that should not end before the daemon does: tells when it ends, even by a
/// panic.
struct Alive(Arc<Notify>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Completes when the daemon shall stop; meanwhile reloads on SIGHUP.
fn stop_signal(
    control: Arc<Control>,
    ended: Arc<Notify>,
    until: impl Future<Output = ()>,
) -> Result<impl Future<Output = ()>, DaemonError> {
    let handler =
        |kind| signal(kind).map_err(|error| DaemonError::Start("a signal handler", error));
    let mut terminate = handler(SignalKind::terminate())?;
    let mut interrupt = handler(SignalKind::interrupt())?;
    let mut hangup = handler(SignalKind::hangup())?;
    Ok(async move {
        let mut until = std::pin::pin!(until);
        loop {
            tokio::select! {
                _ = terminate.recv() => break tracing::info!("SIGTERM: stopping"),
                _ = interrupt.recv() => break tracing::info!("SIGINT: stopping"),
                _ = hangup.recv() => control.without_answer(),
                () = ended.notified() => break tracing::error!("a thread ended by itself: stopping"),
                () = &mut until => break,
            }
        }
        control.stop();
    })
}

/// The way to the keeper.
#[derive(Debug)]
struct Control {
    requests: Sender<Request>,
    last: Arc<ArcSwapOption<LastReload>>,
    stopping: Stopping,
}

impl Control {
    /// Begins to stop, unless that has begun; says when it did.
    fn stop(&self) -> Instant {
        let since = *self.stopping.get_or_init(monotonic);
        // It is there to wake a keeper that waits; one with a full queue does not, and one that has
        // ended by itself needs not be told.
        let _ = self.requests.try_send(Request::Stop);
        since
    }

    fn without_answer(&self) {
        let (answer, _) = oneshot::channel();
        if self.requests.try_send(Request::Reload { force: false, answer }).is_err() {
            tracing::warn!("SIGHUP ignored: {REQUESTS_QUEUED} requests are waiting already");
        }
    }

    /// Asks the keeper, and waits for its answer; an error says why there is none.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, &'static str> {
        let (answer, answered) = oneshot::channel();
        self.requests.try_send(request(answer)).map_err(|error| match error {
            TrySendError::Full(_) => "too many requests are waiting already; try again later",
            TrySendError::Disconnected(_) => "the daemon is stopping",
        })?;
        answered.await.map_err(|_| "the daemon is stopping")
    }
}

impl Edits for Control {
    fn apply(&self, edit: Edit) -> EditFuture<'_> {
        Box::pin(async move {
            let done = self.ask(|answer| Request::Edit(EditRequest { edit, answer })).await;
            done.unwrap_or_else(|why| Err(EditError::Unavailable(why.to_owned())))
        })
    }
}

impl ReloadHandle for Control {
    fn reload(&self, force: bool) -> ReloadFuture<'_> {
        Box::pin(async move {
            let done = self.ask(|answer| Request::Reload { force, answer }).await;
            done.unwrap_or_else(|why| Err(ReloadError::Unavailable(why.to_owned())))
        })
    }

    fn last(&self) -> Option<LastReload> {
        self.last.load().as_deref().cloned()
    }
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, DaemonError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| DaemonError::Start(name, error))
}

/// A thread's result, or that it panicked.
fn join<T>(name: &str, thread: JoinHandle<T>) -> Result<T, EngineError> {
    thread.join().map_err(|_| EngineError::Panicked(name.to_owned()))
}

/// Tells systemd, where it listens.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "cannot notify the service manager");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_is_an_error_that_names_it() {
        let thread = spawn("collector", || panic!("on purpose")).unwrap();
        let error = join::<()>("the collector", thread).unwrap_err().to_string();
        assert!(error.starts_with("the collector ended by a panic"), "{error}");
        assert_eq!(join("it", spawn("it", || 7).unwrap()).unwrap(), 7);
    }
}
