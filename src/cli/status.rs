//! `ringcheck status`: how the daemon is.

use super::client::{Client, DaemonArgs, parse};
use super::{Answer, Exit, Failure, Format, table, units};
use serde::Deserialize;
use std::io::{self, Write};
use std::time::Duration;

/// Say how the daemon is: targets by state, probes per second, lateness, load.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringcheck status
  ringcheck status --format json")]
pub struct StatusArgs {
    /// Which daemon, and how to print.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// `GET /v1/summary` (DESIGN 5.2, 5.5), as far as it is printed.
#[derive(Debug, Deserialize)]
struct Summary {
    version: Option<String>,
    targets: Counts,
    probes: Probes,
    lateness_us: Percentiles,
    in_flight: u64,
    in_flight_capacity: u64,
    in_flight_worst: Option<u64>,
    #[serde(default)]
    raw_in_flight: u64,
    #[serde(default)]
    raw_in_flight_capacity: u64,
    overloaded: bool,
    backend: Option<String>,
    #[serde(default)]
    troubles: Vec<Trouble>,
    uptime_seconds: u64,
    #[serde(default)]
    workers: Vec<serde::de::IgnoredAny>,
    last_reload: Option<LastReload>,
}

/// Targets by state.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Counts {
    pub(super) total: u64,
    pub(super) initial: u64,
    pub(super) healthy: u64,
    pub(super) unhealthy: u64,
    pub(super) draining: u64,
    pub(super) unused: u64,
    pub(super) unavailable: u64,
}

