//! `ringcheck status`: how the daemon is.

use super::client::{Client, DaemonArgs};
use super::{Answer, Failure};

/// Say how the daemon is: targets by state, probes per second, lateness, load.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck status
  ringcheck status --format json")]
pub struct StatusArgs {
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// Runs the command.
pub fn run(args: &StatusArgs) -> Answer {
    Client::connect(&args.daemon.socket)?;
    Err(Failure::engine("not yet"))
}
