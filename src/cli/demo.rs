//! `ringcheck demo`: a farm of loopback targets and the daemon on it.
//!
//! Nothing in it is special: it writes a configuration as a user would, and runs the daemon on
//! that, so that all commands, reload too, work on its socket. It needs no privileges: its refusing
//! targets are on a port that is held and never listened on.

use super::serve::{failure, log};
use super::{Answer, Exit, Failure, units};
use crate::config::{Given, duration};
use crate::engine::daemon::Daemon;
use crate::farm::{self, Behaviour, Farm, FarmOptions};
use crate::table::{ShownState, StateTable};
use crate::time::{Instant, monotonic};
use socket2::{Domain, Socket, Type};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// See it work: simulated targets on loopback, the daemon on them, a status line a second.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck demo
  ringcheck demo --targets 1000000 --duration 30s")]
pub struct DemoArgs {
    /// How many targets.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub targets: u32,
    /// How long; without it, until Ctrl-C.
    #[arg(long, value_name = "D")]
    pub duration: Option<String>,
    /// Path of the API's socket; without it, one in a temporary directory.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// What the targets do, in parts of a hundred. One more in a hundred refuses: [`REFUSES`].
const MIX: &str = "healthy=95,silent=1,503=1,garbage=1,stall=1,cut=1";
/// Which of a hundred healthy targets refuses instead.
const REFUSES: u32 = 50;

/// Runs the command.
pub fn run(args: &DemoArgs) -> Answer {
    log("warn");
    let duration = args.duration.as_deref().map(parse_duration).transpose()?;
    let mix = MIX.parse().map_err(Failure::engine)?;
    let farm = Farm::start(FarmOptions { mix, ..FarmOptions::default() });
    let farm = farm.map_err(Failure::engine)?;
    let refusing = refusing_port().map_err(|error| {
        Failure::engine(format_args!("cannot bind a port on loopback: {error}; is lo up?"))
    })?;
    let files = Files::write(args, &farm, refusing.1)?;
    let given = Given::file(files.config.clone());
    let config = given.load().map_err(Failure::engine)?;
    let daemon = Daemon::start(config, Some(given)).map_err(failure)?;
    introduce(args, &files.socket);
    let table = daemon.table();
    let started = monotonic();
    let show = async {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        seconds.tick().await;
        loop {
            seconds.tick().await;
            let now = monotonic();
            let line = status_line(&table, now.since(started));
            // Nobody may be reading; the targets are checked all the same.
            let _ = writeln!(std::io::stdout(), "{line}");
            if duration.is_some_and(|duration| now >= started + duration) {
                break;
            }
        }
    };
    daemon.run(show).map_err(failure)?;
    print!("{}", summary(&table, started));
    Ok(Exit::Good)
}

fn parse_duration(text: &str) -> Result<Duration, Failure> {
    duration::parse(text).map_err(|problem| Failure::usage(problem.at("--duration")))
}

/// A port of 127.0.0.0/8 that is bound and not listened on, so that a connect to it is refused and
/// nobody else gets it.
fn refusing_port() -> std::io::Result<(Socket, u16)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    let port = socket.local_addr()?.as_socket().map_or(0, |address| address.port());
    Ok((socket, port))
}

/// The demonstration's configuration in a directory of its own, removed when dropped.
struct Files {
    directory: PathBuf,
    config: PathBuf,
    socket: PathBuf,
}

