//! `ringcheck reload`: asks the daemon to read its files anew.

use super::client::{Client, DaemonArgs, parse};
use super::{Answer, Exit, Failure, Format, table, units};
use serde::Deserialize;
use std::io::{self, Write};

/// Ask the daemon to reload its files, and say what came of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck reload
  ringcheck reload --force")]
pub struct ReloadArgs {
    /// Also where more than half of a large group would go.
    #[arg(long)]
    pub force: bool,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// What came of it.
#[derive(Deserialize)]
struct Reloaded {
    groups: u64,
    targets: u64,
    added: u64,
    removed: u64,
    #[serde(default)]
    from_next_start: Vec<String>,
}

/// Runs the command.
pub fn run(args: &ReloadArgs) -> Answer {
    let body = format!("{{\"force\":{}}}", args.force);
    let text = Client::connect(&args.daemon.socket)?.post("/v1/reload", body)?;
    let mut out = io::stdout().lock();
    let written = match args.daemon.format {
        Format::Table => writeln!(out, "{}", line(&parse(&text)?)),
        Format::Json => writeln!(out, "{}", text.trim_end()),
    };
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    Ok(Exit::Good)
}

fn line(done: &Reloaded) -> String {
    let [targets, groups] = [(done.targets, "target"), (done.groups, "group")]
        .map(|(number, noun)| units::counted(number, noun));
    let [added, removed] = [done.added, done.removed].map(units::count);
    let mut line = format!("reloaded: {targets} in {groups}, {added} added, {removed} removed");
    if !done.from_next_start.is_empty() {
        let settings = table::clean(&done.from_next_start.join(", "));
        line += &format!("; holds from the next start only: {settings}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_a_sentence() {
        let text = r#"{"revision":2,"groups":1,"targets":100000,"added":3,"removed":0}"#;
        let expected = "reloaded: 100,000 targets in 1 group, 3 added, 0 removed";
        assert_eq!(line(&parse(text).unwrap()), expected);
        let text = text.replace('}', r#","from_next_start":["engine.workers","state.dir"]}"#);
        let expected =
            format!("{expected}; holds from the next start only: engine.workers, state.dir");
        assert_eq!(line(&parse(&text).unwrap()), expected);
    }
}
