//! A daemon without an engine: a table filled by hand, and the API on a socket in a directory of
//! its own.

use ringcheck::access::KeyFile;
use ringcheck::api::{
    ApiState, Door, LastReload, Parts, ReloadError, ReloadFuture, ReloadHandle, ReloadSummary,
    SocketFile, bind, listen, serve,
};
use ringcheck::collector::Collector;
use ringcheck::config;
use ringcheck::edit::{Done, Edit, EditError, EditFuture, Edits, Judge};
use ringcheck::health::Observed;
use ringcheck::outcome::{Cause, Code, Detail, Outcome};
use ringcheck::registry::{IdAllocator, Registry};
use ringcheck::report::{Batch, Phases, Report, TargetId};
use ringcheck::stats::Stats;
use ringcheck::table::StateTable;
use ringcheck::time::Instant;
use ringcheck::wall::WallClock;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// 2026-01-02T03:04:05.000Z at 100 s of the monotonic clock; there the tests stand still.
pub(crate) const NOW: Instant = Instant::from_millis(100_000);
/// What the summary says; the real port is another one in every run.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_411);
pub(crate) const NOW_WALL_MS: u64 = 1_767_323_045_000;

const CONFIG: &str = r#"
[[load_balancer]]
name = "edge"
zones = ["zone-a", "zone-b"]
[[listener]]
name = "all"
load_balancer = "edge"
port = 443
protocol = "TCP"
groups = ["web", "big", "off", "empty", "sick"]

[[group]]
name = "web"
id = "tg-web"
rules = "free"
port = 8080
targets_file = "web.json"
[group.health_check]
protocol = "HTTP"
path = "/healthz"
host = "web.internal"
interval = "10s"
timeout = "6s"
matcher = "200-299"

[[group]]
name = "big"
id = "tg-big"
rules = "free"
port = 80
targets = ["127.1.0.0/20"]

[[group]]
name = "idle"
id = "tg-idle"
targets = ["127.2.0.1:80"]

[[group]]
name = "off"
id = "tg-off"
targets = ["127.3.0.1:80"]
[group.health_check]
enabled = false

[[group]]
name = "empty"
id = "tg-empty"
targets = []

[[group]]
name = "sick"
id = "tg-sick"
targets_file = "sick.json"
"#;

const WEB: &str = r#"[
  {"id":"i-well","address":"127.0.0.1","zone":"zone-a","weight":10},
  {"id":"i-503","address":"127.0.0.2","port":8081,"zone":"zone-b"},
  {"id":"i-rising","address":"127.0.0.3","zone":"zone-a"},
  {"id":"i-fault","address":"127.0.0.4"},
  {"id":"i-new","address":"::1"},
  {"id":"i-light","address":"127.0.0.6","weight":0},
  {"id":"i-stopped","address":"127.0.0.7","lifecycle":"stopped"},
  {"id":"i-abroad","address":"127.0.0.8","zone":"zone-c"},
  {"id":"i-two","address":"127.0.0.9","port":1},
  {"id":"i-two","address":"127.0.0.9","port":2}
]"#;

const SICK: &str = r#"[
  {"id":"i-a","address":"127.4.0.1","port":80,"zone":"zone-a"},
  {"id":"i-stopped","address":"127.4.0.2","port":80,"lifecycle":"stopped"},
  {"id":"i-light","address":"127.4.0.3","port":80,"weight":0},
  {"id":"i-b","address":"127.4.0.4","port":80,"zone":"zone-b"}
]"#;

/// See the module's head.
pub(crate) struct World {
    pub(crate) collector: Arc<Mutex<Collector>>,
    /// What edits fail with.
    pub(crate) refusal: Arc<Mutex<Option<EditError>>>,
    pub(crate) table: Arc<StateTable>,
    pub(crate) reloads: Arc<Reloads>,
    edits: Arc<dyn Edits>,
    pub(crate) socket: PathBuf,
    /// Where it answers over TCP those who sign with a key of its state directory.
    pub(crate) tcp: SocketAddr,
    ids: Arc<Mutex<IdAllocator>>,
    dir: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    _file: SocketFile,
}

