//! `ringcheck delete-group`: removes a group of the API.

use super::client::{Client, DaemonArgs, encoded};
use super::{Answer, Exit, Failure, Format, table};
use std::io::{self, Write};

/// Delete a group that was made through the API, with its targets, at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  ringcheck delete-group web")]
pub struct DeleteGroupArgs {
    /// Its name or id.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// Runs the command.
pub fn run(args: &DeleteGroupArgs) -> Answer {
    let path = format!("/v1/groups/{}", encoded(&args.name));
    let text = Client::connect(&args.daemon.socket)?.delete(&path, String::new())?;
    let mut out = io::stdout().lock();
    let written = match args.daemon.format {
        Format::Table => writeln!(out, "deleted group {}", table::clean(&args.name)),
        Format::Json => writeln!(out, "{}", text.trim_end()),
    };
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    Ok(Exit::Good)
}
