//! `ringcheck target`: one target, with its last probe and its history.

use super::client::{Client, DaemonArgs};
use super::{Answer, Failure};

/// Show one target: state, reason, last probe, last transitions. Exit status 1 if it is not healthy.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck target web 10.0.0.1
  ringcheck target web i-0abc --port 8080")]
pub struct TargetArgs {
    /// Its group.
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// Its id: as registered, or its address.
    #[arg(value_name = "ID")]
    pub id: String,
    /// Its port, where the group has the id with several ports.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// Runs the command.
pub fn run(args: &TargetArgs) -> Answer {
    Client::connect(&args.daemon.socket)?;
    Err(Failure::engine("not yet"))
}
