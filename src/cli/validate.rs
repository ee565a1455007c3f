//! `ringcheck validate`: checks a configuration and says what it would cost.
//!
//! The figures are those of the worst case, in which no target answers and every probe lasts as
//! long as its timeout: what the daemon must be able to hold for its probes to stay on time.

use super::{Answer, Exit, Failure, Format, table, units};
use crate::config::{self, Config};
use crate::engine::{Plan, scan};
use crate::io::Backend;
use crate::limits::{API_CONNECTIONS_MAX, RAW_FILES_PER_WORKER, RAW_IN_FLIGHT_MAX};
use crate::registry::{Group, IdAllocator, Registry};
use crate::time::Instant;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

/// Check a configuration: groups, targets, probes per second, probes in flight, files needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  ringcheck validate /etc/ringcheck.toml")]
pub struct ValidateArgs {
    /// The configuration (TOML).
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// Files of the process besides the API's connections: of the daemon itself, and of each worker.
const FILES_DAEMON: u64 = 64;
const FILES_PER_WORKER: u64 = 8;

/// Runs the command.
pub fn run(args: &ValidateArgs) -> Answer {
    let config = config::load(&args.file).map_err(Failure::usage)?;
    let asked = &config.engine;
    let raw = scan::asked(&config.groups).is_some();
    let plan = Plan::new(asked.backend, asked.workers, asked.max_in_flight, raw);
    let plan = plan.map_err(Failure::engine)?;
    let plan = plan.with_tls(asked.tls_in_flight, asked.tls_session_memory);
    let capacity = Capacity::from(&plan);
    let out = &mut io::BufWriter::new(io::stdout().lock());
    let printed = validate(&config, capacity, args.format, out).and_then(|()| out.flush());
    printed.map_err(|error| Failure::output(&error))?;
    // Who serves it may be another user than who validates it, and on another host.
    if let Err(refusal) = plan.can_be_driven() {
        let what = match plan.instead {
            Some(_) => "take epoll, which costs more",
            None => "not start",
        };
        anstream::eprintln!("warning: as this user, 'ringcheck serve' would {what}: {refusal}");
    }
    if let Err(refusal) = scan::refuse(&config.groups, &plan) {
        anstream::eprintln!("warning: as this user, 'ringcheck serve' would refuse it: {refusal}");
    }
    Ok(Exit::Good)
}

/// What the host and the configuration give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Worker threads.
    pub workers: u64,
    /// Probes in flight of each at most.
    pub slots: u64,
    /// TLS probes in flight of each at most.
    pub tls_in_flight: u64,
    /// The file limit of the process.
    pub file_limit: u64,
    /// How sockets are driven.
    pub backend: Backend,
}

impl From<&Plan> for Capacity {
    fn from(plan: &Plan) -> Self {
        let &Plan { workers, slots, tls_in_flight, file_limit, backend, .. } = plan;
        let (slots, tls_in_flight) = (u64::from(slots), u64::from(tls_in_flight));
        Self { workers: workers as u64, slots, tls_in_flight, file_limit, backend }
    }
}

/// Prints what `config`, which is valid, would cost with this capacity.
///
/// # Errors
/// Those of `out`.
pub fn validate(
    config: &Config,
    capacity: Capacity,
    format: Format,
    out: &mut impl Write,
) -> io::Result<()> {
    let (registry, _) = Registry::build(config, None, &mut IdAllocator::default(), Instant::ZERO);
    let costs: Vec<GroupCost<'_>> = registry.groups.iter().map(|group| group_cost(group)).collect();
    let summary = Summary::of(&costs, capacity);
    match format {
        Format::Table => print_table(&costs, &summary, out),
        Format::Json => {
            for cost in &costs {
                writeln!(out, "{}", serde_json::to_string(cost)?)?;
            }
            writeln!(out, "{}", serde_json::to_string(&summary)?)
        }
    }
}

/// What one group costs.
#[derive(Debug, Serialize)]
struct GroupCost<'a> {
    group: &'a str,
    rules: &'static str,
    protocol: &'static str,
    targets: u64,
    /// Targets that are probed: not those that are unused, or whose checks are off.
    probed: u64,
    interval: String,
    timeout: String,
    probes_per_second: f64,
    /// Probes in flight where no target answers.
    in_flight_worst: u64,
    /// Of a TCP check; where it is `raw`, they need no slot.
    handshake: Option<&'static str>,
    /// Whether they are TLS probes.
    tls: bool,
}