/// Whoever is asked to reload: answers what the test says, and notes what it was asked.
#[derive(Default)]
pub(crate) struct Reloads {
    pub(crate) forced: Mutex<Vec<bool>>,
    pub(crate) answer: Mutex<Option<ReloadError>>,
    pub(crate) last: Mutex<Option<LastReload>>,
}

impl ReloadHandle for Reloads {
    fn reload(&self, force: bool) -> ReloadFuture<'_> {
        Box::pin(async move {
            self.forced.lock().unwrap().push(force);
            match self.answer.lock().unwrap().clone() {
                Some(error) => Err(error),
                None => Ok(ReloadSummary {
                    revision: 2,
                    groups: 6,
                    targets: 7,
                    added: 1,
                    removed: 0,
                    from_next_start: vec!["engine.workers"],
                }),
            }
        })
    }

    fn last(&self) -> Option<LastReload> {
        self.last.lock().unwrap().clone()
    }
}

/// Carries edits out as the keeper does, but for the store and the workers.
struct Keeper {
    collector: Arc<Mutex<Collector>>,
    ids: Arc<Mutex<IdAllocator>>,
    table: Arc<StateTable>,
    judge: Judge,
    refusal: Arc<Mutex<Option<EditError>>>,
}

impl Edits for Keeper {
    fn apply(&self, edit: Edit) -> EditFuture<'_> {
        if let Some(error) = self.refusal.lock().unwrap().clone() {
            return Box::pin(async { Err(error) });
        }
        let now = NOW + Duration::from_millis(1);
        Box::pin(async move {
            // An edit waits for its turn, and others may come in between.
            tokio::task::yield_now().await;
            let registry = Arc::clone(&self.table.view().registry);
            let judged = self.judge.judge(&registry, edit, &mut self.ids.lock().unwrap(), now)?;
            if let Some(step) = judged.step {
                self.collector.lock().unwrap().install(step.registry, now).unwrap();
            }
            Ok(judged.done)
        })
    }
}

impl World {
    /// The world as CONFIG has it, with some of every state, and the API on its socket.
    pub(crate) fn start() -> Self {
        Self::with(config::AwsConfig::default(), 6_000)
    }

