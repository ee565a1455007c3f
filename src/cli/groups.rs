//! `ringcheck groups`: the groups and how many of their targets are healthy.

use super::client::{Client, DaemonArgs, parse};
use super::status::Counts;
use super::{Answer, Exit, Failure, Format, table, units};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{self, Write};

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

/// `GET /v1/groups`.
#[derive(Deserialize)]
struct Page {
    groups: Vec<Box<RawValue>>,
}

/// A group (DESIGN 5.5), as far as it is printed.
#[derive(Deserialize)]
pub(super) struct Group {
    pub(super) name: String,
    rules: String,
    in_use: bool,
    health_check: HealthCheck,
    pub(super) targets: Counts,
}

#[derive(Deserialize)]
struct HealthCheck {
    enabled: bool,
    protocol: String,
    interval: String,
    path: Option<String>,
}

/// Runs the command.
pub fn run(args: &GroupsArgs) -> Answer {
    let mut client = Client::connect(&args.daemon.socket)?;
    let groups = fetch(&mut client)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = match args.daemon.format {
        Format::Json => table::objects(&mut out, &groups),
        Format::Table => {
            let groups = groups.iter().map(|group| parse(group.get()));
            let groups = groups.collect::<Result<Vec<Group>, _>>()?;
            table::print(&mut out, &rows(&groups))
        }
    };
    let written = written.and_then(|()| out.flush());
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    Ok(Exit::Good)
}

/// All groups, as the daemon wrote them.
pub(super) fn fetch(client: &mut Client) -> Result<Vec<Box<RawValue>>, Failure> {
    Ok(parse::<Page>(&client.get("/v1/groups")?)?.groups)
}

fn rows(groups: &[Group]) -> comfy_table::Table {
    let headings = [
        "group",
        "check",
        "interval",
        "rules",
        "targets",
        "healthy",
        "unhealthy",
        "initial",
        "other",
    ];
    let mut table = table::new(&headings, &[4, 5, 6, 7, 8]);
    for group in groups {
        let check = &group.health_check;
        let what = match (&check.path, check.enabled, group.in_use) {
            (_, false, _) => "off".to_owned(),
            (_, _, false) => "not in use".to_owned(),
            (Some(path), ..) => format!("{} {path}", check.protocol),
            (None, ..) => check.protocol.clone(),
        };
        let Counts { total, healthy, unhealthy, initial, draining, unused, unavailable } =
            group.targets;
        let numbers = [total, healthy, unhealthy, initial, draining + unused + unavailable];
        let texts = [&group.name, &what, &check.interval, &group.rules].map(|t| table::text(t));
        let numbers = numbers.map(|number| table::text(&units::count(number)));
        table.add_row(texts.into_iter().chain(numbers));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_rows() {
        let text = r#"{"name":"web","id":"x","source":"file","rules":"free","in_use":true,
            "health_check":{"enabled":true,"protocol":"HTTP","interval":"10s","path":"/healthz"},
            "targets":{"total":1000,"initial":1,"healthy":990,"unhealthy":4,"draining":2,"unused":3,
            "unavailable":0},"codes":{}}"#;
        let mut out = Vec::new();
        table::print(&mut out, &rows(&[parse(text).unwrap()])).unwrap();
        let expected = "\
GROUP  CHECK          INTERVAL  RULES  TARGETS  HEALTHY  UNHEALTHY  INITIAL  OTHER
web    HTTP /healthz  10s       free     1,000      990          4        1      5
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
