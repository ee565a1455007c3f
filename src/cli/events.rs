//! `ringcheck events`: the latest transitions.

use super::client::{Client, DaemonArgs, encoded, parse};
use super::{Answer, Exit, Failure, Format, follow, table};
use crate::limits::PAGE_TARGETS_MAX;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::io::{self, Write};

/// List the latest changes of state, or follow them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck events
  ringcheck events --limit 1000 --format json
  ringcheck events --follow --group web

--follow goes on when the daemon was restarted, and ends with status 3 when it is gone for a minute.")]
pub struct EventsArgs {
    /// Only those after this sequence number, the oldest first.
    #[arg(long, value_name = "N")]
    pub since: Option<u64>,
    /// Only those of this group.
    #[arg(long, value_name = "G")]
    pub group: Option<String>,
    /// Go on with each event as it happens, until Ctrl-C.
    #[arg(long)]
    pub follow: bool,
    /// How many at most, 100 unless given; without --since the latest ones. With --follow: how many
    /// from before, 10 unless given.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub limit: Option<u64>,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// Events that are listed unless asked otherwise.
const LIMIT: u64 = 100;

/// `GET /v1/events`.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) events: Vec<Box<RawValue>>,
    next_since: u64,
}

/// What a target's own history and an event have in common.
#[derive(Debug, Deserialize)]
pub(super) struct Transition {
    pub(super) at: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) code: String,
    pub(super) detail: Option<String>,
}

/// An event (DESIGN 5.5), as far as it is printed.
#[derive(Deserialize)]
pub(super) struct Event {
    pub(super) seq: u64,
    pub(super) group: String,
    pub(super) id: String,
    pub(super) port: u16,
    #[serde(flatten)]
    pub(super) transition: Transition,
}

/// Runs the command.
pub fn run(args: &EventsArgs) -> Answer {
    if args.follow {
        return follow::run(args);
    }
    let mut client = Client::connect(&args.daemon.socket)?;
    let events = fetch(&mut client, args)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = match args.daemon.format {
        Format::Json => table::objects(&mut out, &events),
        Format::Table => {
            let events = events.iter().map(|event| parse(event.get()));
            table::print(&mut out, &rows(&events.collect::<Result<Vec<_>, _>>()?))
        }
    };
    let written = written.and_then(|()| out.flush());
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    Ok(Exit::Good)
}

/// The events that were asked for. The daemon answers oldest first, so the latest ones are what is
/// left when all (a bounded number) have been read.
fn fetch(client: &mut Client, args: &EventsArgs) -> Result<VecDeque<Box<RawValue>>, Failure> {
    let limit = usize::try_from(args.limit.unwrap_or(LIMIT)).unwrap_or(usize::MAX);
    let group = args.group.as_deref().map(|group| format!("&group={}", encoded(group)));
    let group = group.unwrap_or_default();
    let mut events: VecDeque<Box<RawValue>> = VecDeque::new();
    let mut since = args.since.unwrap_or(0);
    loop {
        let path = format!("/v1/events?since={since}&limit={PAGE_TARGETS_MAX}{group}");
        let page: Page = parse(&client.get(&path)?)?;
        let is_last = page.events.len() < PAGE_TARGETS_MAX;
        events.extend(page.events);
        if args.since.is_some() {
            events.truncate(limit);
        }
        while events.len() > limit {
            events.pop_front();
        }
        if is_last || args.since.is_some() && events.len() == limit {
            return Ok(events);
        }
        since = page.next_since;
    }
}

fn rows(events: &[Event]) -> comfy_table::Table {
    let headings = ["seq", "at", "group", "id", "port", "from", "to", "code", "detail"];
    let mut table = table::new(&headings, &[0, 4]);
    for event in events {
        let Transition { at, from, to, code, detail } = &event.transition;
        table.add_row([
            table::text(&event.seq.to_string()),
            table::text(at),
            table::text(&event.group),
            table::text(&event.id),
            table::text(&event.port.to_string()),
            table::state(from),
            table::state(to),
            table::text(code),
            table::text(detail.as_deref().unwrap_or("")),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_rows() {
        let text = r#"{"seq":12,"at":"2026-01-02T03:04:05.678Z","group":"web","id":"10.0.0.1",
            "address":"10.0.0.1","port":80,"from":"healthy","to":"unhealthy",
            "reason":"Target.Timeout","code":"L4TOUT","detail":null}"#;
        let mut out = Vec::new();
        table::print(&mut out, &rows(&[parse(text).unwrap()])).unwrap();
        let expected = "\
SEQ  AT                        GROUP  ID        PORT  FROM     TO         CODE    DETAIL
 12  2026-01-02T03:04:05.678Z  web    10.0.0.1    80  healthy  unhealthy  L4TOUT  -
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
