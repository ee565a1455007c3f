//! `ringcheck wait`: until targets are in a state.

use super::client::{Client, DaemonArgs, encoded, parse, pause};
use super::groups::Group;
use super::targets::Target;
use super::{Answer, Exit, Failure, Format, table, units};
use crate::config::duration;
use crate::table::ShownState;
use crate::time::monotonic;
use clap::builder::PossibleValuesParser;
use std::io::{self, Write};
use std::time::Duration;

/// How often it is looked whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Wait until targets are in a state: those that are named, or all of the group (at least one).
/// Exit status 1 if they are not within the timeout.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck wait web --timeout 2m
  ringcheck wait web 10.0.0.1 i-0abc --state unhealthy")]
pub struct WaitArgs {
    /// The group.
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// Ids of targets: as registered, or addresses.
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// The state: initial, healthy, unhealthy, draining, unused, unavailable.
    #[arg(long, value_name = "S", default_value = "healthy", hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(ShownState::ALL.map(ShownState::name)))]
    pub state: String,
    /// Longest time to wait, as 5m.
    #[arg(long, value_name = "D", default_value = "5m", value_parser = timeout)]
    pub timeout: Duration,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

fn timeout(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|problem| problem.to_string())
}

/// Runs the command.
pub fn run(args: &WaitArgs) -> Answer {
    let began = monotonic();
    let mut client = Client::connect(&args.daemon.socket)?;
    let (there, of) = loop {
        let (there, of) = look(&mut client, args)?;
        if there == of && of > 0 || monotonic().since(began) >= args.timeout {
            break (there, of);
        }
        pause(LOOK_EVERY);
    };
    let is_so = there == of && of > 0;
    let state = &args.state;
    let mut out = io::stdout().lock();
    let written = match args.daemon.format {
        Format::Table => {
            let of = units::counted(of, "target");
            writeln!(out, "{} of {of} {state}", units::count(there))
        }
        Format::Json => {
            let answer = serde_json::json!({ "state": state, "targets": of, "there": there });
            writeln!(out, "{answer}")
        }
    };
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    Ok(if is_so { Exit::Good } else { Exit::Bad })
}

/// How many targets are in the state, and of how many.
fn look(client: &mut Client, args: &WaitArgs) -> Result<(u64, u64), Failure> {
    let group = encoded(&args.group);
    if args.targets.is_empty() {
        let group: Group = parse(&client.get(&format!("/v1/groups/{group}"))?)?;
        return Ok((group.targets.of(&args.state), group.targets.total));
    }
    let mut there = 0;
    for id in &args.targets {
        let path = format!("/v1/groups/{group}/targets/{}", encoded(id));
        let target: Target = parse(&client.get(&path)?)?;
        there += u64::from(target.state == args.state);
    }
    Ok((there, args.targets.len() as u64))
}
