//! `ringcheck targets`: targets of one group or of all.

use super::certificate::Tls;
use super::client::{Client, DaemonArgs, encoded, parse};
use super::groups::{self, Group};
use super::usage::at_least_one;
use super::{Answer, Exit, Failure, Format, table, units};
use crate::config::duration;
use crate::limits::PAGE_TARGETS_MAX;
use crate::outcome::TABLE;
use crate::table::ShownState;
use clap::builder::PossibleValuesParser;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{self, Write};

const HEADINGS: &[&str] =
    &["group", "id", "address", "port", "state", "code", "detail", "since", "last probe"];
/// Those where certificates are asked for.
const EXPIRES_HEADINGS: &[&str] =
    &["group", "id", "address", "port", "state", "subject", "expires"];

/// List targets, of one group or of all, by state or code.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck targets --state unhealthy
  ringcheck targets --group web --code L4TOUT --limit 10000
  ringcheck targets --expires-within 14d
  ringcheck targets --limit 2000000 --format json > all.json")]
pub struct TargetsArgs {
    /// Only this group's.
    #[arg(long, value_name = "G")]
    pub group: Option<String>,
    /// Only those in this state: initial, healthy, unhealthy, draining, unused, unavailable.
    #[arg(long, value_name = "S", hide_possible_values = true)]
    #[arg(value_parser = PossibleValuesParser::new(ShownState::ALL.map(ShownState::name)))]
    pub state: Option<String>,
    /// Only those whose last probe came to this code: L4TOUT, L7STS, …
    #[arg(long, value_name = "C", hide_possible_values = true, ignore_case = true)]
    #[arg(value_parser = PossibleValuesParser::new(TABLE.each_ref().map(|row| row.name)))]
    pub code: Option<String>,
    /// Only those whose certificate has expired or does within this time, as 14d.
    #[arg(long, value_name = "D", value_parser = duration_text)]
    pub expires_within: Option<String>,
    /// How many at most; they are read page by page, however many there are.
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = at_least_one::<u64>)]
    pub limit: u64,
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// Bytes that are printed at once: some hundred targets.
const OUT_BYTES: usize = 128 * 1024;
/// By how much a listing of many pages is nicer than others (`nice(2)`).
const NICENESS: i32 = 10;

/// `GET /v1/groups/{group}/targets`.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    targets: Vec<&'a RawValue>,
    next_cursor: Option<String>,
}

/// A target (DESIGN 5.2), as far as it is printed.
#[derive(Deserialize)]
pub(super) struct Target {
    pub(super) id: String,
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) zone: Option<String>,
    pub(super) weight: u16,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) description: Option<String>,
    pub(super) code: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) since: Option<String>,
    pub(super) last_probe: Option<LastProbe>,
    pub(super) tls: Option<Tls>,
}

/// When the last probe was, and how long its phases took.
#[derive(Deserialize)]
pub(super) struct LastProbe {
    pub(super) at: String,
    pub(super) connect_us: Option<u64>,
    pub(super) tls_us: Option<u64>,
    pub(super) first_byte_us: Option<u64>,
    pub(super) total_us: u64,
}

/// Runs the command.
pub fn run(args: &TargetsArgs) -> Answer {
    let mut client = Client::connect(&args.daemon.socket)?;
    let names = match &args.group {
        Some(group) => vec![group.clone()],
        None => group_names(&mut client)?,
    };
    if args.limit > PAGE_TARGETS_MAX as u64 {
        // The daemon makes a page as it is read, so who reads gently keeps no probe waiting for a
        // core. One who may not be nicer is as nice as before.
        let _ = rustix::process::nice(NICENESS);
    }
    let mut listing = Listing::new(args);
    for name in &names {
        // Past the limit one more target is looked for, to say whether there is more.
        if !listing.group(&mut client, name)? {
            break;
        }
    }
    listing.finish()?;
    Ok(Exit::Good)
}

fn group_names(client: &mut Client) -> Result<Vec<String>, Failure> {
    let groups = groups::fetch(client)?;
    groups.iter().map(|group| Ok(parse::<Group>(group.get())?.name)).collect()
}

/// What is printed as the pages come: json at once, a table at the end, when its widths are known.
struct Listing<'a> {
    args: &'a TargetsArgs,
    left: u64,
    has_more: bool,
    rows: comfy_table::Table,
    out: io::BufWriter<io::StdoutLock<'static>>,
}

impl<'a> Listing<'a> {
    fn new(args: &'a TargetsArgs) -> Self {
        let headings = match args.expires_within {
            None => HEADINGS,
            Some(_) => EXPIRES_HEADINGS,
        };
        Self {
            args,
            left: args.limit,
            has_more: false,
            rows: table::new(headings, &[3]),
            out: io::BufWriter::with_capacity(OUT_BYTES, io::stdout().lock()),
        }
    }

    /// Takes the targets of one group, page by page; false where the limit is reached.
    fn group(&mut self, client: &mut Client, name: &str) -> Result<bool, Failure> {
        let mut cursor = None;
        loop {
            let most = usize::try_from(self.left).unwrap_or(PAGE_TARGETS_MAX).max(1);
            let path = self.path(name, most.min(PAGE_TARGETS_MAX), cursor.as_deref());
            let answer = client.get(&path)?;
            let page: Page<'_> = parse(&answer)?;
            for target in page.targets {
                if self.left == 0 {
                    self.has_more = true;
                    return Ok(false);
                }
                self.left -= 1;
                self.target(name, target)?;
            }
            cursor = page.next_cursor;
            client.recycle(answer);
            if cursor.is_none() {
                return Ok(true);
            }
        }
    }

