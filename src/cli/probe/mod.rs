//! `ringcheck probe`: probe these targets now, once or a few times, and say what came of it.

mod args;
mod list;
mod options;
mod presenter;
mod row;
mod settings;
mod summary;
mod target;

pub use args::{
    ProbeArgs, ProbeBackend, ProbeFormat, ProbeHandshake, ProbeMethod, ProbeProtocol, ProbeProxy,
};
pub use list::Targets;
pub use options::ProbeOptions;
pub use presenter::{Presenter, Scope};
pub use row::Row;
pub use summary::Summary;

use super::interrupt::Interrupt;
use super::{Answer, Failure, units};
use crate::check::tls::Presented;
use crate::engine::Plan;
use crate::engine::oneshot::{Next, OneShot};
use crate::engine::scan::may_scan;
use crate::report::{Batch, TargetId};
use crate::time::{monotonic, wall_ms};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for reports, after which what is due is shown.
const PATIENCE: Duration = Duration::from_millis(100);

/// Runs the command.
pub fn run(args: &ProbeArgs) -> Answer {
    let options = ProbeOptions::new(args)?;
    let raw = args.tcp.handshake == Some(ProbeHandshake::Raw);
    if raw {
        may_scan().map_err(Failure::engine)?;
    }
    let plan = Plan::new(options.backend, options.workers, None, raw).map_err(Failure::engine)?;
    let scope = Scope {
        format: options.format,
        probes: options.targets.len() as u64 * u64::from(options.count),
        target_chars: options.targets.chars_max(),
        started: monotonic(),
        started_s: i64::try_from(wall_ms() / 1_000).unwrap_or(i64::MAX),
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
    // What is presented is told once, and holds for a target's later probes.
    let mut presented = HashMap::new();
    loop {
        let shown = match run.next(PATIENCE).map_err(Failure::engine)? {
            Next::Batch(mut batch) => {
                presented.extend(batch.presented.drain(..));
                let shown = show(presenter, targets, &presented, &batch);
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
    presented: &HashMap<TargetId, Arc<Presented>>,
    batch: &Batch,
) -> io::Result<()> {
    for report in &batch.reports {
        let (name, endpoint) = targets.find(report.target.0);
        let (outcome, phases) = (report.outcome, report.phases);
        let presented = presented.get(&report.target).map(|presented| &**presented);
        presenter.row(&Row { name, endpoint, outcome, phases, presented })?;
    }
    presenter.tick(monotonic())
}
