//! `ringcheck probe`: probe these targets now, once or a few times, and say what came of it.

mod list;
mod options;
mod presenter;
mod row;
mod summary;
mod target;

pub use list::Targets;
pub use options::ProbeOptions;
pub use presenter::{Presenter, Scope};
pub use row::Row;
pub use summary::Summary;

use super::interrupt::Interrupt;
use super::usage::at_least_one;
use super::{Answer, Failure, units};
use crate::engine::Plan;
use crate::engine::oneshot::{Next, OneShot};
use crate::engine::scan::may_scan;
use crate::recipe::Handshake;
use crate::report::Report;
use crate::time::monotonic;
use clap::ValueEnum;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Longest wait for reports, after which what is due is shown.
const PATIENCE: Duration = Duration::from_millis(100);

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProbeFormat {
    /// Aligned columns for people.
    #[default]
    Table,
    /// One JSON object per line.
    Json,
    /// Comma-separated values with a header line.
    Csv,
}

/// Protocol of targets that name none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProbeProtocol {
    /// A connection is enough.
    #[default]
    Tcp,
    /// A request and a matching status.
    Http,
    /// Not in this version.
    #[value(hide = true)]
    Https,
    /// Not in this version.
    #[value(hide = true)]
    Tls,
    /// Not in this version.
    #[value(hide = true)]
    Udp,
}

/// How sockets are driven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProbeBackend {
    /// The best that works here.
    #[default]
    Auto,
    /// io_uring, or exit 3.
    #[value(name = "io_uring")]
    IoUring,
    /// epoll, whatever else works here.
    Epoll,
}

/// How far the handshake of a TCP check goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProbeHandshake {
    /// The last ACK is held back: the target's accept() does not see the probe. The default.
    Half,
    /// The handshake is completed.
    Full,
    /// As half, and without a socket: SYN out, SYN-ACK or RST in. Needs CAP_NET_RAW.
    Raw,
}

impl From<ProbeHandshake> for Handshake {
    fn from(given: ProbeHandshake) -> Self {
        match given {
            ProbeHandshake::Half => Self::Half,
            ProbeHandshake::Full => Self::Full,
            ProbeHandshake::Raw => Self::Raw,
        }
    }
}

/// Probe targets now: once, without a daemon.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck probe 10.0.0.1:80 http://10.0.0.2:8080/healthz
  ringcheck probe 10.0.0.0/16:80 --timeout 1s --rate 20000
  ringcheck probe 10.0.0.0/12:80 --timeout 2s --handshake raw
  ringcheck probe --targets list.txt --protocol http --path /healthz --format json

A target is host:port, tcp://host:port, http://host:port/path, a CIDR range 10.0.0.0/16:80, or
[::1]:80. Exit status: 0 all passed, 1 some did not, 3 only the checker's own faults. Ctrl-C sums up
what was done so far.")]
pub struct ProbeArgs {
    /// What to probe.
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// More targets from a file, or - for standard input: JSON, or one a line with # comments.
    #[arg(long = "targets", value_name = "FILE")]
    pub targets_file: Option<PathBuf>,
    /// Protocol of targets that name none.
    #[arg(long, value_enum, value_name = "P", default_value_t, ignore_case = true)]
    pub protocol: ProbeProtocol,
    /// Port of targets that name none.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Path of HTTP targets that name none; / without it.
    #[arg(long, value_name = "P")]
    pub path: Option<String>,
    /// Longest time of one probe, 10ms to 5m; without it 10s, for HTTP 6s.
    #[arg(long, value_name = "D")]
    pub timeout: Option<String>,
    /// HTTP statuses that pass, as 200,204,301-302; without it 200-399.
    #[arg(long, value_name = "M")]
    pub matcher: Option<String>,
    /// How far the handshake of TCP targets goes; without it half.
    #[arg(long, value_enum, value_name = "H")]
    pub handshake: Option<ProbeHandshake>,
    /// How often each target is probed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = at_least_one::<u32>)]
    pub count: u32,
    /// Probes started per second at most; without it as fast as it goes.
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>)]
    pub rate: Option<u64>,
    /// Worker threads; without it one per CPU.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// How sockets are driven; auto is io_uring where it can be had, else epoll.
    #[arg(long, value_enum, value_name = "B", default_value_t)]
    pub backend: ProbeBackend,
    /// How to print the results.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: ProbeFormat,
}

/// Runs the command.
pub fn run(args: &ProbeArgs) -> Answer {
    let options = ProbeOptions::new(args)?;
    let raw = args.handshake == Some(ProbeHandshake::Raw);
    if raw {
        may_scan().map_err(Failure::engine)?;
    }
    let plan = Plan::new(options.backend, options.workers, None, raw).map_err(Failure::engine)?;
    let scope = Scope {
        format: options.format,
        probes: options.targets.len() as u64 * u64::from(options.count),
        target_chars: options.targets.chars_max(),
        started: monotonic(),
    };
    let interrupt = Interrupt::catch()
        .map_err(|errno| Failure::engine(format_args!("cannot wait for Ctrl-C: {errno}")))?;
    let mut presenter = Presenter::on_stdout(scope);
    let mut run = OneShot::start(
        &plan,
        &options.recipes,
        options.targets.shots(),
        options.targets.len(),
        options.count,
        options.rate.map(|rate| rate as f64),
    )
    .map_err(Failure::engine)?;
    let ended = follow(&mut run, &mut presenter, &options.targets, &interrupt);
    let now = monotonic();
    run.finish().map_err(Failure::engine)?;
    match ended? {
        Ended::Done => presenter.finish(now),
        Ended::Unread(error) => presenter.abandon(&error),
        Ended::Interrupted => {
            let [done, all] = [presenter.shown(), scope.probes].map(units::count);
            presenter.finish(now)?;
            Err(Failure::interrupted(format_args!("interrupted after {done} of {all} probes")))
        }
    }
}

/// Why a run is over.
#[derive(Debug)]
enum Ended {
    Done,
    /// Stdout cannot be written.
    Unread(io::Error),
    /// Ctrl-C.
    Interrupted,
}

/// Shows what comes of `run` until it is over.
fn follow<O: io::Write>(
    run: &mut OneShot,
    presenter: &mut Presenter<O>,
    targets: &Targets,
    interrupt: &Interrupt,
) -> Result<Ended, Failure> {
    loop {
        let shown = match run.next(PATIENCE).map_err(Failure::engine)? {
            Next::Batch(batch) => {
                let shown = show(presenter, targets, &batch.reports);
                run.recycle(batch);
                shown
            }
            Next::Nothing => presenter.tick(monotonic()),
            Next::Done => return Ok(Ended::Done),
        };
        if let Err(error) = shown {
            return Ok(Ended::Unread(error));
        }
        if interrupt.came() {
            return Ok(Ended::Interrupted);
        }
    }
}

fn show<O: io::Write>(
    presenter: &mut Presenter<O>,
    targets: &Targets,
    reports: &[Report],
) -> io::Result<()> {
    for report in reports {
        let (name, endpoint) = targets.find(report.target.0);
        let (outcome, phases) = (report.outcome, report.phases);
        presenter.row(&Row { name, endpoint, outcome, phases })?;
    }
    presenter.tick(monotonic())
}
