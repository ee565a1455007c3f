//! `ringcheck serve`: the daemon.

use super::{Answer, Failure};
use std::path::PathBuf;

/// Run the daemon: probe the targets of a configuration for ever, and answer on a Unix socket.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck serve --config /etc/ringcheck.toml
  ringcheck serve --config web.toml --socket /tmp/ringcheck.sock

SIGHUP reloads the files, SIGTERM and SIGINT stop cleanly.")]
pub struct ServeArgs {
    /// The configuration (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Path of the API's socket, instead of the configuration's.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Directory for store and snapshot, instead of the configuration's.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &ServeArgs) -> Answer {
    Err(Failure::engine(format_args!("cannot serve {} yet", args.config.display())))
}
