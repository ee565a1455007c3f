//! `ringcheck deregister`: takes targets from a group of the API; they drain.

use super::client::{Client, DaemonArgs, encoded, parse, pause};
use super::groups::Group;
use super::listed::{self, Item, ListedArgs};
use super::progress::Progress;
use super::{Answer, Exit, Failure, Format, table, units};
use crate::config::Lifecycle;
use crate::config::target_file::Entry;
use crate::config::targets::TargetRange;
use crate::limits::PAGE_TARGETS_MAX;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How often it is looked whether all have drained.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Deregister targets of a group that was made through the API. They drain for the group's
/// deregistration delay, and are gone then.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck deregister web 10.0.0.1:8080 i-0abc
  ringcheck deregister web --targets fleet.json
  ringcheck deregister web --all --wait")]
pub struct DeregisterArgs {
    /// The group.
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// Which targets, by address or id; without a port, those on all ports.
    #[command(flatten)]
    pub listed: ListedArgs,
    /// All targets of the group.
    #[arg(long, conflicts_with_all = ["targets", "file"])]
    pub all: bool,
    /// Wait until no target of the group drains any more.
    #[arg(long)]
    pub wait: bool,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// The answer to one request, and the sum of several.
#[derive(Default, Deserialize, Serialize)]
struct Deregistered {
    deregistered: u64,
    revision: u64,
}

/// `GET /v1/groups/{group}/targets`.
#[derive(Deserialize)]
struct Page {
    targets: Vec<Registered>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Registered {
    id: Box<str>,
    port: u16,
    state: String,
}

/// Runs the command.
pub fn run(args: &DeregisterArgs) -> Answer {
    if args.listed.is_empty() && !args.all {
        let cure = "name some by address or id, a file of them with --targets, or --all";
        return Err(Failure::usage(format_args!("no targets; {cure}")));
    }
    let listed = args.listed.entries(|id| Some(named(id.into(), None)))?;
    let mut client = Client::connect(&args.daemon.socket)?;
    let entries = if args.all { all(&mut client, &args.group)? } else { listed };
    let items = listed::items(&entries, |entry, address| Item {
        id: entry.id.as_deref(),
        address: if entry.id.is_some() { None } else { Some(address) },
        port: entry.range.port,
        zone: None,
        weight: None,
        lifecycle: None,
    });
    let path = format!("/v1/groups/{}/targets", encoded(&args.group));
    let mut progress = Progress::new("deregistering", listed::count(&entries));
    let (mut sum, mut sent) = (Deregistered::default(), 0);
    for body in listed::bodies(items) {
        let text = client.delete(&path, body.text).map_err(|failure| progress.after(failure))?;
        let Deregistered { deregistered, revision } = parse(&text)?;
        sum = Deregistered { deregistered: sum.deregistered + deregistered, revision };
        sent += body.targets;
        progress.done(sent);
    }
    progress.finish();
    if args.wait {
        wait(&mut client, &args.group)?;
    }
    let mut out = io::stdout().lock();
    let written = match args.daemon.format {
        Format::Table => writeln!(out, "{}", line(args, sum.deregistered)),
        Format::Json => writeln!(out, "{}", serde_json::json!(sum)),
    };
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    Ok(Exit::Good)
}

/// A target by its id, which says it all; the address is not looked at.
fn named(id: Box<str>, port: Option<u16>) -> Entry {
    let range = TargetRange::single(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    Entry { range, id: Some(id), zone: None, weight: None, lifecycle: Lifecycle::Running }
}

/// All targets of the group that do not drain yet.
fn all(client: &mut Client, group: &str) -> Result<Vec<Entry>, Failure> {
    let path = format!("/v1/groups/{}/targets?limit={PAGE_TARGETS_MAX}", encoded(group));
    let mut entries = Vec::new();
    let mut cursor = None;
    loop {
        let next = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page: Page = parse(&client.get(&format!("{path}{next}"))?)?;
        let staying = page.targets.into_iter().filter(|target| target.state != "draining");
        entries.extend(staying.map(|target| named(target.id, Some(target.port))));
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(entries),
        }
    }
}

/// Waits until no target of the group drains.
fn wait(client: &mut Client, group: &str) -> Result<(), Failure> {
    let path = format!("/v1/groups/{}", encoded(group));
    loop {
        let group: Group = parse(&client.get(&path)?)?;
        if group.targets.draining == 0 {
            return Ok(());
        }
        pause(LOOK_EVERY);
    }
}

fn line(args: &DeregisterArgs, deregistered: u64) -> String {
    let drained = if args.wait { ", and no target drains any more" } else { "" };
    let targets = units::counted(deregistered, "target");
    table::clean(&format!("deregistered {targets} of {}{drained}", args.group))
}