/// What all groups cost together, and what there is.
#[derive(Debug, Serialize)]
struct Summary {
    groups: u64,
    targets: u64,
    probed: u64,
    probes_per_second: f64,
    /// Of the probes that need a slot.
    in_flight_worst: u64,
    in_flight_capacity: u64,
    /// Of those over TLS.
    tls_in_flight_worst: u64,
    tls_in_flight_capacity: u64,
    /// Of those that need no socket.
    raw_in_flight_worst: u64,
    raw_in_flight_capacity: u64,
    workers: u64,
    backend: &'static str,
    /// Probe slots of each worker.
    slots: u64,
    files_needed: u64,
    file_limit: u64,
    /// Whether worst case and files fit.
    fits: bool,
}

fn group_cost(group: &Group) -> GroupCost<'_> {
    let check = &group.config.health_check;
    let targets = group.members.len();
    let probed = (0..targets).filter(|&position| group.is_probed(position)).count() as u64;
    GroupCost {
        group: &group.config.name,
        rules: group.config.rules.name(),
        protocol: check.protocol.word().name(),
        targets: targets as u64,
        probed,
        interval: config::duration::text(check.interval),
        timeout: config::duration::text(check.timeout),
        probes_per_second: tenths(probed as f64 / check.interval.as_secs_f64()),
        in_flight_worst: check.in_flight_worst(probed),
        handshake: check.is_tcp().then(|| config::handshake_name(check.handshake)),
        tls: check.has_tls(),
    }
}

impl GroupCost<'_> {
    fn is_raw(&self) -> bool {
        self.handshake == Some("raw")
    }
}

