//! `ringcheck serve`: the daemon.

use super::{Answer, Exit, Failure};
use crate::config::Given;
use crate::engine::daemon::{Daemon, DaemonError, TcpError};
use std::io::IsTerminal;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// Run the daemon: probe the targets of a configuration for ever, and answer on a Unix socket.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck serve --config /etc/ringcheck.toml
  ringcheck serve --config web.toml --socket /tmp/ringcheck.sock

SIGHUP reloads the files, SIGTERM and SIGINT stop cleanly. RUST_LOG=debug logs more.")]
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
    log("info");
    let (file, socket) = (args.config.clone(), args.socket.clone());
    let given = Given { file, socket, state_dir: args.state_dir.clone() };
    let config = given.load().map_err(Failure::usage)?;
    let daemon = Daemon::start(config, Some(given)).map_err(failure)?;
    daemon.run(std::future::pending()).map_err(failure)?;
    Ok(Exit::Good)
}

/// Logs to stderr from `level` on, or as RUST_LOG says.
pub(super) fn log(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_env_filter(filter)
        .init();
}

/// What a daemon's error is to the shell: its configuration's fault, or the engine's.
pub(super) fn failure(error: DaemonError) -> Failure {
    match error {
        DaemonError::Config(error) => Failure::usage(error),
        DaemonError::Tcp(TcpError::NoStateDir) => Failure::usage(TcpError::NoStateDir),
        DaemonError::Engine(_)
        | DaemonError::Bind(_)
        | DaemonError::State(_)
        | DaemonError::Tcp(_)
        | DaemonError::Store(_)
        | DaemonError::Start(..) => Failure::engine(error),
    }
}
