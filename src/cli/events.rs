//! `ringcheck events`: the latest transitions.

use super::client::{Client, DaemonArgs};
use super::{Answer, Failure};

/// List the latest changes of state.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck events
  ringcheck events --limit 1000 --format json")]
pub struct EventsArgs {
    /// Only those after this sequence number.
    #[arg(long, value_name = "SEQ")]
    pub since: Option<u64>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub limit: u64,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// Runs the command.
pub fn run(args: &EventsArgs) -> Answer {
    Client::connect(&args.daemon.socket)?;
    Err(Failure::engine("not yet"))
}