impl Summary {
    fn of(costs: &[GroupCost<'_>], capacity: Capacity) -> Self {
        let Capacity { workers, slots, tls_in_flight, file_limit, backend } = capacity;
        let sum = |figure: fn(&GroupCost<'_>) -> u64| costs.iter().map(figure).sum::<u64>();
        let in_flight_worst = sum(|cost| if cost.is_raw() { 0 } else { cost.in_flight_worst });
        let in_flight_capacity = workers * slots;
        let tls_in_flight_worst = sum(|cost| if cost.tls { cost.in_flight_worst } else { 0 });
        let tls_in_flight_capacity = workers * tls_in_flight;
        let raw_in_flight_worst = sum(|cost| if cost.is_raw() { cost.in_flight_worst } else { 0 });
        let raw_in_flight_capacity = workers * u64::from(RAW_IN_FLIGHT_MAX);
        let raw_files = if costs.iter().any(GroupCost::is_raw) { RAW_FILES_PER_WORKER } else { 0 };
        let files_per_worker = FILES_PER_WORKER + raw_files as u64;
        let files = API_CONNECTIONS_MAX as u64 + FILES_DAEMON + files_per_worker * workers;
        let files_needed = match backend {
            // Probes have direct descriptors, which are no files of the process; but the kernel
            // allows a ring no more of them than the process may have files.
            Backend::IoUring => files.max(slots),
            Backend::Epoll => files + in_flight_worst.min(in_flight_capacity),
        };
        Self {
            groups: costs.len() as u64,
            targets: sum(|cost| cost.targets),
            probed: sum(|cost| cost.probed),
            // Not `sum`: that of no numbers is -0.0.
            probes_per_second: tenths(costs.iter().fold(0.0, |all, c| all + c.probes_per_second)),
            in_flight_worst,
            in_flight_capacity,
            tls_in_flight_worst,
            tls_in_flight_capacity,
            raw_in_flight_worst,
            raw_in_flight_capacity,
            workers,
            backend: backend.name(),
            slots,
            files_needed,
            file_limit,
            fits: in_flight_worst <= in_flight_capacity
                && tls_in_flight_worst <= tls_in_flight_capacity
                && raw_in_flight_worst <= raw_in_flight_capacity
                && files_needed <= file_limit,
        }
    }
}

fn print_table(costs: &[GroupCost<'_>], summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    if !costs.is_empty() {
        let headings = [
            "group",
            "rules",
            "protocol",
            "targets",
            "probed",
            "interval",
            "timeout",
            "probes/s",
            "in flight",
        ];
        let mut rows = table::new(&headings, &[3, 4, 5, 6, 7, 8]);
        for cost in costs {
            rows.add_row([
                table::text(cost.group),
                table::text(cost.rules),
                table::text(cost.protocol),
                table::text(&units::count(cost.targets)),
                table::text(&units::count(cost.probed)),
                table::text(&cost.interval),
                table::text(&cost.timeout),
                table::text(&format!("{:.1}", cost.probes_per_second)),
                table::text(&units::count(cost.in_flight_worst)),
            ]);
        }
        table::print(out, &rows)?;
        writeln!(out)?;
    }
    let tcp = costs.iter().any(|cost| cost.handshake.is_some() && !cost.is_raw());
    print_summary(summary, tcp, out)
}

/// `tcp`: there are TCP checks with sockets.
fn print_summary(summary: &Summary, tcp: bool, out: &mut impl Write) -> io::Result<()> {
    let [worst, capacity] = [summary.in_flight_worst, summary.in_flight_capacity].map(units::count);
    let workers = units::counted(summary.workers, "worker");
    let slots = units::count(summary.slots);
    let [needed, limit] = [summary.files_needed, summary.file_limit].map(units::count);
    writeln!(
        out,
        "{}, {} ({} probed), {:.1} probes per second",
        units::counted(summary.groups, "group"),
        units::counted(summary.targets, "target"),
        units::count(summary.probed),
        summary.probes_per_second,
    )?;
    writeln!(
        out,
        "in flight at worst: {worst} of {capacity} ({slots} slots each of {workers}, {})",
        summary.backend
    )?;
    let tls = [summary.tls_in_flight_worst, summary.tls_in_flight_capacity];
    if tls[0] > 0 {
        let [worst, capacity] = tls.map(units::count);
        writeln!(out, "of these TLS at worst: {worst} of {capacity} (engine.tls_in_flight)")?;
    }
    let raw = [summary.raw_in_flight_worst, summary.raw_in_flight_capacity];
    if raw[0] > 0 {
        let [worst, capacity] = raw.map(units::count);
        writeln!(out, "without a socket at worst: {worst} of {capacity}")?;
    }
    writeln!(out, "files needed: {needed} of {limit}")?;
    if summary.in_flight_worst > summary.in_flight_capacity {
        writeln!(
            out,
            "warning: were all targets silent, intervals would stretch {}; raise engine.workers, \
             engine.max_in_flight or intervals, or lower timeouts{}",
            units::times(summary.in_flight_worst, summary.in_flight_capacity),
            if tcp { ", or use handshake = \"raw\" for TCP checks" } else { "" },
        )?;
    }
    if tls[0] > tls[1] {
        writeln!(
            out,
            "warning: were all targets over TLS silent, their intervals would stretch {}; raise \
             engine.workers, engine.tls_in_flight or intervals, or lower timeouts",
            units::times(tls[0], tls[1]),
        )?;
    }
    if raw[0] > raw[1] {
        writeln!(
            out,
            "warning: were all targets of raw handshakes silent, intervals would stretch {}; raise \
             engine.workers or intervals, or lower timeouts",
            units::times(raw[0], raw[1]),
        )?;
    }
    if summary.files_needed > summary.file_limit {
        writeln!(out, "warning: too few files; raise the limit (ulimit -n, LimitNOFILE=)")?;
    }
    Ok(())
}

/// Rounded to a tenth, so that JSON has no 0.30000000000000004.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [[group]]
        name = "web"
        targets = ["127.0.0.0/22:80"]
        [group.health_check]
        protocol = "HTTP"
        interval = "10s"
        [[group]]
        name = "slow"
        rules = "free"
        targets = ["127.1.0.0/24:80"]
        [group.health_check]
        interval = "1s"
        timeout = "2s"
        [[group]]
        name = "off"
        targets = ["127.2.0.1:80"]
        [group.health_check]
        enabled = false
    "#;

    const CAPACITY: Capacity = Capacity {
        workers: 1,
        slots: 512,
        tls_in_flight: 100,
        file_limit: 4_096,
        backend: Backend::IoUring,
    };

    fn printed(config: &str, capacity: Capacity, format: Format) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config).unwrap();
        let config = config::load(file.path()).unwrap();
        let mut out = Vec::new();
        validate(&config, capacity, format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_configuration_and_its_cost_as_a_table() {
        let capacity = Capacity { workers: 2, file_limit: 20_000, ..CAPACITY };
        let expected = "\
GROUP  RULES    PROTOCOL  TARGETS  PROBED  INTERVAL  TIMEOUT  PROBES/S  IN FLIGHT
web    classic  HTTP        1,024   1,024       10s       6s     102.4        615
slow   free     TCP           256     256        1s       2s     256.0        256
off    classic  TCP             1       0       30s      10s       0.0          0

3 groups, 1,281 targets (1,280 probed), 358.4 probes per second
in flight at worst: 871 of 1,024 (512 slots each of 2 workers, io_uring)
files needed: 1,104 of 20,000
";
        assert_eq!(printed(CONFIG, capacity, Format::Table), expected);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let capacity = Capacity { file_limit: 1_024, ..CAPACITY };
        let text = printed(CONFIG, capacity, Format::Table);
        let warnings: Vec<&str> = text.lines().filter(|l| l.starts_with("warning: ")).collect();
        assert_eq!(warnings.len(), 2, "{text}");
        assert!(warnings[0].contains("would stretch 1.8 times; raise engine.workers"), "{text}");
        assert!(warnings[1].contains("ulimit -n"), "{text}");
    }

    #[test]
    fn sockets_of_epoll_are_files_too() {
        let capacity = Capacity { backend: Backend::Epoll, ..CAPACITY };
        let text = printed(CONFIG, capacity, Format::Table);
        assert!(text.contains("871 of 512 (512 slots each of 1 worker, epoll)\n"), "{text}");
        // 1,024 clients of the API, 64 and 8 for the rest, and all slots.
        assert!(text.contains("files needed: 1,608 of 4,096\n"), "{text}");
    }

    #[test]
    fn groups_without_sockets_need_no_slots_but_some_files() {
        let raw = CONFIG.replace("timeout = \"2s\"", "timeout = \"2s\"\nhandshake = \"raw\"");
        let text = printed(&raw, CAPACITY, Format::Table);
        let expected = "in flight at worst: 615 of 512 (512 slots each of 1 worker, io_uring)\n\
                        without a socket at worst: 256 of 262,144\nfiles needed: 1,119 of 4,096\n";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("lower timeouts, or use handshake = \"raw\""), "{text}");
        let many = raw.replace("127.1.0.0/24", "127.64.0.0/12");
        let text = printed(&many, Capacity { slots: 1_000, ..CAPACITY }, Format::Table);
        let warning = "warning: were all targets of raw handshakes silent, intervals would stretch \
                       4.0 times; raise engine.workers or";
        assert!(text.contains(warning), "{text}");
    }

