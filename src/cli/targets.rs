//! `ringcheck targets`: targets of one group or of all.

use super::client::{Client, DaemonArgs};
use super::{Answer, Failure};

/// List targets, of one group or of all, by state or code.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck targets --state unhealthy
  ringcheck targets --group web --code L4TOUT --limit 10000 --format json")]
pub struct TargetsArgs {
    /// Only this group's.
    #[arg(long, value_name = "G")]
    pub group: Option<String>,
    /// Only those in this state: initial, healthy, unhealthy, draining, unused, unavailable.
    #[arg(long, value_name = "S")]
    pub state: Option<String>,
    /// Only those whose last probe came to this code: L4TOUT, L7STS, …
    #[arg(long, value_name = "C")]
    pub code: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// Runs the command.
pub fn run(args: &TargetsArgs) -> Answer {
    Client::connect(&args.daemon.socket)?;
    Err(Failure::engine("not yet"))
}
