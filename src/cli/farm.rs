//! `ringcheck farm`: the simulated targets alone.

use super::{Answer, Exit, Failure, units};
use crate::farm::{Farm, FarmCounts, FarmOptions, Mix, range};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;

/// Time between two status lines.
const STATUS_MS: u16 = 1_000;
/// CIDR ranges that an example names at most.
const RANGES_SHOWN: usize = 8;

/// Simulate targets on 127.0.0.0/8 (loopback only), each behaving as its address says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck farm --port 9000
  ringcheck farm --port 9000 --mix healthy=97,refuse=1,silent=1,503=1

Behaviours: healthy, refuse, silent, stall, garbage, reset, cut, dribble, endless, or an HTTP
status. A target's behaviour is its address modulo the sum of the weights, in the order of the mix.
'refuse' needs root or CAP_NET_RAW. Runs until Ctrl-C.")]
pub struct FarmArgs {
    /// Port of every target; 0: any that is free.
    #[arg(long, value_name = "P")]
    pub port: u16,
    /// Behaviours and their weights.
    #[arg(long, value_name = "MIX", default_value = "healthy=1")]
    pub mix: Mix,
    /// How many targets the examples name; all of 127.0.0.0/8 answer.
    #[arg(long, value_name = "N", default_value_t = 65_536)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(range::TARGETS_MAX)))]
    pub targets: u32,
    /// Threads that serve.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
}

/// Runs the command.
pub fn run(args: &FarmArgs) -> Answer {
    // Before any thread starts, so that they inherit it and the signals come to us alone.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    let broken = |errno| Failure::engine(format_args!("cannot wait for signals: {errno}"));
    signals.thread_block().map_err(broken)?;
    let stop = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC).map_err(broken)?;
    let options = FarmOptions {
        port: args.port,
        mix: args.mix.clone(),
        threads: usize::from(args.threads),
        connections: None,
    };
    let farm = Farm::start(options).map_err(Failure::engine)?;
    announce(&farm, args.targets).map_err(|error| Failure::output(&error))?;
    let has_terminal = std::io::stderr().is_terminal();
    let timeout = if has_terminal { PollTimeout::from(STATUS_MS) } else { PollTimeout::NONE };
    let mut before = farm.counts();
    loop {
        let mut files = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        match poll(&mut files, timeout) {
            Ok(0) => before = status(before, farm.counts()),
            Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => break,
            Err(errno) => return Err(broken(errno)),
        }
    }
    let counts = farm.stop();
    if has_terminal {
        eprintln!("\r\x1b[K{}", total(counts));
    }
    Ok(Exit::Good)
}

/// One line of what is served, and how to use it.
fn announce(farm: &Farm, targets: u32) -> std::io::Result<()> {
    let port = farm.port();
    let ranges = range::cidrs(targets);
    let mut list: Vec<_> =
        ranges.iter().take(RANGES_SHOWN).map(|net| format!("{net}:{port}")).collect();
    if ranges.len() > RANGES_SHOWN {
        list.push("…".to_owned());
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "farm on 127.0.0.0/8 and [::1], port {port}, mix {}", farm.mix())?;
    writeln!(
        out,
        "  {}: ringcheck probe {}",
        units::counted(targets.into(), "target"),
        list.join(" ")
    )?;
    writeln!(out, "  over HTTP:  ringcheck probe --protocol http 127.1.0.0/24:{port}")?;
    writeln!(out, "  one target: curl -i http://127.1.0.1:{port}/")?;
    out.flush()
}

/// Rewrites the status line, and returns the counts that it showed.
fn status(before: FarmCounts, now: FarmCounts) -> FarmCounts {
    let accepted = units::count(now.accepted - before.accepted);
    let answered = units::count(now.answered - before.answered);
    let refused = units::count(now.refused - before.refused);
    eprint!("\r\x1b[K{accepted} accepted/s, {answered} answered/s, {refused} refused/s");
    now
}

fn total(counts: FarmCounts) -> String {
    let [accepted, answered, refused] =
        [counts.accepted, counts.answered, counts.refused].map(units::count);
    format!("{accepted} accepted, {answered} answered, {refused} refused")
}