    fn path(&self, name: &str, limit: usize, cursor: Option<&str>) -> String {
        let mut path = format!("/v1/groups/{}/targets?limit={limit}", encoded(name));
        let parameters = [
            ("state", self.args.state.as_deref()),
            ("code", self.args.code.as_deref()),
            ("expires_within", self.args.expires_within.as_deref()),
            ("cursor", cursor),
        ];
        for (key, value) in parameters {
            if let Some(value) = value {
                path.push_str(&format!("&{key}={}", encoded(value)));
            }
        }
        path
    }

    fn target(&mut self, group: &str, target: &RawValue) -> Result<(), Failure> {
        if self.args.daemon.format == Format::Table {
            let target = parse(target.get())?;
            self.rows.add_row(match self.args.expires_within {
                None => row(group, &target),
                Some(_) => expires_row(group, &target),
            });
            return Ok(());
        }
        write_with_group(&mut self.out, group, target.get())
            .or_else(table::gone)
            .map_err(|error| Failure::output(&error))
    }

    fn finish(mut self) -> Result<(), Failure> {
        let more = format!("… more: --limit {}", self.args.limit.saturating_mul(10));
        let written = match self.args.daemon.format {
            Format::Table if self.rows.is_empty() => writeln!(self.out, "no targets"),
            Format::Table => table::print(&mut self.out, &self.rows),
            Format::Json => Ok(()),
        };
        let written = written.and_then(|()| match (self.has_more, self.args.daemon.format) {
            (true, Format::Table) => writeln!(self.out, "{more}"),
            // Objects only on stdout.
            (true, Format::Json) => writeln!(io::stderr(), "{more}"),
            (false, _) => Ok(()),
        });
        let written = written.and_then(|()| self.out.flush());
        written.or_else(table::gone).map_err(|error| Failure::output(&error))
    }
}

/// A line: the object with its group before its own keys, so that one line says all.
fn write_with_group(out: &mut impl Write, group: &str, object: &str) -> io::Result<()> {
    let Some(rest) = object.strip_prefix('{') else { return writeln!(out, "{object}") };
    out.write_all(b"{\"group\":")?;
    serde_json::to_writer(&mut *out, group)?;
    writeln!(out, ",{rest}")
}

/// The text of a duration that the daemon will understand.
fn duration_text(text: &str) -> Result<String, String> {
    match duration::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(problem) => Err(problem.to_string()),
    }
}

/// A row about a certificate.
fn expires_row(group: &str, target: &Target) -> Vec<comfy_table::Cell> {
    let tls = target.tls.as_ref();
    let subject = tls.and_then(|tls| tls.subject.as_deref()).unwrap_or("");
    let expiry = tls.and_then(Tls::expiry).unwrap_or_default();
    let about = [table::text(subject), table::text(&expiry)];
    who(group, target).into_iter().chain(about).collect()
}

fn row(group: &str, target: &Target) -> Vec<comfy_table::Cell> {
    let probe = match &target.last_probe {
        Some(probe) => format!("{} in {}", probe.at, units::micros(probe.total_us)),
        None => String::new(),
    };
    let text = |text: &Option<String>| table::text(text.as_deref().unwrap_or(""));
    let about =
        [text(&target.code), text(&target.detail), text(&target.since), table::text(&probe)];
    who(group, target).into_iter().chain(about).collect()
}

/// What every row begins with.
fn who(group: &str, target: &Target) -> [comfy_table::Cell; 5] {
    [
        table::text(group),
        table::text(&target.id),
        table::text(&target.address),
        table::text(&target.port.to_string()),
        table::state(&target.state),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in crate::cli) const TARGET: &str = r#"{"id":"i-1","address":"10.0.0.1","port":80,
        "zone":"a","weight":100,"state":"unhealthy","reason":"Target.Timeout",
        "description":"Request timed out","code":"L4TOUT","detail":null,"status":null,
        "since":"2026-01-02T03:04:05.678Z","last_probe":{"at":"2026-01-02T03:04:06.000Z",
        "connect_us":null,"tls_us":null,"first_byte_us":null,"total_us":6000000}}"#;

    #[test]
    fn targets_are_rows() {
        let mut rows = table::new(HEADINGS, &[3]);
        rows.add_row(row("web", &parse(TARGET).unwrap()));
        let mut out = Vec::new();
        table::print(&mut out, &rows).unwrap();
        let expected = "\
GROUP  ID   ADDRESS   PORT  STATE      CODE    DETAIL  SINCE                     LAST PROBE
web    i-1  10.0.0.1    80  unhealthy  L4TOUT  -       2026-01-02T03:04:05.678Z  2026-01-02T03:04:06.000Z in 6.00 s
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn json_lines_name_their_group() {
        let mut out = Vec::new();
        write_with_group(&mut out, "a\"b", r#"{"id":"x"}"#).unwrap();
        assert_eq!(out, b"{\"group\":\"a\\\"b\",\"id\":\"x\"}\n");
    }
}
