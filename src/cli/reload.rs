//! `ringcheck reload`: asks the daemon to read its files anew.

use super::client::{Client, DaemonArgs};
use super::{Answer, Failure};

/// Ask the daemon to reload its files, and say what came of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck reload
  ringcheck reload --force")]
pub struct ReloadArgs {
    /// Also where more than half of a large group would go.
    #[arg(long)]
    pub force: bool,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// Runs the command.
pub fn run(args: &ReloadArgs) -> Answer {
    Client::connect(&args.daemon.socket)?;
    Err(Failure::engine("not yet"))
}
