//! `ringcheck farm`: the simulated targets alone.

use super::{Answer, Exit, Failure, units};
use crate::config::duration;
use crate::farm::{Farm, FarmCounts, FarmOptions, Mix, Percent, range};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

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
  ringcheck farm --port 9000 --mix healthy=9,flap=1 --flap-period 30s --blackout 5%

Behaviours: healthy, refuse, silent, flap, stall, garbage, reset, cut, dribble, endless, or an HTTP
status. A target's behaviour is its address modulo the sum of the weights, in the order of the mix.
'flap' is healthy for one half of the period and silent for the other, in a phase by address.
'refuse' needs root or CAP_NET_RAW. SIGUSR1 makes the share of --blackout silent at once, SIGUSR2
ends that; who is part of it follows from the address. Runs until Ctrl-C.")]
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
    /// Time in which a flapping target is healthy once and silent once.
    #[arg(long, value_name = "D", default_value = "60s", value_parser = flap_period)]
    pub flap_period: Duration,
    /// The share of all targets that SIGUSR1 silences, 1% to 100%.
    #[arg(long, value_name = "SHARE", default_value_t = Percent::ALL)]
    pub blackout: Percent,
}

/// Shortest flap period: sixteen steps of ten milliseconds.
const FLAP_PERIOD_MIN: Duration = Duration::from_millis(160);
/// Longest one.
const FLAP_PERIOD_MAX: Duration = Duration::from_hours(24);

fn flap_period(text: &str) -> Result<Duration, String> {
    let period = duration::parse(text).map_err(|problem| problem.to_string())?;
    if !(FLAP_PERIOD_MIN..=FLAP_PERIOD_MAX).contains(&period) {
        return Err("160ms to 24h are allowed".to_owned());
    }
    Ok(period)
}

/// Runs the command.
pub fn run(args: &FarmArgs) -> Answer {
    // Before any thread starts, so that they inherit it and the signals come to us alone.
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2] {
        signals.add(signal);
    }
    signals.thread_block().map_err(broken)?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC).map_err(broken)?;
    let options = FarmOptions {
        port: args.port,
        mix: args.mix.clone(),
        threads: usize::from(args.threads),
        connections: None,
        flap_period: args.flap_period,
    };
    let farm = Farm::start(options).map_err(Failure::engine)?;
    announce(&farm, args.targets).map_err(|error| Failure::output(&error))?;
    let has_terminal = std::io::stderr().is_terminal();
    let timeout = if has_terminal { PollTimeout::from(STATUS_MS) } else { PollTimeout::NONE };
    let mut before = farm.counts();
    loop {
        let mut files = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut files, timeout) {
            Ok(0) => before = status(before, farm.counts()),
            Err(Errno::EINTR) => {}
            Ok(_) if obey(&signals, &farm, args.blackout)? => {}
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

fn broken(errno: Errno) -> Failure {
    Failure::engine(format_args!("cannot wait for signals: {errno}"))
}

/// Does what the signal that has come asks for; false where that is to end.
fn obey(signals: &SignalFd, farm: &Farm, share: Percent) -> Result<bool, Failure> {
    let Some(signal) = signals.read_signal().map_err(broken)? else { return Ok(true) };
    let signal = i32::try_from(signal.ssi_signo).unwrap_or(0);
    let blackout = match Signal::try_from(signal) {
        Ok(Signal::SIGUSR1) => Some(share),
        Ok(Signal::SIGUSR2) => None,
        Ok(_) | Err(_) => return Ok(false),
    };
    farm.black_out(blackout).map_err(Failure::engine)?;
    // Nobody may be reading; it has happened all the same.
    let _ = match blackout {
        Some(share) => writeln!(std::io::stdout(), "blackout: {share} of the targets are silent"),
        None => writeln!(std::io::stdout(), "blackout is over"),
    };
    Ok(true)
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
