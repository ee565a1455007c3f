//! `ringcheck register`: adds targets to a group of the API.

use super::client::{Client, DaemonArgs, encoded, parse};
use super::listed::{self, Item, ListedArgs};
use super::progress::Progress;
use super::{Answer, Exit, Failure, Format, table, units};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// Register targets with a group that was made through the API. Those that are registered already
/// get the new zone, weight and lifecycle.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck register web 10.0.0.1:8080 10.0.1.0/24:8080
  ringcheck register web 10.0.0.7 --id i-0abc --zone zone-a --weight 10
  ringcheck register web --targets fleet.json

More than 100,000 targets go in several requests, each of which is carried out whole or not at all.")]
pub struct RegisterArgs {
    /// The group.
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// Which targets.
    #[command(flatten)]
    pub listed: ListedArgs,
    /// Id of the one TARGET; else its id is its address.
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Zone of those that name none.
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// Weight of those that name none, 0 to 1000.
    #[arg(long, value_name = "N")]
    pub weight: Option<u16>,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// The answer to one request, and the sum of several.
#[derive(Default, Deserialize, Serialize)]
struct Registered {
    registered: u64,
    revision: u64,
}

/// Runs the command.
pub fn run(args: &RegisterArgs) -> Answer {
    let entries = args.listed.entries(|_| None)?;
    let count = listed::count(&entries);
    if count == 0 {
        let cure = "name some, as 10.0.0.1:80, or a file of them with --targets";
        return Err(Failure::usage(format_args!("no targets; {cure}")));
    }
    if args.id.is_some() && count > 1 {
        let cure = "register them one by one, or give ids in a JSON file with --targets";
        return Err(Failure::usage(format_args!("--id names one target, not {count}; {cure}")));
    }
    let items = listed::items(&entries, |entry, address| Item {
        id: entry.id.as_deref().or(args.id.as_deref()),
        address: Some(address),
        port: entry.range.port,
        zone: entry.zone.as_deref().or(args.zone.as_deref()),
        weight: entry.weight.or(args.weight),
        lifecycle: listed::lifecycle(entry.lifecycle),
    });
    let mut client = Client::connect(&args.daemon.socket)?;
    let path = format!("/v1/groups/{}/targets", encoded(&args.group));
    let mut progress = Progress::new("registering", count);
    let (mut sum, mut sent) = (Registered::default(), 0);
    for body in listed::bodies(items) {
        let text = client.post(&path, body.text).map_err(|failure| progress.after(failure))?;
        let Registered { registered, revision } = parse(&text)?;
        sum = Registered { registered: sum.registered + registered, revision };
        sent += body.targets;
        progress.done(sent);
    }
    progress.finish();
    let mut out = io::stdout().lock();
    let written = match args.daemon.format {
        Format::Table => writeln!(out, "{}", line(&args.group, sum.registered, sent)),
        Format::Json => writeln!(out, "{}", serde_json::json!(sum)),
    };
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    Ok(Exit::Good)
}

fn line(group: &str, registered: u64, sent: u64) -> String {
    let rest = match sent.saturating_sub(registered) {
        0 => String::new(),
        1 => "; 1 was so already".to_owned(),
        rest => format!("; {} were so already", units::count(rest)),
    };
    let text = format!("registered {} in {group}{rest}", units::counted(registered, "target"));
    table::clean(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_a_sentence() {
        assert_eq!(line("web", 3, 3), "registered 3 targets in web");
        assert_eq!(line("web", 0, 1), "registered 0 targets in web; 1 was so already");
        assert_eq!(line("web", 1, 1001), "registered 1 target in web; 1,000 were so already");
    }
}