impl Files {
    fn write(args: &DemoArgs, farm: &Farm, refusing: u16) -> Result<Self, Failure> {
        let directory = std::env::temp_dir().join(format!("ringcheck-demo-{}", std::process::id()));
        let cannot = |error| {
            let place = directory.display();
            Failure::engine(format_args!("cannot write {place}: {error}; set TMPDIR"))
        };
        std::fs::create_dir_all(&directory).map_err(cannot)?;
        let socket = args.socket.clone().unwrap_or_else(|| directory.join("api.sock"));
        let files =
            Self { config: directory.join("demo.toml"), socket, directory: directory.clone() };
        let halves = args.targets / 2;
        let (web, cache) = target_lists(farm, refusing, args.targets, halves);
        std::fs::write(&files.config, config_text(&files.socket)).map_err(cannot)?;
        std::fs::write(directory.join("web.txt"), web).map_err(cannot)?;
        std::fs::write(directory.join("cache.txt"), cache).map_err(cannot)?;
        Ok(files)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // A temporary directory that stays behind is no reason to fail.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn config_text(socket: &Path) -> String {
    format!(
        r#"# What `ringcheck demo` runs on: half of the targets over HTTP, half over TCP.
[api]
socket = {socket:?}

[[group]]
name = "web"
rules = "free"
targets_file = "web.txt"
[group.health_check]
protocol = "HTTP"
path = "/healthz"
interval = "10s"
timeout = "2s"
healthy_threshold = 2
unhealthy_threshold = 2

[[group]]
name = "cache"
rules = "free"
targets_file = "cache.txt"
[group.health_check]
interval = "10s"
timeout = "2s"
healthy_threshold = 2
unhealthy_threshold = 2
"#
    )
}

/// One address a line: the first list with `first` targets, the second with the rest of `count`.
fn target_lists(farm: &Farm, refusing: u16, count: u32, first: u32) -> (String, String) {
    let (mut web, mut cache) = (String::new(), String::new());
    for (place, ip) in (0..).zip(farm::range::addresses(count)) {
        let healthy = farm.mix().behaviour(ip) == Behaviour::Healthy;
        let port = if healthy && place % 100 == REFUSES { refusing } else { farm.port() };
        let list = if place < first { &mut web } else { &mut cache };
        // Writing to a string cannot fail.
        let _ = writeln!(list, "{ip}:{port}");
    }
    (web, cache)
}

fn introduce(args: &DemoArgs, socket: &Path) {
    let (targets, socket) = (units::count(args.targets.into()), socket.display());
    let first = farm::range::FIRST;
    println!(
        "Checking {targets} targets on 127.0.0.0/8, each every 10 s: half over HTTP (group web), half \
         over TCP (group cache).\nOf a hundred targets 94 are well; one each refuses, is silent, answers 503, \
         rubbish, half a line, or never.\nAsk in another terminal:\n\
         \n  export RINGCHECK_SOCKET={socket}\
         \n  ringcheck status\
         \n  ringcheck targets --state unhealthy\
         \n  ringcheck target web {first}\
         \n  curl --unix-socket {socket} http://localhost/v1/summary\n"
    );
}

/// One line of what is going on.
fn status_line(table: &StateTable, elapsed: Duration) -> String {
    let (view, stats) = (table.view(), table.stats());
    let count = |state| -> u64 { view.sets.iter().map(|sets| u64::from(sets.count(state))).sum() };
    let seconds = elapsed.as_secs();
    format!(
        "{:02}:{:02}  {} healthy, {} unhealthy, {} initial | {} probes/s | late p99 {} | {} in flight",
        seconds / 60,
        seconds % 60,
        units::count(count(ShownState::Healthy)),
        units::count(count(ShownState::Unhealthy)),
        units::count(count(ShownState::Initial)),
        units::count(rounded(stats.total.per_second)),
        units::micros(stats.total.lateness_us.p99),
        units::count(stats.total.in_flight),
    )
}

/// A rate as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are positive and far below 2^53"
)]
fn rounded(rate: f64) -> u64 {
    rate.round() as u64
}

/// What there was, at the end.
fn summary(table: &StateTable, started: Instant) -> String {
    let total = &table.stats().total;
    format!(
        "Stopped after {}: {} probes started, {} passed, {} failed, {} local faults.\n",
        units::span(monotonic().since(started)),
        units::count(total.started),
        units::count(total.passed),
        units::count(total.failed),
        units::count(total.local_faults),
    )
}
