//! `ringcheck mark`: says of a target that it is stopped, or gives it another weight.

use super::client::{Client, DaemonArgs, encoded};
use super::{Answer, Exit, Failure, Format, table};
use clap::ArgGroup;
use clap::builder::PossibleValuesParser;
use serde_json::json;
use std::io::{self, Write};

/// Mark a target of a group that was made through the API: whether it runs, and its weight.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("marks").args(["lifecycle", "weight"]).multiple(true).required(true))]
#[command(after_help = "\
Examples:
  ringcheck mark web i-0abc --lifecycle stopped
  ringcheck mark web 10.0.0.1 --port 8080 --weight 0")]
pub struct MarkArgs {
    /// The group.
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// The target's id: as registered, or its address.
    #[arg(value_name = "ID")]
    pub id: String,
    /// Its port; else it is marked on all ports.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Whether it runs: running, stopped, terminated.
    #[arg(long, value_name = "L", hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(["running", "stopped", "terminated"]))]
    pub lifecycle: Option<String>,
    /// Its weight, 0 (no traffic) to 1000.
    #[arg(long, value_name = "N")]
    pub weight: Option<u16>,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// Runs the command.
pub fn run(args: &MarkArgs) -> Answer {
    let mut path = format!("/v1/groups/{}/targets/{}", encoded(&args.group), encoded(&args.id));
    if let Some(port) = args.port {
        path.push_str(&format!("?port={port}"));
    }
    // A null is as good as nothing.
    let body = json!({ "lifecycle": args.lifecycle, "weight": args.weight }).to_string();
    let text = Client::connect(&args.daemon.socket)?.patch(&path, body)?;
    let mut out = io::stdout().lock();
    let written = match args.daemon.format {
        Format::Table => {
            let line = format!("marked target {} of group {}", args.id, args.group);
            writeln!(out, "{}", table::clean(&line))
        }
        Format::Json => writeln!(out, "{}", text.trim_end()),
    };
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    Ok(Exit::Good)
}
