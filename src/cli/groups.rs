//! `ringcheck groups`: the groups and how many of their targets are healthy.

use super::client::{Client, DaemonArgs};
use super::{Answer, Failure};

/// List the target groups: settings, targets by state.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck groups
  ringcheck groups --format json")]
pub struct GroupsArgs {
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// Runs the command.
pub fn run(args: &GroupsArgs) -> Answer {
    Client::connect(&args.daemon.socket)?;
    Err(Failure::engine("not yet"))
}