    #[test]
    fn handshakes_have_a_bound_of_their_own() {
        let tls = CONFIG.replace("protocol = \"HTTP\"", "protocol = \"HTTPS\"");
        let text = printed(&tls, Capacity { tls_in_flight: 512, ..CAPACITY }, Format::Table);
        assert!(text.contains("\nof these TLS at worst: 1,024 of 512 (engine.tls_in"), "{text}");
        let warning = "warning: were all targets over TLS silent, their intervals would stretch \
                       2.0 times; raise engine.workers, engine.tls_in_flight or";
        assert!(text.contains(warning), "{text}");
        let text = printed(&tls, Capacity { tls_in_flight: 2_000, ..CAPACITY }, Format::Table);
        assert!(!text.contains("over TLS"), "{text}");
        let plain = printed(CONFIG, CAPACITY, Format::Table);
        assert!(!plain.contains("TLS"), "{plain}");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let capacity = Capacity { slots: 2_000, ..CAPACITY };
        let text = printed(CONFIG, capacity, Format::Json);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4);
        let group = serde_json::json!({
            "group": "slow", "rules": "free", "protocol": "TCP", "targets": 256, "probed": 256,
            "interval": "1s", "timeout": "2s", "probes_per_second": 256.0, "in_flight_worst": 256,
            "handshake": "half", "tls": false,
        });
        assert_eq!(lines[1], group);
        let summary = serde_json::json!({
            "groups": 3, "targets": 1281, "probed": 1280, "probes_per_second": 358.4,
            "in_flight_worst": 871, "in_flight_capacity": 2000, "tls_in_flight_worst": 0,
            "tls_in_flight_capacity": 100, "raw_in_flight_worst": 0,
            "raw_in_flight_capacity": 262_144, "workers": 1, "slots": 2000,
            "backend": "io_uring",
            "files_needed": 2000, "file_limit": 4096, "fits": true,
        });
        assert_eq!(lines[3], summary);
    }

    #[test]
    fn an_empty_configuration_is_valid() {
        let capacity = Capacity { slots: 64, ..CAPACITY };
        let text = printed("", capacity, Format::Table);
        assert!(text.starts_with("0 groups, 0 targets (0 probed), 0.0 probes per second\n"));
    }
}