impl Counts {
    /// Targets in the state with this name.
    pub(super) fn of(&self, state: &str) -> u64 {
        match state {
            "initial" => self.initial,
            "healthy" => self.healthy,
            "unhealthy" => self.unhealthy,
            "draining" => self.draining,
            "unused" => self.unused,
            "unavailable" => self.unavailable,
            _ => 0,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Probes {
    started: u64,
    passed: u64,
    failed: u64,
    local_faults: u64,
    skipped: u64,
    per_second: f64,
}

#[derive(Debug, Deserialize)]
struct Percentiles {
    p50: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

/// What is wrong, and the cure.
#[derive(Debug, Deserialize)]
pub(super) struct Trouble {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) cure: String,
}

#[derive(Debug, Deserialize)]
struct LastReload {
    at: String,
    ok: bool,
    error: Option<String>,
}

/// Runs the command.
pub fn run(args: &StatusArgs) -> Answer {
    let text = Client::connect(&args.daemon.socket)?.get("/v1/summary")?;
    let summary: Summary = parse(&text)?;
    let mut out = io::stdout().lock();
    let written = match args.daemon.format {
        Format::Table => print(&mut out, &summary),
        Format::Json => writeln!(out, "{}", text.trim_end()),
    };
    written.or_else(table::gone).map_err(|error| Failure::output(&error))?;
    Ok(exit(&summary))
}

/// Troubles in which the engine does not do what it is there for: `/healthz` is a 503 then.
const GRAVE: [&str; 3] = ["Overloaded", "WorkerStuck", "CollectorStuck"];

fn exit(summary: &Summary) -> Exit {
    let is_grave = |trouble: &Trouble| GRAVE.contains(&trouble.code.as_str());
    let is_bad = summary.overloaded || summary.troubles.iter().any(is_grave);
    if is_bad { Exit::Bad } else { Exit::Good }
}

fn print(out: &mut impl Write, summary: &Summary) -> io::Result<()> {
    let count = units::count;
    let Counts { total, initial, healthy, unhealthy, draining, unused, unavailable } =
        summary.targets;
    let others = [
        (healthy, "healthy"),
        (unhealthy, "unhealthy"),
        (initial, "initial"),
        (draining, "draining"),
        (unused, "unused"),
        (unavailable, "unavailable"),
    ];
    let states = others.iter().filter(|state| state.0 > 0);
    let states: Vec<_> = states.map(|(n, state)| format!("{} {state}", count(*n))).collect();
    let colon = if states.is_empty() { "" } else { ": " };
    writeln!(out, "targets    {}{colon}{}", count(total), states.join(", "))?;
    let Probes { started, passed, failed, local_faults, skipped, per_second } = &summary.probes;
    writeln!(
        out,
        "probes     {per_second:.1} per second; {} started, {} passed, {} failed, {} local faults, \
         {} skipped",
        count(*started),
        count(*passed),
        count(*failed),
        count(*local_faults),
        count(*skipped)
    )?;
    let Percentiles { p50, p99, p999, max } = &summary.lateness_us;
    let [p50, p99, p999, max] = [p50, p99, p999, max].map(|&us| units::micros(us));
    writeln!(out, "lateness   p50 {p50}, p99 {p99}, p99.9 {p999}, max {max}")?;
    in_flight(out, summary)?;
    writeln!(out, "overloaded {}", if summary.overloaded { "yes" } else { "no" })?;
    for Trouble { code, message, cure } in &summary.troubles {
        writeln!(out, "trouble    {}", table::clean(&format!("{code}: {message}; {cure}")))?;
    }
    let reload = match &summary.last_reload {
        None => "none yet".to_owned(),
        Some(LastReload { at, ok: true, .. }) => format!("{at}, done"),
        Some(LastReload { at, error, .. }) => {
            format!("{at}, refused: {}", error.as_deref().unwrap_or("see the log"))
        }
    };
    writeln!(out, "reload     {}", table::clean(&reload))?;
    let uptime = units::span(Duration::from_secs(summary.uptime_seconds));
    let version = table::clean(summary.version.as_deref().unwrap_or("unknown"));
    writeln!(out, "up         {uptime}, version {version}")
}

/// Probes in flight against the slots for them, and those that need none.
fn in_flight(out: &mut impl Write, summary: &Summary) -> io::Result<()> {
    let count = units::count;
    let (raw, raw_capacity) = (summary.raw_in_flight, summary.raw_in_flight_capacity);
    let capacity = summary.in_flight_capacity.saturating_sub(raw_capacity);
    let in_flight = summary.in_flight.saturating_sub(raw);
    write!(out, "in flight  {} of {}", count(in_flight), count(capacity))?;
    match summary.workers.len() as u64 {
        0 => {}
        workers => {
            let (slots, workers) = (capacity / workers, units::counted(workers, "worker"));
            write!(out, " ({} slots each of {workers})", count(slots))?;
        }
    }
    match summary.in_flight_worst {
        None => {}
        Some(worst) if worst <= capacity => write!(out, ", {} at worst", count(worst))?,
        Some(worst) => write!(
            out,
            ", {} at worst (were all targets silent, intervals would stretch {})",
            count(worst),
            units::times(worst, capacity),
        )?,
    }
    if raw_capacity > 0 {
        write!(out, ", and {} of {} without a socket", count(raw), count(raw_capacity))?;
    }
    match &summary.backend {
        None => writeln!(out),
        Some(backend) => writeln!(out, ", on {}", table::clean(backend)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_reads_well() {
        let text = r#"{"version":"0.1.0","revision":3,"targets":{"total":100000,"initial":7,
            "healthy":98993,"unhealthy":1000,"draining":0,"unused":0,"unavailable":0},
            "probes":{"started":123456,"passed":120000,"failed":3450,"local_faults":6,"skipped":0,
            "per_second":3333.34},"lateness_us":{"p50":310,"p99":1200,"p999":2400,"max":10500},
            "in_flight":64,"in_flight_capacity":32768,"in_flight_worst":70000,"overloaded":true,"backend":"epoll","troubles":[
            {"code":"EMFILE","message":"too few files; 6 probes","cure":"raise it\u001b[31m"}],
            "uptime_seconds":3700,
            "workers":[{},{}],"last_reload":{"at":"2026-01-02T03:04:05.678Z","ok":false,
            "error":"bad\u001b[31m"}}"#;
        let mut out = Vec::new();
        print(&mut out, &parse(text).unwrap()).unwrap();
        let expected = "\
targets    100,000: 98,993 healthy, 1,000 unhealthy, 7 initial
probes     3333.3 per second; 123,456 started, 120,000 passed, 3,450 failed, 6 local faults, 0 skipped
lateness   p50 310 µs, p99 1.20 ms, p99.9 2.40 ms, max 10.5 ms
in flight  64 of 32,768 (16,384 slots each of 2 workers), 70,000 at worst (were all targets \
silent, intervals would stretch 2.2 times), on epoll
overloaded yes
trouble    EMFILE: too few files; 6 probes; raise it [31m
reload     2026-01-02T03:04:05.678Z, refused: bad [31m
up         1 h 1 min, version 0.1.0
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let raw = r#""in_flight":1264,"raw_in_flight":1200,"raw_in_flight_capacity":524288,"#;
        let text = text.replace(r#""in_flight":64,"#, raw).replace(":32768", ":557056");
        let mut out = Vec::new();
        print(&mut out, &parse(&text).unwrap()).unwrap();
        let expected =
            expected.replace("2.2 times)", "2.2 times), and 1,200 of 524,288 without a socket");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let exit_of = |overloaded, code| {
            let text = text.replace("\"overloaded\":true", overloaded);
            exit(&parse(&text.replace("EMFILE", code)).unwrap())
        };
        assert_eq!(exit_of("\"overloaded\":true", "EMFILE"), Exit::Bad);
        assert_eq!(exit_of("\"overloaded\":false", "EMFILE"), Exit::Good);
        for code in GRAVE {
            assert_eq!(exit_of("\"overloaded\":false", code), Exit::Bad, "{code}");
        }
    }
}