    /// The same with `[aws]` and `engine.max_targets`.
    pub(crate) fn with(aws: config::AwsConfig, targets_max: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("web.json"), WEB).unwrap();
        std::fs::write(dir.path().join("sick.json"), SICK).unwrap();
        let table =
            Arc::new(StateTable::new(10_000 + 4 * targets_max, Instant::from_millis(1_000)));
        let collector = Collector::new(Arc::clone(&table), 2, Instant::from_millis(1_000));
        let (collector, ids) = (Arc::new(Mutex::new(collector)), Arc::default());
        let reloads = Arc::new(Reloads::default());
        let socket = dir.path().join("api.sock");
        let (listener, file) = bind(&socket, 0o600, None).unwrap();
        let listener = UnixListener::from_std(listener).unwrap();
        let (tcp_listener, tcp) = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let tcp_listener = TcpListener::from_std(tcp_listener).unwrap();
        let keys = KeyFile::open(dir.path()).unwrap();
        let reload: Arc<dyn ReloadHandle> = reloads.clone();
        let clocks = || (NOW, NOW_WALL_MS);
        let door = Door::new(tcp_listener, keys, Some("us-east-1".to_owned()), clocks);
        let name = "/etc/ringcheck.toml".to_owned();
        let refusal = Arc::default();
        let edits: Arc<dyn Edits> = Arc::new(Keeper {
            collector: Arc::clone(&collector),
            ids: Arc::clone(&ids),
            table: Arc::clone(&table),
            judge: Judge { file: name.clone(), targets_max },
            refusal: Arc::clone(&refusal),
        });
        let table_of_api = Arc::clone(&table);
        let wall = Arc::new(WallClock::new(NOW, NOW_WALL_MS));
        let (listen, alibaba) = (Some(LISTEN), config::AlibabaConfig::default());
        let upcoming = Arc::default();
        let parts = Parts {
            table: table_of_api,
            reload,
            edits: Arc::clone(&edits),
            file: name,
            upcoming,
            backend: "io_uring",
            aws,
            alibaba,
            listen,
            wall,
            clocks,
        };
        let state = Arc::new(ApiState::new(parts));
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, Some(door), state, async {
            let _ = stopped.await;
        }));
        let stop = Some(stop);
        let world = Self {
            collector,
            refusal,
            table,
            reloads,
            edits,
            socket,
            tcp,
            ids,
            dir,
            stop,
            server,
            _file: file,
        };
        world.install(CONFIG);
        world.fill();
        world
    }

    /// Reloads with `text` as the configuration.
    pub(crate) fn install(&self, text: &str) {
        let path = self.dir.path().join("ringcheck.toml");
        std::fs::write(&path, text).unwrap();
        let config = config::load(&path).unwrap();
        let view = self.table.view();
        let previous = (view.registry.revision > 0).then_some(&*view.registry);
        let now = Instant::from_millis(2_000);
        let registry = Registry::build(&config, previous, &mut self.ids.lock().unwrap(), now).0;
        self.collector.lock().unwrap().install(Arc::new(registry), now).unwrap();
    }

    /// Carries out an edit, as another dialect would ask for it.
    pub(crate) async fn edit(&self, edit: Edit) -> Result<Done, EditError> {
        self.edits.apply(edit).await
    }

    /// The configuration with these targets of `big` for its range; who leaves does not drain.
    pub(crate) fn install_with_big(&self, targets: &str) {
        let at_once = format!("{targets}\nderegistration_delay = \"0s\"");
        self.install(&CONFIG.replace("[\"127.1.0.0/20\"]", &at_once));
    }

    /// The state table id of a member.
    pub(crate) fn target(&self, group: &str, position: usize) -> TargetId {
        self.table.view().registry.group(group).unwrap().members.target(position)
    }

    /// Takes reports in as worker 0.
    pub(crate) fn report(&self, reports: Vec<Report>) {
        let batch = Batch { worker: 0, revision: 1, reports, ..Batch::default() };
        self.collector.lock().unwrap().apply(batch, NOW);
    }

    /// Where the keys are.
    pub(crate) fn state_dir(&self) -> &Path {
        self.dir.path()
    }

    /// Both workers say that they have carried out what was changed so far.
    pub(crate) fn take_up(&self) {
        let revision = self.table.view().registry.revision;
        for worker in 0..2 {
            let batch = Batch { worker, revision, ..Batch::default() };
            self.collector.lock().unwrap().apply(batch, NOW);
        }
    }

    /// Who drains is gone at `now`.
    pub(crate) fn expire(&self, now: Instant) {
        let view = self.table.view();
        let registry = view.registry.expire(&mut self.ids.lock().unwrap(), now).0;
        self.collector.lock().unwrap().install(Arc::new(registry), now).unwrap();
    }

    /// Ends the API as a stop of the daemon does; the socket's file goes with the world.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.server.await.unwrap();
    }

    /// A connection to the API.
    pub(crate) async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.unwrap()
    }

    /// Sends `bytes` on a new connection, closes the sending side, and reads all that comes.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        // The API may have answered and closed before it read everything.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    /// The answer to one request without a body.
    pub(crate) async fn ask(&self, method: &str, path: &str) -> Answer {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        Answer::parse(&self.exchange(head.as_bytes()).await)
    }

    /// The answer to a GET.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    /// The answer to a POST.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, body).await
    }

    /// The answer to a request with a body.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        Answer::parse(&self.exchange(format!("{head}{body}").as_bytes()).await)
    }

    fn fill(&self) {
        let web: Vec<TargetId> = (0..10).map(|position| self.target("web", position)).collect();
        let mismatch = Outcome {
            code: Code::L7Sts,
            status: 503,
            detail: Detail::Cause(Cause::StatusNotMatched),
        };
        let ok = Outcome { code: Code::L7Ok, status: 200, detail: Detail::None };
        let fault = Outcome::cause(Code::SockErr, Cause::NoFreeSlot);
        let refused = Outcome::errno(Code::L4Con, nix::errno::Errno::ECONNREFUSED);
        let mut reports = vec![
            report(web[0], 90_000, Observed::Healthy, ok),
            report(web[1], 90_001, Observed::Unhealthy, mismatch),
            report(web[2], 90_002, Observed::Unhealthy, refused),
            report(web[2], 95_002, Observed::Unhealthy, ok),
            report(web[3], 90_003, Observed::Unavailable, fault),
            report(web[8], 90_004, Observed::Healthy, ok),
        ];
        for position in 0..4_096 {
            let target = self.target("big", position);
            reports.push(if position % 100 == 99 {
                report(target, 91_000, Observed::Unhealthy, refused)
            } else {
                report(target, 91_000, Observed::Healthy, Outcome::plain(Code::L4Ok))
            });
        }
        for position in [0, 3] {
            let target = self.target("sick", position);
            reports.push(report(target, 92_000, Observed::Unhealthy, refused));
        }
        let mut stats = Stats { in_flight: 3, in_flight_capacity: 64, ..Stats::default() };
        for n in 0..1_000 {
            stats.start(Duration::from_micros(n));
        }
        stats.passed = 990;
        stats.failed = 9;
        stats.local_faults = 1;
        stats.faults[0] = 1;
        for worker in 0..2 {
            let reports = if worker == 0 { std::mem::take(&mut reports) } else { Vec::new() };
            let stats = Some(Box::new(stats.clone()));
            self.collector
                .lock()
                .unwrap()
                .apply(Batch { worker, revision: 1, reports, stats, ..Batch::default() }, NOW);
        }
        // The second batch came within the same second as the first, so its figures wait for a
        // tick.
        self.collector.lock().unwrap().tick(NOW + Duration::from_secs(1));
    }
}

