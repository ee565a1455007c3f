//! `ringcheck demo`: a farm of loopback targets and the daemon on it.

use super::{Answer, Failure};
use std::path::PathBuf;

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

/// Runs the command.
pub fn run(args: &DemoArgs) -> Answer {
    Err(Failure::engine(format_args!("cannot demonstrate {} targets yet", args.targets)))
}
