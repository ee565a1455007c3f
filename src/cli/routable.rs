//! `ringcheck routable`: where the traffic of a group may go.

use super::client::{Client, DaemonArgs, encoded, parse};
use super::{Answer, Exit, Failure, Format, table};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{self, Write};

/// List the targets that traffic may go to: the healthy ones, or, where there is none at all, every
/// one that runs (exit status 1).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck routable web
  ringcheck routable web --zone zone-a --format json")]
pub struct RoutableArgs {
    /// The group.
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// Only those in this zone, and those without a zone.
    #[arg(long, value_name = "Z")]
    pub zone: Option<String>,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// `GET /v1/groups/{group}/routable`.
#[derive(Deserialize)]
struct List {
    targets: Vec<Box<RawValue>>,
    fail_open: bool,
}

#[derive(Deserialize)]
struct Target {
    id: String,
    address: String,
    port: u16,
    zone: Option<String>,
}

/// Runs the command.
pub fn run(args: &RoutableArgs) -> Answer {
    let zone = args.zone.as_deref().map(|zone| format!("?zone={}", encoded(zone)));
    let path = format!("/v1/groups/{}/routable{}", encoded(&args.group), zone.unwrap_or_default());
    let list: List = parse(&Client::connect(&args.daemon.socket)?.get(&path)?)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = match args.daemon.format {
        Format::Json => table::objects(&mut out, &list.targets),
        Format::Table => {
            let targets = list.targets.iter().map(|target| parse(target.get()));
            table::print(&mut out, &rows(&targets.collect::<Result<Vec<_>, _>>()?))
        }
    };
    let written = written.and_then(|()| out.flush());
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    if !list.fail_open {
        return Ok(Exit::Good);
    }
    // Where stderr is gone, the status still says it.
    let note = "warning: no target is healthy, so traffic may go to all that run (fail open)";
    let _ = writeln!(anstream::stderr(), "{note}");
    Ok(Exit::Bad)
}

fn rows(targets: &[Target]) -> comfy_table::Table {
    let mut table = table::new(&["id", "address", "port", "zone"], &[2]);
    for target in targets {
        table.add_row([
            table::text(&target.id),
            table::text(&target.address),
            table::text(&target.port.to_string()),
            table::text(target.zone.as_deref().unwrap_or("")),
        ]);
    }
    table
}