/// A report of a probe that took 310 microseconds.
pub(crate) fn report(target: TargetId, at_ms: u64, observed: Observed, outcome: Outcome) -> Report {
    let phases = Phases {
        connect_us: Some(120),
        tls_us: None,
        first_byte_us: (outcome.status != 0).then_some(300),
        total_us: 310,
    };
    let at = Instant::from_millis(at_ms);
    Report { target, at, outcome, phases, observed, streak: 1, transition: None }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self::parse_first(bytes).0
    }

    /// The first answer in `bytes`, and what follows it.
    pub(crate) fn parse_first(bytes: &[u8]) -> (Self, &[u8]) {
        let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(300)]);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head in '{}'", shown()));
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Self { status, headers, body: Vec::new() };
        let rest = &bytes[end + 4..];
        let rest = if answer.header("transfer-encoding") == Some("chunked") {
            answer.dechunk(rest)
        } else {
            let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
            answer.body = rest[..length.min(rest.len())].to_vec();
            &rest[length.min(rest.len())..]
        };
        (answer, rest)
    }

    fn dechunk<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        while !rest.is_empty() {
            let line = rest.windows(2).position(|window| window == b"\r\n").unwrap();
            let size = std::str::from_utf8(&rest[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            let data = &rest[line + 2..];
            self.body.extend_from_slice(&data[..size]);
            rest = &data[size + 2..];
            if size == 0 {
                break;
            }
        }
        rest
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in '{}'", self.text()))
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert!(!json["error"]["message"].as_str().unwrap().contains('\n'), "{json}");
        (self.status, json["error"]["code"].as_str().unwrap().to_owned())
    }
}
